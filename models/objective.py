"""What training minimises: the terms of the loss, and how much each error of a step counts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.axes import MemberBatchChannelTime, TimeMemberBatchChannel
from models.candidate import Candidate
from models.losses import LOSSES, Window
from models.losses.growth import growth
from models.segments import SegmentShape


class Objective:
    """share * one-step loss + (1 - share) * free-running loss + the sum of weight * further term.

    The two losses are mean squared errors over the rollout as far as the curriculum has come (or
    over the warm-up's second half, for a one-step loss of that span); the free-running one begins
    after the pushforward. Further terms are those of `models.losses` and the growth penalty, over
    the same steps of the free run, and the match of professor forcing. The match is the mean
    squared difference between what the top layer puts out in the free run and in teacher forcing,
    over batch, units and the same steps. It stands in for the discriminator of professor forcing
    (Lamb et al. 2016), as the recipe "recursive three-loss" of chickenbestlover's
    RNN-Time-series-Anomaly-Detection does; that recipe is share 0.5, professor_weight 0.5 and the
    teacher held fixed, its sum 1 : 1 : 1 being twice ours. With the free run held fixed, teacher
    forcing is drawn to what the free run does; with none, both give way, as with the generator's
    two losses of Lamb et al.

    All weights differ by member. What is matched are the values before any dropout: masks
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
        self.free_branches = candidates[0].free_branches
        self.is_over_rollout = strategies[0].teacher_span == "rollout"
        self.batch_numbers = strategies[0].batch_size * channels
        self.batch_units = strategies[0].batch_size * hidden_units
        self.teacher_share = row(
            [s.teacher_weight if s.rollout_steps > 1 else 1.0 for s in strategies]
        )
        self.curriculum_steps = row([s.curriculum_fraction * s.training_steps for s in strategies])
        least = min(s.rollout_steps for s in strategies) - 1
        self.pushforward = row([float(min(s.pushforward_steps, least)) for s in strategies])
        # Zero for members without: what they have of it must not depend on their company.
        weights = {name: row([getattr(s, f"{name}_weight") for s in strategies]) for name in LOSSES}
        self.loss_weights = {name: weight for name, weight in weights.items() if weight.any()}
        self.growth_weight = row([s.growth_weight * s.growth_penalty for s in strategies])
        moves_free = [s.professor_weight * (s.professor_detach != "free") for s in strategies]
        moves_teacher = [s.professor_weight * (s.professor_detach != "teacher") for s in strategies]
        moves = [row(moves_free), row(moves_teacher)]
        # [member, branch]; the displaced run matches nothing
        self.match = torch.stack(
            moves[:1] + [0.0 * moves[0]] * (self.free_branches - 1) + moves[1:], 1
        )

    def error_weights(self, step: int) -> Tensor:
        """d loss / d output is (output - target) times this, `[time, member, branch, 1, 1]`."""
        shape, horizon, share = self.shape, self._horizon(step), self.teacher_share
        time = torch.arange(shape.steps, device=self.device).unsqueeze(1)
        window = self._window(step)
        free = window.covers(time - shape.warm_up) * ((1.0 - share) / window.steps)
        teacher = torch.zeros_like(free)
        if self.is_over_rollout:
            is_run = (time >= shape.warm_up) & (time < shape.warm_up + horizon)
            teacher = is_run * (share / horizon)
        else:
            is_teacher = (time >= shape.one_step_from) & (time <= shape.warm_up)
            free = is_teacher * (share / (shape.warm_up + 1 - shape.one_step_from)) + free
        others = [torch.zeros_like(free)] * (self.free_branches - 1)
        by_branch = [free, *others, teacher][: self.branches]
        weights = torch.stack(by_branch, dim=2) * (2.0 / self.batch_numbers)
        return weights.unsqueeze(3).unsqueeze(4)

    def match_weights(self, step: int) -> Tensor | None:
        """d loss / d top output is (own - other branch's) times this, shaped like the errors'.

        None where nothing is matched: a one-step loss over the warm-up.
        """
        if not self.is_over_rollout:
            return None
        window = self._window(step)
        time = torch.arange(self.shape.steps, device=self.device).unsqueeze(1)
        counts = window.covers(time - self.shape.warm_up) / window.steps
        weights = counts.unsqueeze(2) * self.match * (2.0 / self.batch_units)
        return weights.unsqueeze(3).unsqueeze(4)

    def further_gradient(
        self,
        forecast: TimeMemberBatchChannel,
        truth: TimeMemberBatchChannel,
        step: int,
        part: slice = slice(None),
    ) -> TimeMemberBatchChannel | None:
        """Gradient of the further losses with respect to the free run, None where there are none.

        forecast, truth: over the rollout, of the members `part`.
        """
        if not self.loss_weights:
            return None
        window = self._window(step).of(part)
        given = _by_time(forecast), _by_time(truth)
        total = torch.zeros_like(given[0])
        for name, weights in self.loss_weights.items():
            total += _weighted(LOSSES[name](*given, window), weights[part])
        return total.permute(3, 0, 1, 2)

    def growth_gradient(
        self, run: TimeMemberBatchChannel, displaced: TimeMemberBatchChannel, step: int
    ) -> TimeMemberBatchChannel:
        """Gradient of the growth penalty with respect to the displaced run, over the rollout.

        With respect to the run itself it is the opposite.
        """
        gradient = growth(_by_time(run), _by_time(displaced), self._window(step))
        return _weighted(gradient, self.growth_weight).permute(3, 0, 1, 2)

    def _window(self, step: int) -> Window:
        """The steps of the rollout that the free run's losses are taken over."""
        first = self.pushforward
        return Window(first, torch.maximum(self._horizon(step), first + 1.0))

    def _horizon(self, step: int) -> Tensor:
        """Steps of the rollout that count, `[member]`: they grow over the curriculum."""
        grown = torch.where(
            self.curriculum_steps > 0,
            (step + 1) / self.curriculum_steps.clamp(min=1e-9),
            torch.ones_like(self.curriculum_steps),
        ).clamp(max=1.0)
        return 1.0 + torch.floor((self.shape.rollout - 1) * grown)


def _by_time(values: TimeMemberBatchChannel) -> MemberBatchChannelTime:
    return values.permute(1, 2, 3, 0).contiguous()


def _weighted(gradient: MemberBatchChannelTime, weights: Tensor) -> MemberBatchChannelTime:
    """A loss's gradient by each member's weight; nothing for none, even of what is not finite."""
    by_member = weights.view(-1, 1, 1, 1)
    return torch.where(by_member > 0.0, gradient * by_member, 0.0)
