"""The one loop over time: every warm-up, free run, training unroll and gradient goes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from models.network.plan import Step
from models.network.unroll import Unroll
from models.tensors import MemberBatchChannel, TimeMemberBatchChannel

if TYPE_CHECKING:
    from models.tensors import MemberBatchUnit

    # Called with a position and its forecast, which it may change and put among the values.
    OnForecast = Callable[[int, MemberBatchChannel], None]
    # The gradient of the top layer's output at an index of the steps that forecasts a position.
    GradTop = Callable[[int, int | None], MemberBatchUnit | None]


class Walk:
    """A population that reads segments of values and forecasts others, step by step.

    values, outputs: what is read and what is forecast, by the position of its segment, see `fold`.
    """

    def __init__(
        self,
        unroll: Unroll,
        steps: Sequence[Step],
        values: TimeMemberBatchChannel,
        outputs: TimeMemberBatchChannel,
    ) -> None:
        self.unroll, self.steps = unroll, steps
        self.values, self.outputs = values, outputs

    def forward(self, on_forecast: OnForecast) -> None:
        """Walk over all steps; what `on_forecast` puts among the values is read later."""
        for index, step in enumerate(self.steps):
            self.unroll.forward(index, step, self.values)
            if step.emits is not None:
                output = self.outputs[step.emits]
                self.unroll.emit(index, step, output)
                on_forecast(step.emits, output)

    def backward(
        self,
        grads: TimeMemberBatchChannel,
        gates: TimeMemberBatchChannel | None,
        *,
        warm_up: int,
        fed_back: slice = slice(None),
        grad_top: GradTop | None = None,
        cuts: Mapping[int, Tensor] | None = None,
    ) -> None:
        """Walk back over all steps, from the gradients of the outputs, which are added to.

        gates: what the gradient of a value that was fed back is multiplied by, from position
        `warm_up` on; None where nothing is fed back. fed_back: the part of the batch whose values
        are. cuts: for indices of steps, what the state's gradient is multiplied by before them, see
        `Unroll.cut`.
        """
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            # Only a value that was fed back leads on to an earlier forecast.
            leads_on = gates is not None and step.newest >= warm_up
            grad_read = self.unroll.backward(
                index,
                step,
                None if step.emits is None else grads[step.emits],
                wants_input=leads_on,
                grad_top=grad_top(index, step.emits) if grad_top else None,
            )
            if grad_read is not None and gates is not None:
                read = grad_read[:, fed_back].unflatten(2, (step.count, self.unroll.width))
                for position in range(max(step.reads, warm_up), step.newest + 1):
                    grads[position][:, fed_back].addcmul_(
                        read[:, :, position - step.reads], gates[position - warm_up]
                    )
            if cuts and index in cuts:
                self.unroll.cut(cuts[index], fed_back)
