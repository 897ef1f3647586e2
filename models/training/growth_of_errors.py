"""By how much an error grows in a free run: a finite-time Lyapunov exponent by two runs."""

from __future__ import annotations

import torch
from torch import Tensor

from models.axes import MemberBatchTimeChannel, MemberParameter
from models.clip import CLIP_STD
from models.network.forecaster import Forecaster
from models.network.free_run import free_run
from models.training.losses.growth import DISPLACEMENT, LEAST_ENERGY


def growth_of_errors(
    forecaster: Forecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
) -> Tensor:
    """The factor by which an error grows with each step, `[member]`.

    Two free runs of `steps` after `context`, whose last value is displaced in one of them: with E
    the mean square of their difference, over the early half of the steps and over the late one, it
    is (E_late / E_early)^(1 / steps), as the halves' middles lie half of the steps apart. It is
    infinite where a run reaches the clip, beyond which all differences end, and one for less than
    two steps; of several runs of a member, the largest counts.
    """
    members = len(weights)
    if steps < 2:
        return torch.ones(members, device=weights.device)
    run = free_run(forecaster, weights, context, steps)
    other = free_run(forecaster, weights, context, steps, displacement=DISPLACEMENT)
    squares = (other - run).square().flatten(2)  # [member, batch, number]
    half = steps // 2 * run.shape[3]
    energies = [squares[:, :, :half], squares[:, :, half:]]
    early, late = (e.contiguous().mean(2) + LEAST_ENERGY for e in energies)
    factor = torch.exp(torch.log(late / early) / steps).amax(1)
    ends = torch.maximum(run.abs(), other.abs()).flatten(1).amax(1) >= CLIP_STD
    return torch.where(ends, torch.inf, factor)
