"""The gradient of a linear cohort's objective, without a loop over time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.network.estimated_state import EstimatedRun
from models.network.forecaster import Forecaster
from models.network.linear import LinearRun
from models.network.options.instance_norm import InstanceScale
from models.tensors import MemberParameter, TimeMemberBatchChannel
from models.training.batches import Batch
from models.training.objective import Objective
from models.training.subsequences import SubsequenceShape

# Members whose free runs are computed together: more would need matrices that no longer fit into
# the processor's caches, and gain nothing.
MEMBERS_TOGETHER = 32


class LinearGradient:
    """The same forecasts as `UnrolledGradient` has, but for the clip, and their gradient.

    For candidates that are linear (`TrainedNetwork.is_linear`): they have one branch.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        weights: MemberParameter,
        grads: MemberParameter,
        shape: SubsequenceShape,
    ) -> None:
        self.forecaster, self.shape = forecaster, shape
        self.weights, self.grads = weights, grads

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
        if not self.forecaster.architecture.has_instance_norm:
            return self._forecasts(parameters, context, fed_back)
        scale = InstanceScale.of(context)
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
