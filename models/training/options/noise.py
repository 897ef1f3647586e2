"""Noise and dropout in training: each member draws its own, from its own generator."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from models.methods import Ablation, AllOf, Choices, Method, Real, Stage, setting
from models.methods.condition import FEEDS_BACK_IN_TRAINING, LOOPS, NONLINEAR, RECURRENT, TRAINED
from models.methods.values import NOISE
from models.tensors import Generator, Tensor, torch

STDS = Choices((0.0, 0.02, 0.05, 0.1, 0.2))


def _std(name: str, description: str, noise: str, **more: Any) -> Any:
    """The standard deviation of a noise, 0 for a candidate without it."""
    without = Ablation("none", name=noise)
    return setting(NOISE, STDS, description, name=name, neutral=0.0, without=without, **more)


class Noise(Method):
    """Gaussian noise of training, in standard deviations of the training span."""

    kind = "noise"
    stage = Stage.NOISE
    applies = TRAINED

    std: float


class InputNoise(Noise, name="input_noise", label="input noise", rank=500):
    """Noise on every true value that is read."""

    std: float = _std("input_noise_std", "Noise on what is read.", "input noise")


class FeedbackNoise(Noise, name="feedback_noise", label="feedback noise", rank=501):
    """Noise on every forecast that is fed back."""

    std: float = _std(
        "feedback_noise_std",
        "Noise on what is fed back.",
        "feedback noise",
        when=FEEDS_BACK_IN_TRAINING,
    )


class OutputNoise(Noise, name="output_noise", label="output noise", rank=502):
    """Noise on every forecast, whether it is scored or fed back."""

    std: float = _std("output_noise_std", "Noise on forecasts.", "output noise")


class LabelNoise(Noise, name="label_noise", label="label noise", rank=503):
    """Noise on every value that a forecast is compared with."""

    std: float = _std("label_noise_std", "Noise on targets.", "label noise")


# In the order in which each member's generator draws them.
VALUE_NOISES = (InputNoise, FeedbackNoise, OutputNoise, LabelNoise)


class StateNoise(Noise, name="state_noise", label="state noise", source="Jaeger (2001)", rank=505):
    """Noise on the state when the next step reads it, in units of the state.

    "The echo state approach": noise in the state update makes closed loops stable, at a cost in
    precision. What a layer passes upwards at the same step is left clean.
    """

    std: float = setting(
        NOISE,
        STDS,
        "Noise on the state that is carried from step to step, in units of the state.",
        neutral=0.0,
        searched=False,
        when=AllOf(LOOPS, RECURRENT),
        without="none",
        name="state_noise_std",
    )

    def needs_loop(self) -> bool:
        return self.std > 0.0


class Dropout(Method, name="dropout", source="Srivastava et al. (2014)", rank=504):
    """Dropout: inputs of the upper layers and of the head are zeroed at random in training.

    What passes upwards is masked, what passes on in time is not (Zaremba et al. 2014), and every
    step has masks of its own. (One mask for all steps, on the recurrence too, is the other way: Gal
    & Ghahramani 2016.)
    """

    kind = "noise"
    stage = Stage.NOISE
    applies = TRAINED

    # A linear forecaster's dropout would split its cohorts, since it needs the loop over time.
    rate: float = setting(
        Real(0, 0.95),
        Choices((0.0, 0.1, 0.2, 0.5)),
        "The rate at which hidden values are zeroed.",
        neutral=0.0,
        searched=False,
        when=NONLINEAR,
        without="none",
        name="dropout",
    )

    def needs_loop(self) -> bool:
        return self.rate > 0.0


class MemberDraws(ABC):
    """Draws random numbers for a cohort: each member's from its own generator.

    amounts: how much each member has of it; one with none takes no random number. shape: of what is
    drawn without the member axis, which stands at `axis` in `values`. shared: an axis behind the
    member's, along which a member's numbers are repeated, such as branches; 0 for none.
    """

    # What a member has that draws nothing.
    neutral: ClassVar[float] = 0.0

    def __init__(
        self,
        amounts: Sequence[float],
        shape: tuple[int, ...],
        axis: int,
        device: "torch.device",
        shared: int = 0,
    ) -> None:
        self.amounts, self.shape, self.axis, self.shared = amounts, shape, axis, shared
        self.is_used = any(amount > 0.0 for amount in amounts)
        repeated = (shared,) if shared else ()
        size = (*shape[:axis], len(amounts), *repeated, *shape[axis:]) if self.is_used else (0,)
        self.values: Tensor = torch.full(size, self.neutral, device=device)

    def draw(self, generators: Sequence[Generator]) -> Tensor | None:
        """Fresh numbers, which the next call overwrites; None where no member has any."""
        if not self.is_used:
            return None
        for member, amount in enumerate(self.amounts):
            if amount > 0.0:
                drawn = self.of_member(amount, generators[member])
                own = self.values.select(self.axis, member)
                own.copy_(drawn.unsqueeze(self.axis) if self.shared else drawn)
        return self.values

    @abstractmethod
    def of_member(self, amount: float, generator: Generator) -> Tensor:
        """What one member draws, of the shape without the member axis."""


class MemberNoise(MemberDraws):
    """Gaussian noise; the amounts are standard deviations."""

    def of_member(self, amount: float, generator: Generator) -> Tensor:
        return torch.randn(self.shape, generator=generator).mul_(amount)


class DropoutMasks(MemberDraws):
    """Masks: 0 with the member's rate, else 1 / (1 - rate).

    They are scaled in training so that the free run needs no scaling. Branches share their masks:
    what is matched between them should differ by what they read alone.
    """

    neutral = 1.0

    def of_member(self, amount: float, generator: Generator) -> Tensor:
        drawn = torch.rand(self.shape, generator=generator)
        return (drawn >= amount).to(drawn.dtype) / (1.0 - amount)
