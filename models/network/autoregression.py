"""The autoregression of a hybrid within a walk over time: its forecasts, and their gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor

from models.network.options.instance_norm import InstanceScale
from models.network.parameters import AUTOREGRESSION
from models.tensors import MemberBatchChannel, TimeMemberBatchChannel


class Autoregression:
    """Sums over the last values of each channel, which are added to what networks put out.

    coefficients: `[member, channel, lag, step]`, in the units of the series, the oldest lag first:
    a view of the weights, which may change.
    """

    def __init__(self, coefficients: Tensor) -> None:
        self.coefficients = coefficients
        _, self.channels, lags, self.segment = coefficients.shape
        # In segments, as positions are.
        self.reach = lags // self.segment

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> Self | None:
        """From a population's named parameters; None where they have none."""
        coefficients = weights.get(AUTOREGRESSION)
        return None if coefficients is None else cls(coefficients)

    def add(
        self,
        output: MemberBatchChannel,
        position: int,
        values: TimeMemberBatchChannel,
        instance: InstanceScale | None,
    ) -> None:
        """Add its forecast of a position to the network's `output` `[member, batch, width]`.

        values: what is read, by position. instance: of an instance norm, whose level the output
        has, and the forecast too: it is taken off once.
        """
        # Known columns stand behind the values.
        width = self.segment * self.channels
        read = values[position - self.reach : position, ..., :width]
        # [member, channel, batch, lag]
        lags = read.unflatten(3, (self.segment, self.channels)).permute(1, 4, 2, 0, 3).flatten(3)
        forecast = self._products(lags, self.coefficients)
        if instance is not None:
            forecast = forecast - instance.level.unsqueeze(2)
        output.unflatten(2, (self.segment, self.channels)).add_(forecast)

    def pass_back(
        self,
        grad_output: MemberBatchChannel,
        position: int,
        grads: TimeMemberBatchChannel,
        gates: TimeMemberBatchChannel,
        *,
        warm_up: int,
        fed_back: slice,
    ) -> None:
        """Add the gradient of a forecast to those of the fed-back values that it was made from.

        grads: of outputs, by position. The others are as `Walk.backward` has them.
        """
        first = max(position - self.reach, warm_up)
        if first >= position:
            return
        begin = (first - position) * self.segment
        read = self.coefficients[:, :, begin:].transpose(2, 3)
        by_step = grad_output[:, fed_back].unflatten(2, (self.segment, self.channels))
        # [member, batch, lag, channel]
        passed = self._products(by_step.permute(0, 3, 1, 2).contiguous(), read)
        by_position = passed.unflatten(2, (-1, self.segment)).flatten(3)
        for place in range(first, position):
            own, gate = by_position[:, :, place - first], gates[place - warm_up]
            grads[place][:, fed_back].addcmul_(own, gate)

    def _products(self, rows: Tensor, matrices: Tensor) -> Tensor:
        """Products of rows `[member, channel, batch, ...]`, as `[member, batch, ..., channel]`.

        Channel by channel, so that the matrices of all members are aligned alike.
        """
        channels = zip(rows.unbind(1), matrices.unbind(1), strict=True)
        return torch.stack([torch.bmm(own, matrix) for own, matrix in channels], dim=3)
