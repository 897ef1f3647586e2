"""Noise and dropout in training: each member draws its own, from its own generator."""

from collections.abc import Sequence

from models.methods import Ablation, AllOf, Choices, Method, MethodSet, Real, Stage, setting
from models.methods.condition import FEEDS_BACK, LOOPS, NONLINEAR, RECURRENT, TRAINED, UNROLLS
from models.methods.values import NOISE
from models.tensors import Generator, Tensor, TimeMemberBatchChannel, torch

STDS = Choices((0.0, 0.02, 0.05, 0.1, 0.2))


class Noise(Method):
    """Gaussian noise of training, in standard deviations of the training span."""

    kind = "noise"
    stage = Stage.NOISE
    applies = TRAINED

    std: float


class InputNoise(Noise, name="input_noise", label="input noise", rank=500):
    """Noise on every true value that is read."""

    std: float = setting(
        NOISE,
        STDS,
        "Noise on what is read.",
        neutral=0.0,
        without=Ablation("none", name="input noise"),
        name="input_noise_std",
    )


class FeedbackNoise(Noise, name="feedback_noise", label="feedback noise", rank=501):
    """Noise on every forecast that is fed back."""

    std: float = setting(
        NOISE,
        STDS,
        "Noise on what is fed back.",
        neutral=0.0,
        when=AllOf(UNROLLS, FEEDS_BACK),
        without=Ablation("none", name="feedback noise"),
        name="feedback_noise_std",
    )


class OutputNoise(Noise, name="output_noise", label="output noise", rank=502):
    """Noise on every forecast, whether it is scored or fed back."""

    std: float = setting(
        NOISE,
        STDS,
        "Noise on forecasts.",
        neutral=0.0,
        without=Ablation("none", name="output noise"),
        name="output_noise_std",
    )


class LabelNoise(Noise, name="label_noise", label="label noise", rank=503):
    """Noise on every value that a forecast is compared with."""

    std: float = setting(
        NOISE,
        STDS,
        "Noise on targets.",
        neutral=0.0,
        without=Ablation("none", name="label noise"),
        name="label_noise_std",
    )


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


class MemberNoise:
    """Draws Gaussian noise of one kind for a cohort.

    shape: of the noise without the member axis, which stands at `axis` in what is drawn. shared:
    an axis behind the member's, along which members' noise is repeated, such as branches; 0 for
    none.
    """

    def __init__(
        self,
        candidates: Sequence[MethodSet],
        kind: type[Noise],
        shape: tuple[int, ...],
        axis: int,
        device: "torch.device",
        shared: int = 0,
    ) -> None:
        self.stds = [candidate[kind].std for candidate in candidates]
        self.is_used = any(std > 0.0 for std in self.stds)
        self.shape, self.axis, self.shared = shape, axis, shared
        repeated = (shared,) if shared else ()
        size = (*shape[:axis], len(self.stds), *repeated, *shape[axis:])
        self.values: Tensor = torch.zeros(size if self.is_used else (0,), device=device)

    def draw(self, generators: Sequence[Generator]) -> TimeMemberBatchChannel | None:
        """Fresh noise, which the next call overwrites; None where no member uses this kind."""
        if not self.is_used:
            return None
        for member, std in enumerate(self.stds):
            if std > 0.0:
                drawn = torch.randn(self.shape, generator=generators[member]).mul_(std)
                own = self.values.select(self.axis, member)
                own.copy_(drawn.unsqueeze(self.axis) if self.shared else drawn)
        return self.values


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


class DropoutMasks:
    """Masks of a cohort: 0 with the member's rate, else 1 / (1 - rate).

    They are scaled in training so that the free run needs no scaling. Branches share their masks:
    what is matched between them should differ by what they read alone.
    """

    def __init__(
        self,
        candidates: Sequence[MethodSet],
        shape: tuple[int, int, int, int],
        branches: int,
        device: "torch.device",
    ) -> None:
        """shape: (slots, layers, batch, units)."""
        self.rates = [candidate[Dropout].rate for candidate in candidates]
        self.is_used = any(rate > 0.0 for rate in self.rates)
        self.shape = shape
        slots, layers, batch, units = shape
        size = (slots, layers, len(self.rates), branches, batch, units)
        # [slot, layer, member, branch, batch, unit]; a member without dropout multiplies by one
        self.masks: Tensor = torch.ones(size if self.is_used else (0,), device=device)

    def draw(self, generators: Sequence[Generator]) -> None:
        """Fresh masks; a member without dropout takes no random number."""
        for member, rate in enumerate(self.rates):
            if rate > 0.0:
                drawn = torch.rand(self.shape, generator=generators[member])
                kept = (drawn >= rate).to(drawn.dtype) / (1.0 - rate)
                self.masks[:, :, member] = kept.unsqueeze(2)
