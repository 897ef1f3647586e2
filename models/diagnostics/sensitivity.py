"""How sensitive a free run is to an earlier error: the gradient through the rollout.

An error made at one step of a free run is read at the next, and every later forecast is a function
of it. What is left of it after some steps is the derivative of the later forecast with respect to
the earlier one, which is at the same time the gradient that training through the rollout has to
work with: where it vanishes, errors are forgotten and nothing can be learned from them; where it
grows, the run loses its way and gradients explode (Bengio, Simard & Frasconi 1994).
"""

import torch
from torch import Tensor

from models.network.forecaster import Forecaster
from models.network.options.segments import fold, padded, rows_ahead
from models.network.plan import plan
from models.network.unroll import Unroll
from models.network.walk import Walk
from models.tensors import (
    CLIP_STD,
    MemberBatchChannel,
    MemberBatchTimeChannel,
    MemberParameter,
    clipped,
)


@torch.no_grad()
def sensitivity(
    forecaster: Forecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    exogenous: MemberBatchTimeChannel | None = None,
) -> Tensor:
    """Norms `[member, lag]` of d(last forecast) / d(forecast lag + 1 before it), for all lags.

    context, exogenous: as `free_run` reads them; steps: of the free run. A
    forecast is a segment of `segment_steps` values, a single one where that is 1, and there is a
    lag less than there are forecasts in the run. The norm is Frobenius' over channels, its root
    mean square over the batch and over the values of the last forecast. Beyond the clip a forecast
    is constant, and no error passes.

    Raises ValueError for a forecaster that never reads its own forecasts, and for a free run of
    fewer than 2 forecasts.
    """
    architecture = forecaster.architecture
    if architecture.autonomous:
        raise ValueError("an autonomous forecaster reads no forecast, and so has no sensitivity")
    segment = architecture.segment_steps
    forecasts = padded(steps, segment) // segment
    if forecasts < 2:
        raise ValueError(
            f"a sensitivity takes a free run of at least {segment + 1} steps, but got {steps}"
        )
    members, batch, steps_read, channels = context.shape
    warm_up, width = steps_read // segment, segment * channels
    order = plan(architecture, steps_read, steps, steps_read)
    values = torch.zeros(warm_up + forecasts, members, batch, width, device=context.device)
    values[:warm_up] = fold(context.permute(2, 0, 1, 3), segment)
    unroll = Unroll(forecaster, weights, torch.zeros_like(weights), slots=len(order), batch=batch)
    if exogenous is not None:
        unroll.exogenous = rows_ahead(exogenous.permute(2, 0, 1, 3), segment, len(values) * segment)
    walk = Walk(unroll, order, values, torch.zeros_like(values))

    def feed_back(position: int, output: MemberBatchChannel) -> None:
        values[position] = clipped(output)

    unroll.begin()
    unroll.adapt(context.permute(2, 0, 1, 3))
    walk.forward(feed_back)
    passes = (values.abs() < CLIP_STD).to(values.dtype)
    squares = torch.zeros(members, forecasts - 1, device=context.device)
    for number in range(width):
        unroll.begin()
        grads = torch.zeros_like(values)
        grads[-1, ..., number] = passes[-1, ..., number]
        walk.backward(grads, passes[warm_up:], warm_up=warm_up)
        # [lag, member]: the latest forecast before the last one first
        earlier = grads[warm_up:-1].flip(0)
        squares += earlier.square().sum(3).mean(2).T
    return (squares / segment).sqrt()
