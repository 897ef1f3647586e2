"""What a cohort's free runs read at each position, and where the gradient flows through it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from models.network.forecaster import Forecaster
from models.network.options.segments import padded
from models.network.walk import free_run
from models.tensors import CLIP_STD, MemberBatchTimeChannel, MemberParameter, PerMember
from models.training.forcing.forcing import DataAsDemonstrator, Forcing, Pushforward
from models.training.losses.growth import DISPLACEMENT, LEAST_ENERGY
from models.training.trained_network import TrainedNetwork


class CohortForcing(PerMember):
    """The schedules of a cohort's members, None for a member whose runs are free."""

    by_member = ("schedules", "pushforward", "stops_gradient", "shares")

    def __init__(self, candidates: Sequence[TrainedNetwork], device: torch.device) -> None:
        self.device = device
        # The segments that a free run feeds back: all but the last, which nothing reads.
        segment = candidates[0].architecture.segment_steps
        self.rollout = padded(candidates[0].rollout_steps, segment) // segment
        self.batch = candidates[0].optimiser.batch_size
        steps = candidates[0].optimiser.training_steps
        forcings = [candidate.find(Forcing) for candidate in candidates]
        self.schedules = [
            None if forcing is None else forcing.schedule(steps, self.rollout)
            for forcing in forcings
        ]
        # Steps of the rollout that are run without a gradient, `[member]`; one at least counts.
        self.pushforward = torch.tensor(
            [min(c[Pushforward].pushforward_steps, self.rollout - 1) for c in candidates]
        )
        self.stops_gradient = torch.tensor(
            [c[DataAsDemonstrator].data_as_demonstrator for c in candidates]
        )
        # By member, and then as `draw` returns them.
        size = (self.rollout, self.batch, 1) if any(self.schedules) else (0,)
        self.shares = torch.zeros(len(candidates), *size, device=device)

    def adapting(self, step: int) -> list[int]:
        """The members whose schedules have the growth of errors measured before a step."""
        return [i for i, s in enumerate(self.schedules) if s is not None and s.is_due(step)]

    def draw(self, step: int, generators: Sequence[Generator]) -> Tensor | None:
        """The truth's share at an optimiser step, `[rollout time, member, batch, 1]`.

        From each member's own generator where its forcing draws. None where nobody is forced; the
        next call overwrites it.
        """
        if not any(self.schedules):
            return None
        for member, schedule in enumerate(self.schedules):
            if schedule is None:
                continue
            share = schedule.share(step)
            if schedule.forcing.draws:
                drawn = torch.rand(self.rollout, self.batch, generator=generators[member])
                self.shares[member, :, :, 0] = (drawn < share).float()
            else:
                self.shares[member, :, :, 0] = torch.as_tensor(share).view(-1, 1)
        return self.shares.transpose(0, 1)

    def passes(self) -> Tensor:
        """Whether gradients flow through a value fed back, `[rollout time, member, 1, 1]`, or 0."""
        time = torch.arange(self.rollout).unsqueeze(1)
        flows = (time >= self.pushforward) & ~self.stops_gradient
        return flows.to(self.device, torch.float32).unsqueeze(2).unsqueeze(3)

    def observe(self, growth: Mapping[int, float], step: int) -> None:
        """Take in the growth of errors of some members, by their position, before a step."""
        for member, factor in growth.items():
            schedule = self.schedules[member]
            if schedule is not None:
                schedule.observe(factor, step)


def growth_of_errors(
    forecaster: Forecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    exogenous: MemberBatchTimeChannel | None = None,
) -> Tensor:
    """The factor by which an error grows with each forecast that is fed back, `[member]`.

    Two free runs of `steps` after `context`, whose last value is displaced in one of them: with E
    the mean square of their difference, over the early half of the steps and over the late one, it
    is (E_late / E_early)^(1 / forecasts), as the halves' middles lie half of the run apart. A
    forecast is a segment, of a single value where it has one step. The factor is infinite where a
    run reaches the clip, beyond which all differences end, and one for less than two steps; of
    several runs of a member, the largest counts. exogenous: see `free_run`.
    """
    members = len(weights)
    if steps < 2:
        return torch.ones(members, device=weights.device)
    given = (forecaster, weights, context, steps)
    run = free_run(*given, exogenous=exogenous)
    other = free_run(*given, displacement=DISPLACEMENT, exogenous=exogenous)
    squares = (other - run).square().flatten(2)  # [member, batch, number]
    half = steps // 2 * run.shape[3]
    energies = [squares[:, :, :half], squares[:, :, half:]]
    early, late = (e.contiguous().mean(2) + LEAST_ENERGY for e in energies)
    forecasts = steps / forecaster.architecture.segment_steps
    factor = torch.exp(torch.log(late / early) / forecasts).amax(1)
    ends = torch.maximum(run.abs(), other.abs()).flatten(1).amax(1) >= CLIP_STD
    return torch.where(ends, torch.inf, factor)
