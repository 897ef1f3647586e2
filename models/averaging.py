"""Averages of weights over training, which are scored and exported instead of the last ones."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.axes import MemberParameter
from models.candidate import Strategy


class Averages:
    """Each member's average of its weights after each step, or the weights themselves.

    `exponential`: a running average that forgets over `average_fraction` of training (Kingma & Ba
    2015, section 7.2); a plain mean as long as training is younger than that, so that the initial
    weights never count. `tail`: the mean over the last `average_fraction` of training (Polyak &
    Juditsky 1992; Izmailov et al. 2018 for networks); before that, the weights themselves.
    """

    def __init__(self, strategies: Sequence[Strategy], weights: MemberParameter) -> None:
        spans = torch.tensor([s.average_fraction * s.training_steps for s in strategies])
        self.spans = spans.to(weights.device).clamp(min=1.0)
        is_tail = torch.tensor([s.weight_average == "tail" for s in strategies])
        self.is_tail = is_tail.to(weights.device)
        self.training_steps = strategies[0].training_steps
        averaged = [i for i, s in enumerate(strategies) if s.weight_average != "none"]
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

    def keep(self, rows: Tensor) -> None:
        """Go on with the members `rows` only."""
        position = {int(row): place for place, row in enumerate(self.rows)}
        kept = [(new, position[int(old)]) for new, old in enumerate(rows) if int(old) in position]
        self.average = self.average[[place for _, place in kept]]
        self.rows = torch.tensor([new for new, _ in kept], dtype=torch.long)
        self.spans, self.is_tail = self.spans[rows], self.is_tail[rows]
