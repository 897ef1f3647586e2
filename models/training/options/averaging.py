"""Averages of weights over training, which are scored and exported instead of the last ones."""

from collections.abc import Sequence
from typing import ClassVar

from models.methods import FloatRange, Method, MethodSet, Selector, Stage, setting
from models.methods.condition import TRAINED
from models.methods.values import SHARE
from models.tensors import MemberParameter, PerMember, torch
from models.training.options.optimiser import Optimiser


class WeightAverage(Method):
    """An average of the weights over a fraction of training."""

    kind = "weight average"
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
    is_tail: ClassVar[bool] = False

    average_fraction: float = setting(
        SHARE,
        FloatRange(0.02, 0.5, log=True),
        "The share of training that weights are averaged over.",
        neutral=0.1,
        searched=False,
    )


class ExponentialAverage(
    WeightAverage, name="exponential", source="Kingma & Ba (2015), section 7.2", rank=310
):
    """A running average that forgets the weights of long ago.

    It is a plain mean as long as training is younger than its span, so that the initial weights
    never count.
    """


class TailAverage(
    WeightAverage,
    name="tail",
    source="Polyak & Juditsky (1992); Izmailov et al. (2018) for networks",
    rank=311,
):
    """The mean of the weights over the end of training; before that, the weights themselves."""

    is_tail = True


class Averages(PerMember):
    """Each member's average of its weights after each step, or the weights themselves.

    Only the members at `rows` average.
    """

    by_member = ("spans", "is_tail")

    def __init__(self, candidates: Sequence[MethodSet], weights: MemberParameter) -> None:
        self.training_steps = candidates[0][Optimiser].training_steps
        own = [candidate.find(WeightAverage) for candidate in candidates]
        fractions = [average.average_fraction if average else 0.0 for average in own]
        spans = torch.tensor([fraction * self.training_steps for fraction in fractions])
        self.spans = spans.to(weights.device).clamp(min=1.0)
        is_tail = torch.tensor([average is not None and average.is_tail for average in own])
        self.is_tail = is_tail.to(weights.device)
        averaged = [i for i, average in enumerate(own) if average is not None]
        self.rows = torch.tensor(averaged, dtype=torch.long, device=weights.device)
        self.average = weights[self.rows].clone()
        self.steps_done = 0

    def update(self, weights: MemberParameter) -> None:
        """Take in the weights after one more step."""
        self.steps_done += 1
        if not len(self.rows):
            return
        spans, is_tail = self.spans[self.rows], self.is_tail[self.rows]
        count = torch.full_like(spans, float(self.steps_done))
        begun = (count - (self.training_steps - spans).floor()).clamp(min=1.0)
        # The newest weights' share: that of a plain mean, or more where older ones are forgotten.
        share = torch.where(is_tail, 1.0 / begun, torch.maximum(1.0 / count, 1.0 / spans))
        newest = share.unsqueeze(1)
        latest = weights[self.rows]
        # As a step towards the latest, so that a number that is not trained stays what it is.
        moved = self.average + (latest - self.average) * newest
        self.average = torch.where(newest < 1.0, moved, latest)

    def of(self, weights: MemberParameter) -> MemberParameter:
        """The weights to be scored; those given where nobody averages."""
        if not len(self.rows):
            return weights
        scored = weights.clone()
        scored[self.rows] = self.average
        return scored

    def keep(self, rows: Sequence[int]) -> None:
        position = {int(row): place for place, row in enumerate(self.rows)}
        kept = [(new, position[old]) for new, old in enumerate(rows) if old in position]
        self.average = self.average[[place for _, place in kept]]
        self.rows = torch.tensor([new for new, _ in kept], dtype=torch.long)
        super().keep(rows)
