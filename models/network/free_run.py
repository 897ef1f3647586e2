"""The free run: warm up on true values, then feed the output back."""

from __future__ import annotations

import torch

from models.clip import clipped
from models.network.estimated_state import EstimatedRun
from models.network.forecaster import Forecaster
from models.network.options.instance_norm import InstanceScale
from models.network.options.segments import fold, padded, unfold
from models.network.plan import plan
from models.network.unroll import Unroll
from models.network.walk import Walk
from models.tensors import MemberBatchChannel, MemberBatchTimeChannel, MemberParameter


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
    training mean, whole segments of it; the result `[member, batch, steps, channel]` is in the same
    units, within +-CLIP_STD. With `one_step_from`, the one-step forecasts of the context's values
    from that position on stand before the free run (a warmed-up state only). With `truth`, shaped
    like the result, its values are read in place of the forecasts: teacher forcing over the same
    steps. Of a network with segments, a one-step forecast is that of the next segment.
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
    segment = architecture.segment_steps
    if warm_up % segment != 0:
        raise ValueError(
            f"the context must hold whole segments of {segment} values, but has {warm_up} values"
        )
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
    unroll.begin()
    unroll.adapt(context.permute(2, 0, 1, 3))
    warmed_up = warm_up // segment
    if truth is None:
        values[warmed_up:] = unroll.nothing
    feeds_back = truth is None and not architecture.autonomous

    def on_forecast(position: int, output: MemberBatchChannel) -> None:
        clipped(output)
        if position >= warmed_up and feeds_back:
            values[position] = output

    Walk(unroll, walked, values, outputs).forward(on_forecast)
    forecast = unfold(outputs, segment)[first : warm_up + steps]
    return forecast.permute(1, 2, 0, 3).contiguous()
