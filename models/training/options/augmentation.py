"""Training on other views of the series: what holds of a wave holds of its mirror image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.methods import Choices, Method, MethodSet, Real, Stage, setting
from models.methods.condition import DEPENDS_ON_SIGN, TRAINED
from models.network.options.learning import sign_flag
from models.tensors import Generator, PerMember, Tensor, torch

if TYPE_CHECKING:
    from models.training.batches import Subsequences


class Augmentation(Method):
    """A factor for every subsequence, inputs and targets alike.

    Wen et al. (2021) survey such transformations of series; there is no canonical source.
    """

    kind = "augmentation"
    is_open = True
    stage = Stage.AUGMENTATION
    applies = TRAINED

    def factors(self, of: Subsequences, member: int, generator: Generator) -> Tensor:
        """Factors `[step, batch]` of a member's subsequences, drawn from its own generator.

        A stream of chunks keeps its factor until it sets out anew, as its state does.
        """
        raise NotImplementedError


class ScaleAugmentation(
    Augmentation, name="scale_augmentation", label="scale augmentation", rank=402
):
    """Scale augmentation: a subsequence is multiplied by exp(std * z), z standard normal."""

    scale_augmentation_std: float = setting(
        Real(0, 3),
        Choices((0.0, 0.1, 0.3)),
        "The standard deviation of the logarithm of a random factor.",
        neutral=0.0,
        searched=False,
        without="none",
    )

    def factors(self, of: Subsequences, member: int, generator: Generator) -> Tensor:
        fresh = of.fresh[member]
        normal = torch.randn(fresh.shape, generator=generator)
        drawn = normal.mul_(self.scale_augmentation_std).exp_()
        step = torch.arange(len(fresh)).unsqueeze(1)
        set_out = torch.where(fresh, step, 0).cummax(0).values
        return drawn.gather(0, set_out)


class SignAugmentation(Augmentation, name="sign_augmentation", label="sign augmentation", rank=401):
    """Sign augmentation: two of every four subsequences are read upside down.

    Around the training mean, or around zero without an offset, so that half of those read
    backwards are, too: half a period of a sine then teaches the other half.
    """

    sign_augmentation: bool = sign_flag(when=DEPENDS_ON_SIGN)

    def factors(self, of: Subsequences, member: int, generator: Generator) -> Tensor:
        fresh = of.fresh[member]
        steps, batch = fresh.shape
        if of.carries_state:
            # Streams in pairs, since every other one is read backwards; they turn with each pass.
            mirrored = (torch.arange(batch) // 2 + fresh.cumsum(0) - 1) % 2
        else:
            mirrored = torch.arange(steps * batch).view(steps, batch) // 2 % 2
        return 1.0 - 2.0 * mirrored.float()


class Factors(PerMember):
    """The factor of every subsequence of a cohort's training, `[member, step, batch]`."""

    by_member = ("factors",)

    def __init__(
        self,
        candidates: Sequence[MethodSet],
        subsequences: Subsequences,
        generators: Sequence[Generator],
        device: torch.device,
    ) -> None:
        used = [
            [method for method in candidate if isinstance(method, Augmentation)]
            for candidate in candidates
        ]
        self.is_used = any(used)
        shape = subsequences.fresh.shape if self.is_used else (len(used), 0, 0)
        self.factors: Tensor = torch.ones(shape)
        for member, augmentations in enumerate(used):
            for augmentation in augmentations:
                own = augmentation.factors(subsequences, member, generators[member])
                self.factors[member] *= own
        self.factors = self.factors.to(device)

    def of_step(self, step: int) -> Tensor | None:
        """What a step's subsequences are multiplied by, `[member, batch, 1]`; None for nothing."""
        return self.factors[:, step].unsqueeze(2) if self.is_used else None
