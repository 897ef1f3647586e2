"""The one loop over time: every warm-up, free run, training unroll and gradient goes through it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.network.forecaster import Forecaster
from models.network.kernels.covered import covers, covers_estimate
from models.network.linear import EstimatedRun
from models.network.options.instance_norm import InstanceScale
from models.network.options.segments import fold, padded, rows_ahead, unfold
from models.network.plan import Step, plan
from models.network.unroll import Unroll
from models.tensors import (
    CLIP_STD,
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


@dataclass(frozen=True, eq=False)
class Walk:
    """A population that reads segments of values and forecasts others, step by step.

    values, outputs: what is read and what is forecast, by the position of its segment, see `fold`.
    """

    unroll: Unroll
    steps: Sequence[Step]
    values: TimeMemberBatchChannel
    outputs: TimeMemberBatchChannel

    def forward(self, on_forecast: OnForecast) -> None:
        """Walk over all steps; what `on_forecast` puts among the values is read later."""
        own = self.unroll.autoregression
        for index, step in enumerate(self.steps):
            self.unroll.forward(index, step, self.values)
            if step.emits is not None:
                output = self.outputs[step.emits]
                self.unroll.emit(index, step, output)
                if own is not None:
                    own.add(output, step.emits, self.values, self.unroll.instance)
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
        own = self.unroll.autoregression
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            if own is not None and step.emits is not None and gates is not None:
                given = (grads[step.emits], step.emits, grads, gates)
                own.pass_back(*given, warm_up=warm_up, fed_back=fed_back)
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
    bound: float = CLIP_STD,
    exogenous: MemberBatchTimeChannel | None = None,
) -> MemberBatchTimeChannel:
    """Forecast `steps` values after `context`, each from the forecaster's own earlier ones.

    `context` is `[member, batch, warm-up time, channel]` in training standard deviations from the
    training mean, whole segments of it; the result `[member, batch, steps, channel]` is in the same
    units, within +-`bound`, and so is what is fed back. With `one_step_from`, the one-step
    forecasts of the context's values from that position on stand before the free run (a warmed-up
    state only). With `truth`, shaped like the result, its values are read in place of the
    forecasts: teacher forcing over the same steps. Of a network with segments, a one-step forecast
    is that of the next segment. `displacement` is added to the context's last value, once an
    instance norm has its units. `exogenous` `[member, batch, warm-up time + steps, column]` are the
    known columns of the context and of the steps after it, standardised; a forecaster that has such
    inputs needs them.
    """
    architecture, warm_up = forecaster.architecture, context.shape[2]
    first = warm_up if one_step_from is None else one_step_from
    wanted = (warm_up + steps, forecaster.exogenous) if forecaster.exogenous else None
    if (None if exogenous is None else (*exogenous.shape[2:],)) != wanted:
        raise ValueError(
            f"the known columns of the context and of {steps} steps after it must have the shape "
            f"{wanted}, but got {None if exogenous is None else exogenous.shape}"
        )
    known = context
    if displacement != 0.0:
        known = context.clone()
        known[:, :, -1] += displacement
    if covers_estimate(architecture, weights):
        from models.network.kernels.estimated_run import estimated_free_run

        given_run = (forecaster, weights, context, steps, first, displacement)
        return clipped(estimated_free_run(*given_run), bound)
    if architecture.estimates_state:
        run = EstimatedRun.of(architecture, forecaster.layout().views(weights))
        level = architecture.instance_level
        if level is None:
            return clipped(run.outputs(known, steps, first), bound)
        scale = InstanceScale.of(context.permute(2, 0, 1, 3), level)
        read = scale.normalised(known.permute(2, 0, 1, 3)).permute(1, 2, 0, 3)
        restored = scale.restored(run.outputs(read, steps, first).permute(2, 0, 1, 3))
        return clipped(restored.permute(1, 2, 0, 3).contiguous(), bound)
    segment = architecture.segment_steps
    if warm_up % segment != 0:
        raise ValueError(
            f"the context must hold whole segments of {segment} values, but has {warm_up} values"
        )
    if covers(architecture, weights):
        # Imported here, since a compiler takes its time, and not all that imports this runs it.
        from models.network.kernels.free_run import fused_free_run

        given = (forecaster, weights, context, steps, first)
        return fused_free_run(
            *given, truth=truth, displacement=displacement, bound=bound, exogenous=exogenous
        )
    return unrolled_free_run(
        forecaster, weights, context, known, steps, first, truth, bound, exogenous
    )


@torch.no_grad()
def unrolled_free_run(
    forecaster: Forecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    known: MemberBatchTimeChannel,
    steps: int,
    first: int,
    truth: MemberBatchTimeChannel | None = None,
    bound: float = CLIP_STD,
    exogenous: MemberBatchTimeChannel | None = None,
) -> MemberBatchTimeChannel:
    """What `free_run` returns, step by step by torch.

    known: the context with a displacement, if any. first: its `one_step_from`.
    """
    members, batch, warm_up, channels = context.shape
    architecture = forecaster.architecture
    segment = architecture.segment_steps
    walked = plan(architecture, warm_up, steps, first)
    read = torch.zeros(
        warm_up + padded(steps, segment), members, batch, channels, device=context.device
    )
    read[:warm_up] = known.permute(2, 0, 1, 3)
    if truth is not None:
        read[warm_up : warm_up + steps] = truth.permute(2, 0, 1, 3)
    values = fold(read, segment)
    outputs = torch.zeros_like(values)
    slots = 1 if architecture.parallel_segments is None else len(walked)
    unroll = Unroll(forecaster, weights, slots=slots, batch=batch)
    if exogenous is not None:
        unroll.exogenous = rows_ahead(exogenous.permute(2, 0, 1, 3), segment, len(read))
    unroll.begin()
    unroll.adapt(context.permute(2, 0, 1, 3))
    warmed_up = warm_up // segment
    if truth is None:
        values[warmed_up:] = unroll.nothing
    feeds_back = truth is None and not architecture.autonomous

    def on_forecast(position: int, output: MemberBatchChannel) -> None:
        clipped(output, bound)
        if position >= warmed_up and feeds_back:
            values[position] = output

    Walk(unroll, walked, values, outputs).forward(on_forecast)
    forecast = unfold(outputs, segment)[first : warm_up + steps]
    return forecast.permute(1, 2, 0, 3).contiguous()
