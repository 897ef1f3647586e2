"""Noise and dropout in training: each member draws its own, from its own generator."""

from collections.abc import Sequence
from enum import Enum
from functools import reduce
from typing import Any, ClassVar

from models.methods import Ablation, AllOf, Choices, Method, MethodSet, Real, Stage, setting
from models.methods.condition import FEEDS_BACK_IN_TRAINING, LOOPS, NONLINEAR, RECURRENT, TRAINED
from models.methods.values import NOISE
from models.tensors import Generator, Tensor, torch

STDS = Choices((0.0, 0.05, 0.2))
# Tried only where a study names it.
CLEAN = Choices((0.0,))


def _std(name: str, where: str, noise: str, stds: Choices = STDS, **more: Any) -> Any:
    """The standard deviation of a noise, 0 for a candidate without it."""
    without = Ablation("none", name=noise)
    description = (
        f"Gaussian noise on {where}: its standard deviation over that of the training span."
    )
    return setting(NOISE, stds, description, name=name, neutral=0.0, without=without, **more)


class Place(Enum):
    """What a noise is added to; a member's generator draws for them in this order."""

    READ = "true values that are read"
    FEEDBACK = "forecasts that are fed back"
    FORECAST = "forecasts, whether they are scored or fed back"
    TARGET = "values that forecasts are compared with"
    # Needs the loop over time: its setting is sampled where LOOPS holds, or has `loops`.
    STATE = "the state when the next step reads it"


class Noise(Method):
    """Noise of training, which is added at one place and drawn anew for every optimiser step."""

    kind = "noise"
    is_open = True
    stage = Stage.NOISE
    applies = TRAINED
    place: ClassVar[Place]

    # In standard deviations of the training span; of a state, in its own units. 0 for none.
    std: float

    def draw(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """The noise of one member, from its own generator: Gaussian where nothing else is said."""
        return torch.randn(shape, generator=generator).mul_(self.std)

    def needs_loop(self) -> bool:
        return super().needs_loop() or (self.place is Place.STATE and self.std > 0.0)


class InputNoise(Noise, name="input_noise", label="input noise", rank=500):
    """Gaussian noise on true values that are read, in standard deviations of the training span."""

    place = Place.READ

    std: float = _std("input_noise_std", "what is read", "input noise")


class FeedbackNoise(Noise, name="feedback_noise", label="feedback noise", rank=501):
    """Gaussian noise on forecasts fed back, in standard deviations of the training span."""

    place = Place.FEEDBACK

    std: float = _std(
        "feedback_noise_std",
        "what is fed back",
        "feedback noise",
        when=FEEDS_BACK_IN_TRAINING,
    )


class OutputNoise(Noise, name="output_noise", label="output noise", rank=502):
    """Gaussian noise on all forecasts, in standard deviations of the training span."""

    place = Place.FORECAST

    std: float = _std("output_noise_std", "forecasts", "output noise", CLEAN)


class LabelNoise(Noise, name="label_noise", label="label noise", rank=503):
    """Gaussian noise on targets, in standard deviations of the training span."""

    place = Place.TARGET

    std: float = _std("label_noise_std", "targets", "label noise", CLEAN)


class StateNoise(Noise, name="state_noise", label="state noise", source="Jaeger (2001)", rank=505):
    """Gaussian noise on the state when the next step reads it, in units of the state.

    "The echo state approach": noise in the state update makes closed loops stable, at a cost in
    precision. What a layer passes upwards at the same step is left clean.
    """

    place = Place.STATE

    std: float = setting(
        NOISE,
        STDS,
        "The standard deviation of Gaussian noise on the state that is carried, in its units.",
        neutral=0.0,
        searched=False,
        when=AllOf(LOOPS, RECURRENT),
        without="none",
        name="state_noise_std",
    )


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

    def draw(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Masks of one member: 0 with the rate, else 1 / (1 - rate), so that free runs need none.

        Branches share their masks: what is matched between them should differ by what they read.
        """
        drawn = torch.rand(shape, generator=generator)
        return (drawn >= self.rate).to(drawn.dtype) / (1.0 - self.rate)


def noises_at(place: Place, candidate: MethodSet) -> list[Noise]:
    """The noises that a candidate has at a place."""
    own = [method for method in candidate if isinstance(method, Noise)]
    return [noise for noise in own if noise.place is place and noise.std > 0.0]


class MemberDraws:
    """Draws random numbers for a cohort: each member's from its own generator.

    drawing: the methods of each member whose draws are added up; one with none takes no random
    number, and has `neutral`. shape: of what is drawn without the member axis, which stands at
    `axis` in `values`. shared: an axis behind the member's, along which a member's numbers are
    repeated, such as branches; 0 for none.
    """

    def __init__(
        self,
        drawing: Sequence[Sequence[Noise | Dropout]],
        shape: tuple[int, ...],
        axis: int,
        device: "torch.device",
        *,
        shared: int = 0,
        neutral: float = 0.0,
    ) -> None:
        self.drawing, self.shape, self.axis, self.shared = drawing, shape, axis, shared
        self.is_used = any(drawing)
        repeated = (shared,) if shared else ()
        size = (*shape[:axis], len(drawing), *repeated, *shape[axis:]) if self.is_used else (0,)
        self.values: Tensor = torch.full(size, neutral, device=device)

    def draw(self, generators: Sequence[Generator]) -> Tensor | None:
        """Fresh numbers, which the next call overwrites; None where no member has any."""
        if not self.is_used:
            return None
        for member, methods in enumerate(self.drawing):
            if methods:
                parts = [method.draw(self.shape, generators[member]) for method in methods]
                drawn, own = reduce(torch.add, parts), self.values.select(self.axis, member)
                own.copy_(drawn.unsqueeze(self.axis) if self.shared else drawn)
        return self.values
