"""The gradient of a cohort's objective: by a walk over time, or without one where all is linear."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.network.forecaster import Forecaster
from models.network.linear import EstimatedRun, LinearRun
from models.network.options.instance_norm import InstanceScale
from models.network.options.segments import fold, unfold
from models.network.unroll import Unroll
from models.network.walk import Walk
from models.tensors import (
    CLIP_STD,
    MemberBatchChannel,
    MemberBatchUnit,
    MemberParameter,
    TimeMemberBatchChannel,
)
from models.training.batches import Batch
from models.training.cohort_forcing import CohortForcing
from models.training.losses.growth import DISPLACEMENT
from models.training.objective import Objective
from models.training.subsequence import SubsequenceShape, training_plan
from models.training.trained_network import TrainedNetwork


class UnrolledGradient:
    """Runs subsequences forwards, and their errors backwards.

    The unroll's batch holds them once for each branch (`TrainedNetwork.branches`): the free run,
    which reads its own output during the rollout, or some of the truth as its forcing has it; the
    displaced free run of the growth penalty; and last, teacher forcing, which reads the truth. They
    share their noise, and so differ by what they read alone.

    `masks` and `state_noise` are those of `Unroll`, drawn anew by the caller before each `add`.
    `stream_state` `[member, layer, batch, state]`, where given, is what subsequences start from
    that are not fresh; it is left as it is after the last value read, in the branch that read the
    truth. No gradient flows back through it.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        candidate: TrainedNetwork,
        weights: MemberParameter,
        grads: MemberParameter,
        forcing: CohortForcing,
        masks: Tensor | None,
        state_noise: Tensor | None,
        stream_state: Tensor | None,
    ) -> None:
        self.shape, self.stream_state = SubsequenceShape.of_training(candidate), stream_state
        self.feeds_back = not forecaster.architecture.autonomous
        self.batch, self.branches = candidate.optimiser.batch_size, candidate.branches
        steps = training_plan(candidate)
        branched = self.branches * self.batch
        # The subsequences that run freely, of all branches.
        self.is_displaced = candidate.free_branches > 1
        self.own = slice(candidate.free_branches * self.batch)
        self.unroll = Unroll(
            forecaster,
            weights,
            grads,
            slots=len(steps),
            batch=branched,
            masks=masks,
            state_noise=state_noise,
        )
        # Positions are those of segments from here on, as they are walked over.
        self.segment = self.shape.segment
        self.warm_up = self.shape.warm_up // self.segment
        positions = self.shape.whole_steps // self.segment
        size = (positions, len(weights), branched, forecaster.width)
        self.reads: TimeMemberBatchChannel = torch.empty(size, device=weights.device)
        self.outputs: TimeMemberBatchChannel = torch.zeros(size, device=weights.device)
        self.walk = Walk(self.unroll, steps, self.reads, self.outputs)
        self.passes = forcing.passes()
        # A window's state is made anew for each forecast, and its gradient ends there anyway.
        is_carried = candidate.architecture.has_state
        self.cuts = self._cuts(forcing.pushforward) if is_carried else {}

    def add(self, batch: Batch, objective: Objective, step: int) -> None:
        """Add the gradient of the batch of optimiser step `step`."""
        self._by_branch(self.reads).copy_(fold(batch.reads, self.segment).unsqueeze(2))
        if batch.exogenous is not None:
            self.unroll.exogenous = batch.exogenous.repeat(1, 1, self.branches, 1)
        self._forward(batch)
        outputs = self._by_branch(unfold(self.outputs, self.segment))
        grads = objective.gradient(outputs, batch.targets, step)
        match = objective.match_weights(step)
        self.walk.backward(
            fold(grads.flatten(2, 3), self.segment).contiguous(),
            self._gates(batch.forced) if self.feeds_back else None,
            warm_up=self.warm_up,
            fed_back=self.own,
            grad_top=lambda index, emits: self._matched(index, emits, match),
            cuts=self.cuts,
        )
        self.unroll.end()

    def _forward(self, batch: Batch) -> None:
        self.unroll.begin()
        self.unroll.adapt(unfold(self.reads[: self.warm_up], self.segment))
        if self.is_displaced:
            # After the units are taken: in others, the two runs would not be those of one network.
            last = self._by_branch(self.reads)[self.warm_up - 1, :, 1]
            last[..., -self.unroll.channels :] += DISPLACEMENT
        if self.stream_state is not None:
            self._resume(self.stream_state, batch.fresh)

        output_noise, feedback_noise = (
            None if noise is None else fold(noise, self.segment)
            for noise in (batch.output_noise, batch.feedback_noise)
        )

        def on_forecast(position: int, output: MemberBatchChannel) -> None:
            if output_noise is not None:
                self._by_branch(output).add_(output_noise[position].unsqueeze(1))
            if position >= self.warm_up:
                self._feed_back(position, feedback_noise, batch.forced)

        self.walk.forward(on_forecast)
        if self.stream_state is not None:
            for layer, states in enumerate(self.unroll.states):
                self.stream_state[:, layer] = states[len(self.walk.steps)][:, -self.batch :]

    def _resume(self, stream_state: Tensor, fresh: Tensor) -> None:
        """Start the unroll from the streams' states, in every branch."""
        start = torch.where(fresh.unsqueeze(1).unsqueeze(3), 0.0, stream_state)
        for layer, states in enumerate(self.unroll.states):
            self._by_branch(states[0]).copy_(start[:, layer].unsqueeze(1))

    def _feed_back(self, position: int, noise: Tensor | None, forced: Tensor | None) -> None:
        """Put what the free runs read at a position in the truth's place."""
        read = self.reads[position][:, self.own]
        if not self.feeds_back:
            read.copy_(self.unroll.nothing[:, self.own])
            return
        fed_back = read if forced is None else torch.empty_like(read)
        torch.clamp(self.outputs[position][:, self.own], -CLIP_STD, CLIP_STD, out=fed_back)
        if noise is not None:
            self._by_free_run(fed_back).add_(noise[position].unsqueeze(1))
        if forced is not None:
            share = forced[position - self.warm_up].unsqueeze(1)
            mixed = self._by_free_run(read).mul_(share)
            mixed.addcmul_(self._by_free_run(fed_back), 1.0 - share)

    def _gates(self, forced: Tensor | None) -> TimeMemberBatchChannel:
        """What the gradient of a value fed back is multiplied by, from the warm-up's end on."""
        outputs = self.outputs[self.warm_up :, :, self.own]
        # Beyond the clip the fed-back value is a constant.
        gates = (outputs.abs() < CLIP_STD).to(outputs.dtype).mul_(self.passes)
        if forced is not None:
            self._by_free_run(gates).mul_((1.0 - forced).unsqueeze(2))
        return gates

    def _cuts(self, pushforward: Tensor) -> dict[int, Tensor]:
        """Steps of the plan before which the state's gradient ends, and zero for whom it does.

        They read the last value that was forecast without a gradient.
        """
        return {
            self.warm_up - 1 + steps: (pushforward != steps).to(self.outputs).view(-1, 1, 1)
            for steps in set(pushforward.tolist())
            if steps > 0
        }

    def _matched(
        self, index: int, emits: int | None, match: Tensor | None
    ) -> MemberBatchUnit | None:
        """The gradient of the top layer's outputs by which the branches are drawn together."""
        if match is None or emits is None:
            return None
        free, *displaced, teacher = self._by_branch(self.unroll.top(index)).unbind(1)
        apart = free - teacher
        moved = [apart, *(torch.zeros_like(run) for run in displaced), -apart]
        return (torch.stack(moved, dim=1) * match[emits]).flatten(1, 2)

    def _by_free_run(self, values: Tensor) -> Tensor:
        """The same view of values of the free runs alone."""
        free: Tensor = values.unflatten(-2, (-1, self.batch))
        return free

    def _by_branch(self, values: Tensor) -> Tensor:
        """A view `[..., branch, batch, unit]` of `[..., branch * batch, unit]`."""
        branched: Tensor = values.unflatten(-2, (self.branches, self.batch))
        return branched


# Members whose free runs are computed together: more would need matrices that no longer fit into
# the processor's caches, and gain nothing.
MEMBERS_TOGETHER = 32


@dataclass(frozen=True, eq=False)
class LinearGradient:
    """The same forecasts as `UnrolledGradient` has, but for the clip, and their gradient.

    For candidates that are linear (`TrainedNetwork.is_linear`): they have one branch.
    """

    forecaster: Forecaster
    weights: MemberParameter
    grads: MemberParameter
    shape: SubsequenceShape

    def add(self, batch: Batch, objective: Objective, step: int) -> None:
        """Add the gradient of the batch of optimiser step `step`."""
        error_weights = objective.error_weights(step)[:, :, 0]
        members = torch.arange(len(self.weights), device=self.weights.device)
        for rows in members.tensor_split(-(-len(members) // MEMBERS_TOGETHER)):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            self._add_part(batch, objective, step, error_weights, part)

    def _add_part(
        self, batch: Batch, objective: Objective, step: int, error_weights: Tensor, part: slice
    ) -> None:
        first = self.shape.one_step_from
        weights = self.weights[part].detach().requires_grad_()
        outputs = self._outputs(self.forecaster.layout().views(weights), batch, part)
        targets = batch.targets[first:, part]
        errors = outputs.detach() - targets
        if batch.output_noise is not None:
            errors = errors + batch.output_noise[first:, part]
        grads = errors * error_weights[first:, part]
        rollout = slice(self.shape.warm_up - first, None)
        truth = targets[rollout]
        further = objective.further_gradient(errors[rollout] + truth, truth, step, part)
        if further is not None:
            grads[rollout] += further
        # As a sum, since a backward step that is given a gradient imports a symbolic algebra.
        (outputs * grads).sum().backward()
        assert weights.grad is not None
        self.grads[part] += weights.grad

    def _outputs(
        self, parameters: Mapping[str, Tensor], batch: Batch, part: slice
    ) -> TimeMemberBatchChannel:
        """From the first position that is forecast on."""
        context = batch.reads[: self.shape.warm_up, part]
        noise = _sum(batch.feedback_noise, batch.output_noise)  # the output's is fed back with it
        fed_back = None if noise is None else noise[self.shape.warm_up :, part]
        level = self.forecaster.architecture.instance_level
        if level is None:
            return self._forecasts(parameters, context, fed_back)
        scale = InstanceScale.of(context, level)
        fed_back = None if fed_back is None else fed_back / scale.std
        return scale.restored(self._forecasts(parameters, scale.normalised(context), fed_back))

    def _forecasts(
        self,
        parameters: Mapping[str, Tensor],
        context: TimeMemberBatchChannel,
        noise: TimeMemberBatchChannel | None,
    ) -> TimeMemberBatchChannel:
        """The same in the units in which the network reads and forecasts."""
        architecture, shape = self.forecaster.architecture, self.shape
        reads = context.permute(1, 2, 0, 3).contiguous()
        if architecture.estimates_state:
            estimated = EstimatedRun.of(architecture, parameters)
            return estimated.outputs(reads, shape.rollout, shape.one_step_from).permute(2, 0, 1, 3)
        fed_back = None if noise is None else noise[..., 0].permute(1, 2, 0)
        run = LinearRun.of(architecture, parameters)
        outputs = run.free_run(reads[..., 0], shape.rollout, fed_back)
        if shape.one_step_from < shape.warm_up:
            one_step = run.one_step(reads[..., 0], shape.one_step_from)
            outputs = torch.cat([one_step[:, :, :-1], outputs], dim=2)
        return outputs.permute(2, 0, 1).unsqueeze(3)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
