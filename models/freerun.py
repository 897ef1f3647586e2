"""The free run: warm up on true values, then feed the output back."""

import torch
from torch import Tensor

from models.axes import MemberBatchTimeChannel, MemberParameter
from models.estimated_state import EstimatedRun
from models.forecaster import Forecaster, Unroll
from models.instance_norm import InstanceScale
from models.plan import plan

# A fed-back value is held within this many training standard deviations of the training mean:
# scores clip the forecast there, and finite inputs keep every later number finite.
CLIP_STD = 10.0


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
        if not architecture.instance_norm:
            return clipped(run.outputs(known, steps, first))
        scale = InstanceScale.of(context.permute(2, 0, 1, 3))
        read = scale.normalised(known.permute(2, 0, 1, 3)).permute(1, 2, 0, 3)
        restored = scale.restored(run.outputs(read, steps, first).permute(2, 0, 1, 3))
        return clipped(restored.permute(1, 2, 0, 3).contiguous())
    values = torch.zeros(warm_up + steps, members, batch, channels, device=context.device)
    values[:warm_up] = known.permute(2, 0, 1, 3)
    feeds_back = truth is None and not architecture.autonomous
    outputs = torch.zeros_like(values)
    unroll = Unroll(forecaster, weights, batch=batch)
    unroll.begin()
    unroll.adapt(context.permute(2, 0, 1, 3))
    values[warm_up:] = unroll.nothing if truth is None else truth.permute(2, 0, 1, 3)
    whole_window = architecture.reads_whole_window
    walk = plan(architecture.context, warm_up, steps, first, whole_window=whole_window)
    for index, step in enumerate(walk):
        unroll.forward(index, step.read(values), reset=step.reset)
        if step.emits is not None:
            output = outputs[step.emits]
            unroll.emit(index, output)
            clipped(output)
            if step.emits >= warm_up and feeds_back:
                values[step.emits] = output
    return outputs[first:].permute(1, 2, 0, 3).contiguous()


def clipped(forecast: Tensor) -> Tensor:
    """The forecast itself, held in place within the clip, where it was not a number, too."""
    forecast.nan_to_num_(nan=CLIP_STD, posinf=CLIP_STD, neginf=-CLIP_STD)
    return forecast.clamp_(-CLIP_STD, CLIP_STD)
