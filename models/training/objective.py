"""What training minimises: the terms of the loss, and how much each error of a step counts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.methods import methods
from models.tensors import MemberBatchChannelTime, TimeMemberBatchChannel
from models.training.cohort_forcing import CohortForcing
from models.training.losses.growth import GrowthPenalty
from models.training.losses.loss import CountedSteps, Loss
from models.training.losses.squared_error import ProfessorForcing, SquaredError
from models.training.subsequence import SubsequenceShape
from models.training.trained_network import TrainedNetwork


class Objective:
    """share * one-step loss + (1 - share) * free-running loss + the sum of weight * further term.

    The two losses are mean squared errors over the rollout as far as the curriculum has come (or
    over the warm-up's second half, for a one-step loss of that span); the free-running one begins
    after the pushforward. Further terms are the losses of `models.training.losses`, the growth
    penalty and the match of professor forcing, over the same steps of the free run. The recipe
    "recursive three-loss" (see `ProfessorForcing`) is share 0.5, professor_weight 0.5 and the
    teacher held fixed: its sum 1 : 1 : 1 is twice ours. All weights differ by member.
    """

    def __init__(
        self,
        candidates: Sequence[TrainedNetwork],
        shape: SubsequenceShape,
        channels: int,
        forcing: CohortForcing,
        device: torch.device,
    ) -> None:
        first, errors = candidates[0], [c[SquaredError] for c in candidates]
        batch_size = first.optimiser.batch_size

        def row(values: list[float]) -> Tensor:
            return torch.tensor(values, device=device)

        self.shape, self.device = shape, device
        self.branches, self.free_branches = first.branches, first.free_branches
        self.is_over_rollout = errors[0].teacher_span == "rollout"
        self.batch_numbers = batch_size * channels
        self.batch_units = batch_size * first.cell.output_units
        is_free = first.feeds_back_in_training
        self.teacher_share = row([e.teacher_weight if is_free else 1.0 for e in errors])
        steps = first.optimiser.training_steps
        # Where there is none, the first step has the whole rollout.
        growing = row([max(e.curriculum_fraction * steps, 1e-9) for e in errors]).unsqueeze(1)
        # By the reciprocal, as torch divides a number by a tensor.
        grown = (torch.arange(1, steps + 1, device=device) * growing.reciprocal()).clamp(max=1.0)
        # Steps of the rollout that count, `[member, step]`: they grow over the curriculum.
        self.horizons = 1.0 + torch.floor((shape.rollout - 1) * grown)
        self.pushforward = forcing.pushforward.to(device, torch.float32) * shape.segment
        # Zero for members without: what they have of it must not depend on their company.
        self.loss_weights: dict[type[Loss], Tensor] = {}
        for loss in (method for method in methods() if issubclass(method, Loss)):
            weights = row([c[loss].weight for c in candidates])
            if weights.any():
                self.loss_weights[loss] = weights
        growth = [c[GrowthPenalty] for c in candidates]
        self.growth_weight = row([g.growth_weight * g.growth_penalty for g in growth])
        match = [c[ProfessorForcing] for c in candidates]
        moves = [
            row([m.professor_weight * (m.professor_detach != "free") for m in match]),
            row([m.professor_weight * (m.professor_detach != "teacher") for m in match]),
        ]
        # [member, branch]; the displaced run matches nothing
        self.match = torch.stack(
            moves[:1] + [0.0 * moves[0]] * (self.free_branches - 1) + moves[1:], 1
        )

    def gradient(self, outputs: Tensor, targets: TimeMemberBatchChannel, step: int) -> Tensor:
        """The gradient of all losses of forecasts, `[time, member, branch, batch, channel]` both.

        The match of professor forcing, which is no loss of forecasts, is left out.
        """
        grads = (outputs - targets.unsqueeze(2)).mul_(self.error_weights(step))
        self._add_further(grads, outputs, targets, step)
        return grads

    def gradient_beside_errors(
        self, outputs: Tensor, targets: TimeMemberBatchChannel, step: int
    ) -> Tensor:
        """The same of the losses beside squared errors; zero for a member without any."""
        grads = torch.zeros_like(outputs)
        self._add_further(grads, outputs, targets, step)
        return grads

    def _add_further(
        self, grads: Tensor, outputs: Tensor, targets: TimeMemberBatchChannel, step: int
    ) -> None:
        rollout = slice(self.shape.warm_up, self.shape.steps)
        run, free = outputs[rollout], grads[rollout]
        further = self.further_gradient(run[:, :, 0], targets[rollout], step)
        if further is not None:
            free[:, :, 0] += further
        if self.free_branches > 1:
            growth = self.growth_gradient(run[:, :, 0], run[:, :, 1], step)
            free[:, :, 0] -= growth
            free[:, :, 1] += growth

    def error_weights(self, step: int) -> Tensor:
        """d loss / d output is (output - target) times this, `[time, member, branch, 1, 1]`."""
        shape, horizon, share = self.shape, self._horizon(step), self.teacher_share
        time = torch.arange(shape.whole_steps, device=self.device).unsqueeze(1)
        counted = self._counted(step)
        free = counted.cover(time - shape.warm_up) * ((1.0 - share) / counted.number)
        teacher = torch.zeros_like(free)
        if self.is_over_rollout:
            is_run = (time >= shape.warm_up) & (time < shape.warm_up + horizon)
            teacher = is_run * (share / horizon)
        else:
            # The rollout's first segment is a one-step forecast as well.
            end = shape.warm_up + shape.segment
            is_teacher = (time >= shape.one_step_from) & (time < end)
            free = is_teacher * (share / (end - shape.one_step_from)) + free
        others = [torch.zeros_like(free)] * (self.free_branches - 1)
        by_branch = [free, *others, teacher][: self.branches]
        weights = torch.stack(by_branch, dim=2) * (2.0 / self.batch_numbers)
        return weights.unsqueeze(3).unsqueeze(4)

    def match_weights(self, step: int) -> Tensor | None:
        """d loss / d top output is (own - other branch's) times this.

        Shaped like the errors', but with one number for a segment instead of one for each value.
        None where nothing is matched: a one-step loss over the warm-up.
        """
        if not self.is_over_rollout:
            return None
        counted = self._counted(step)
        time = torch.arange(self.shape.whole_steps, device=self.device).unsqueeze(1)
        counts = counted.cover(time - self.shape.warm_up) / counted.number
        counts = counts.unflatten(0, (-1, self.shape.segment)).sum(1)
        weights: Tensor = counts.unsqueeze(2) * self.match * (2.0 / self.batch_units)
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
        counted = self._counted(step).of(part)
        given = _by_time(forecast), _by_time(truth)
        total = torch.zeros_like(given[0])
        for loss, weights in self.loss_weights.items():
            total += _weighted(loss.gradient(*given, counted), weights[part])
        return total.permute(3, 0, 1, 2)

    def growth_gradient(
        self, run: TimeMemberBatchChannel, displaced: TimeMemberBatchChannel, step: int
    ) -> TimeMemberBatchChannel:
        """Gradient of the growth penalty with respect to the displaced run, over the rollout.

        With respect to the run itself it is the opposite.
        """
        given = _by_time(run), _by_time(displaced)
        gradient = GrowthPenalty.gradient(*given, self._counted(step))
        return _weighted(gradient, self.growth_weight).permute(3, 0, 1, 2)

    def _counted(self, step: int) -> CountedSteps:
        """The steps of the rollout that the free run's losses are taken over."""
        first = self.pushforward
        return CountedSteps(first, torch.maximum(self._horizon(step), first + 1.0))

    def _horizon(self, step: int) -> Tensor:
        return self.horizons[:, step]


def _by_time(values: TimeMemberBatchChannel) -> MemberBatchChannelTime:
    return values.permute(1, 2, 3, 0).contiguous()


def _weighted(gradient: MemberBatchChannelTime, weights: Tensor) -> MemberBatchChannelTime:
    """A loss's gradient by each member's weight; nothing for none, even of what is not finite."""
    by_member = weights.view(-1, 1, 1, 1)
    return torch.where(by_member > 0.0, gradient * by_member, 0.0)
