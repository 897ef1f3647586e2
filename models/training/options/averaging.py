"""Averages of weights over training, which are scored and exported instead of the last ones."""

from collections.abc import Sequence
from typing import ClassVar

from models.methods import FloatRange, Method, MethodSet, Selector, Stage, setting
from models.methods.condition import TRAINED
from models.methods.values import SHARE
from models.tensors import MemberParameter, PerMember, Tensor, torch
from models.training.options.optimiser import Optimiser


class WeightAverage(Method):
    """An average of the weights over a fraction of training."""

    kind = "weight average"
    is_open = True
    selector: ClassVar[Selector] = Selector(
        name="weight_average",
        stage=Stage.OPTIMISER,
        description="Which average of the weights is scored and exported, if any.",
        none="none",
        when=TRAINED,
        shared=False,
        searched=False,
    )
    stage = Stage.OPTIMISER
    applies = TRAINED
    average_fraction: float = setting(
        SHARE,
        FloatRange(0.02, 0.5, log=True),
        "The share of training that weights are averaged over.",
        neutral=0.1,
        searched=False,
    )

    def span(self, training_steps: int) -> Tensor:
        """The steps that are averaged over, at least one."""
        return torch.tensor(self.average_fraction * training_steps).clamp(min=1.0)

    def shares(self, training_steps: int) -> Tensor:
        """The share of the newest weights in the average after each step, `[step]`, up to one."""
        raise NotImplementedError


class ExponentialAverage(
    WeightAverage, name="exponential", source="Kingma & Ba (2015), section 7.2", rank=310
):
    """A running average that forgets the weights of long ago.

    It is a plain mean as long as training is younger than its span, so that the initial weights
    never count.
    """

    def shares(self, training_steps: int) -> Tensor:
        return torch.maximum(1.0 / _counted(training_steps), 1.0 / self.span(training_steps))


class TailAverage(
    WeightAverage,
    name="tail",
    source="Polyak & Juditsky (1992); Izmailov et al. (2018) for networks",
    rank=311,
):
    """The mean of the weights over the end of training; before that, the weights themselves."""

    def shares(self, training_steps: int) -> Tensor:
        before = (training_steps - self.span(training_steps)).floor()
        return 1.0 / (_counted(training_steps) - before).clamp(min=1.0)


def _counted(steps: int) -> Tensor:
    return torch.arange(1, steps + 1, dtype=torch.float32)


class Averages(PerMember):
    """Each member's average of its weights after each step; without one, the weights themselves."""

    by_member = ("shares", "average")

    def __init__(self, candidates: Sequence[MethodSet], weights: MemberParameter) -> None:
        steps = candidates[0][Optimiser].training_steps
        own = [candidate.find(WeightAverage) for candidate in candidates]
        self.is_used = any(average is not None for average in own)
        shares = torch.ones(len(own), steps if self.is_used else 0)
        for member, average in enumerate(own):
            if average is not None:
                shares[member] = average.shares(steps)
        self.shares = shares.to(weights.device)
        self.average = weights.clone() if self.is_used else weights[:, :0]
        self.steps_done = 0

    def update(self, weights: MemberParameter) -> None:
        """Take in the weights after one more step."""
        if self.is_used:
            newest = self.shares[:, self.steps_done].unsqueeze(1)
            # As a step towards the latest, so that a number that is not trained stays what it is.
            moved = self.average + (weights - self.average) * newest
            self.average = torch.where(newest < 1.0, moved, weights)
        self.steps_done += 1

    def of(self, weights: MemberParameter) -> MemberParameter:
        """The weights to be scored; those given where nobody averages."""
        return self.average if self.is_used else weights
