"""How much of an error in a free run is left later: the gradient through the rollout.

An error made at one step of a free run is read at the next, and every later forecast is a function
of it. What is left of it after some steps is the derivative of the later forecast with respect to
the earlier one, which is at the same time the gradient that training through the rollout has to
work with: where it vanishes, errors are forgotten and nothing can be learned from them; where it
grows, the run loses its way and gradients explode (Bengio, Simard & Frasconi 1994).
"""

import torch
from torch import Tensor

from models.axes import MemberBatchTimeChannel, MemberParameter
from models.forecaster import Forecaster, Unroll
from models.freerun import CLIP_STD
from models.plan import plan


@torch.no_grad()
def error_echo(
    forecaster: Forecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
) -> Tensor:
    """Norms `[member, lag]` of d(last forecast) / d(forecast lag + 1 steps before), for all lags.

    context: `[member, batch, time, channel]` as `free_run` reads it; steps: of the free run, so
    that there are steps - 1 lags. The norm is Frobenius' over channels, its root mean square over
    the batch. Beyond the clip a forecast is constant, and no error passes.

    Raises ValueError for a forecaster that never reads its own forecasts, and for steps below 2.
    """
    architecture = forecaster.architecture
    if architecture.autonomous:
        raise ValueError("an autonomous forecaster feeds nothing back, and has no echo of errors")
    if steps < 2:
        raise ValueError(f"an echo takes a free run of at least 2 steps, but got {steps}")
    members, batch, warm_up, channels = context.shape
    whole_window = architecture.reads_whole_window
    order = plan(architecture.context, warm_up, steps, warm_up, whole_window=whole_window)
    values = torch.zeros(warm_up + steps, members, batch, channels, device=context.device)
    values[:warm_up] = context.permute(2, 0, 1, 3)
    unroll = Unroll(forecaster, weights, torch.zeros_like(weights), slots=len(order), batch=batch)
    unroll.begin()
    unroll.adapt(values[:warm_up])
    for index, step in enumerate(order):
        unroll.forward(index, step.read(values), reset=step.reset)
        if step.emits is not None:
            unroll.emit(index, values[step.emits])
            values[step.emits].nan_to_num_(nan=CLIP_STD).clamp_(-CLIP_STD, CLIP_STD)
    passes = (values.abs() < CLIP_STD).to(values.dtype)
    squares = torch.zeros(members, steps - 1, device=context.device)
    for channel in range(channels):
        unroll.begin()
        grads = torch.zeros_like(values)
        grads[-1, ..., channel] = passes[-1, ..., channel]
        for index in range(len(order) - 1, -1, -1):
            step = order[index]
            is_fed_back = step.newest >= warm_up
            grad_read = unroll.backward(
                index,
                None if step.emits is None else grads[step.emits],
                reset=step.reset,
                wants_input=is_fed_back,
            )
            if grad_read is None:
                continue
            read = grad_read.unflatten(2, (step.count, channels))
            for position in range(max(step.reads, warm_up), step.newest + 1):
                grads[position].addcmul_(read[:, :, position - step.reads], passes[position])
        # [lag, member]: the latest forecast before the last one first
        earlier = grads[warm_up:-1].flip(0)
        squares += earlier.square().sum(3).mean(2).T
    return squares.sqrt()
