"""The one loop over time: every warm-up, free run, training unroll and gradient goes through it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.network.architecture import Architecture
from models.network.forecaster import Forecaster
from models.network.linear import EstimatedRun
from models.network.options.instance_norm import InstanceScale
from models.network.unroll import Unroll
from models.tensors import (
    MemberBatchChannel,
    MemberBatchTimeChannel,
    MemberBatchUnit,
    MemberParameter,
    TimeMemberBatchChannel,
    clipped,
)

# Called with a position and its forecast, which it may change and put among the values.
OnForecast = Callable[[int, MemberBatchChannel], None]
# The gradient of the top layer's output at an index of the steps that forecasts a position.
GradTop = Callable[[int, int | None], MemberBatchUnit | None]


@dataclass(frozen=True)
class Step:
    """One step of an unroll.

    `reads` is the position of the value that is read, counted from the first warm-up value:
    below the warm-up's length it is the truth, from there on what stands in for it.
    `emits` is the position that is forecast, or None where nothing is asked for. `count` values are
    read at once, the first of them at `reads`.
    """

    reads: int
    reset: bool
    emits: int | None
    count: int = 1

    @property
    def newest(self) -> int:
        """The last position that is read."""
        return self.reads + self.count - 1

    def read(self, values: TimeMemberBatchChannel) -> MemberBatchChannel:
        """What is read of the values by position; several lie one after another, oldest first."""
        if self.count == 1:
            return values[self.reads]
        return values[self.reads : self.reads + self.count].permute(1, 2, 0, 3).flatten(2)


def plan(
    architecture: Architecture,
    warm_up: int,
    rollout_steps: int,
    one_step_from: int,
    *,
    carries_state: bool = False,
) -> list[Step]:
    """The steps of a warm-up followed by a rollout of `rollout_steps`.

    A warmed-up state reads each value once, and from position `one_step_from` on forecasts during
    the warm-up too; with `carries_state` it is not reset at the start. A window is read anew, from
    a state of zero, for every forecast: value by value, or as a whole in one step.
    """
    if architecture.core.reads_whole_window:
        return [
            Step(reads=start, reset=True, emits=start + warm_up, count=warm_up)
            for start in range(rollout_steps)
        ]
    if architecture.has_state:
        return [
            Step(
                reads=i,
                reset=i == 0 and not carries_state,
                emits=i + 1 if i + 1 >= one_step_from else None,
            )
            for i in range(warm_up + rollout_steps - 1)
        ]
    return [
        Step(reads=start + i, reset=i == 0, emits=start + warm_up if i == warm_up - 1 else None)
        for start in range(rollout_steps)
        for i in range(warm_up)
    ]


@dataclass(frozen=True, eq=False)
class Walk:
    """A population that reads values and forecasts others, step by step.

    values, outputs: what is read and what is forecast, by position.
    """

    unroll: Unroll
    steps: Sequence[Step]
    values: TimeMemberBatchChannel
    outputs: TimeMemberBatchChannel

    def forward(self, on_forecast: OnForecast) -> None:
        """Walk over all steps; what `on_forecast` puts among the values is read later."""
        for index, step in enumerate(self.steps):
            self.unroll.forward(index, step.read(self.values), reset=step.reset)
            if step.emits is not None:
                output = self.outputs[step.emits]
                self.unroll.emit(index, output)
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
        channels = self.unroll.channels
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            # Only a value that was fed back leads on to an earlier forecast.
            leads_on = gates is not None and step.newest >= warm_up
            grad_read = self.unroll.backward(
                index,
                None if step.emits is None else grads[step.emits],
                reset=step.reset,
                wants_input=leads_on,
                grad_top=grad_top(index, step.emits) if grad_top else None,
            )
            if grad_read is not None and gates is not None:
                read = grad_read[:, fed_back].unflatten(2, (step.count, channels))
                for position in range(max(step.reads, warm_up), step.newest + 1):
                    grads[position][:, fed_back].addcmul_(
                        read[:, :, position - step.reads], gates[position - warm_up]
                    )
            if cuts and index in cuts:
                self.unroll.cut(cuts[index], fed_back)


@torch.no_grad()
def free_run(
    forecaster: Forecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    *,
    one_step_from: int | None = None,
    truth: MemberBatchTimeChannel | None = None,
    displacement: float = 0.0,
) -> MemberBatchTimeChannel:
    """Forecast `steps` values after `context`, each from the forecaster's own earlier ones.

    `context` is `[member, batch, warm-up time, channel]` in training standard deviations from the
    training mean; the result `[member, batch, steps, channel]` is in the same units, within
    +-CLIP_STD. With `one_step_from`, the one-step forecasts of the context's values from that
    position on stand before the free run (a warmed-up state only). With `truth`, shaped like the
    result, its values are read in place of the forecasts: teacher forcing over the same steps.
    `displacement` is added to the context's last value, once an instance norm has its units.
    """
    members, batch, warm_up, channels = context.shape
    first = warm_up if one_step_from is None else one_step_from
    architecture = forecaster.architecture
    known = context
    if displacement != 0.0:
        known = context.clone()
        known[:, :, -1] += displacement
    if architecture.estimates_state:
        run = EstimatedRun.of(architecture, forecaster.layout().views(weights))
        if not architecture.has_instance_norm:
            return clipped(run.outputs(known, steps, first))
        scale = InstanceScale.of(context.permute(2, 0, 1, 3))
        read = scale.normalised(known.permute(2, 0, 1, 3)).permute(1, 2, 0, 3)
        restored = scale.restored(run.outputs(read, steps, first).permute(2, 0, 1, 3))
        return clipped(restored.permute(1, 2, 0, 3).contiguous())
    values = torch.zeros(warm_up + steps, members, batch, channels, device=context.device)
    values[:warm_up] = known.permute(2, 0, 1, 3)
    outputs = torch.zeros_like(values)
    unroll = Unroll(forecaster, weights, batch=batch)
    unroll.begin()
    unroll.adapt(context.permute(2, 0, 1, 3))
    values[warm_up:] = unroll.nothing if truth is None else truth.permute(2, 0, 1, 3)
    feeds_back = truth is None and not architecture.autonomous

    def on_forecast(position: int, output: MemberBatchChannel) -> None:
        clipped(output)
        if position >= warm_up and feeds_back:
            values[position] = output

    Walk(unroll, plan(architecture, warm_up, steps, first), values, outputs).forward(on_forecast)
    return outputs[first:].permute(1, 2, 0, 3).contiguous()
