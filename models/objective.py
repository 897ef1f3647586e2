"""What training minimises: the terms of the loss, and how much each error of a step counts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.candidate import Candidate
from models.segments import SegmentShape


class Objective:
    """share * one-step loss + (1 - share) * free-running loss + professor_weight * match.

    The losses are mean squared errors over the rollout as far as the curriculum has come (or over
    the warm-up's second half, for a one-step loss of that span). The match is the mean squared
    difference between what the top layer puts out in the free run and in teacher forcing, over
    batch, units and the same steps. It stands in for the discriminator of professor forcing
    (Lamb et al. 2016), as the recipe "recursive three-loss" of chickenbestlover's
    RNN-Time-series-Anomaly-Detection does; that recipe is share 0.5, professor_weight 0.5 and the
    teacher held fixed, its sum 1 : 1 : 1 being twice ours. With the free run held fixed, teacher
    forcing is drawn to what the free run does; with none, both give way, as with the generator's
    two losses of Lamb et al.

    The three numbers differ by member. What is matched are the values before any dropout: masks
    would add noise to it that no training can remove.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        shape: SegmentShape,
        channels: int,
        hidden_units: int,
        device: torch.device,
    ) -> None:
        strategies = [c.strategy for c in candidates]

        def row(values: list[float]) -> Tensor:
            return torch.tensor(values, device=device)

        self.shape, self.device = shape, device
        self.branches = candidates[0].branches
        self.is_over_rollout = strategies[0].teacher_span == "rollout"
        self.batch_numbers = strategies[0].batch_size * channels
        self.batch_units = strategies[0].batch_size * hidden_units
        self.teacher_share = row(
            [s.teacher_weight if s.rollout_steps > 1 else 1.0 for s in strategies]
        )
        self.curriculum_steps = row([s.curriculum_fraction * s.training_steps for s in strategies])
        moves_free = [s.professor_weight * (s.professor_detach != "free") for s in strategies]
        moves_teacher = [s.professor_weight * (s.professor_detach != "teacher") for s in strategies]
        self.match = torch.stack([row(moves_free), row(moves_teacher)], dim=1)  # [member, branch]

    def error_weights(self, step: int) -> Tensor:
        """d loss / d output is (output - target) times this, `[time, member, branch, 1, 1]`."""
        shape, horizon, share = self.shape, self._horizon(step), self.teacher_share
        time = torch.arange(shape.steps, device=self.device).unsqueeze(1)
        is_free = (time >= shape.warm_up) & (time < shape.warm_up + horizon)
        free = is_free * ((1.0 - share) / horizon)
        if self.is_over_rollout:
            by_branch = [free, is_free * (share / horizon)]
        else:
            is_teacher = (time >= shape.one_step_from) & (time <= shape.warm_up)
            free = is_teacher * (share / (shape.warm_up + 1 - shape.one_step_from)) + free
            by_branch = [free, torch.zeros_like(free)][: self.branches]
        weights = torch.stack(by_branch, dim=2) * (2.0 / self.batch_numbers)
        return weights.unsqueeze(3).unsqueeze(4)

    def match_weights(self, step: int) -> Tensor | None:
        """d loss / d top output is (own - other branch's) times this, shaped like the errors'.

        None where nothing is matched: a one-step loss over the warm-up.
        """
        if not self.is_over_rollout:
            return None
        shape, horizon = self.shape, self._horizon(step)
        time = torch.arange(shape.steps, device=self.device).unsqueeze(1)
        is_free = (time >= shape.warm_up) & (time < shape.warm_up + horizon)
        weights = (is_free / horizon).unsqueeze(2) * self.match * (2.0 / self.batch_units)
        return weights.unsqueeze(3).unsqueeze(4)

    def _horizon(self, step: int) -> Tensor:
        """Steps of the rollout that count, `[member]`: they grow over the curriculum."""
        grown = torch.where(
            self.curriculum_steps > 0,
            (step + 1) / self.curriculum_steps.clamp(min=1e-9),
            torch.ones_like(self.curriculum_steps),
        ).clamp(max=1.0)
        return 1.0 + torch.floor((self.shape.rollout - 1) * grown)
