"""The terms of the loss written plainly, for autograd in float64."""

import torch
from torch import Tensor

from models.training.forcing.forcing import Pushforward
from models.training.losses.amplitude import Amplitude
from models.training.losses.growth import LEAST_ENERGY, GrowthPenalty
from models.training.losses.spectral import Spectral
from models.training.losses.squared_error import ProfessorForcing, SquaredError
from models.training.losses.velocity import Velocity
from models.training.trained_network import TrainedNetwork
from tests.models.network.reference_network import Found


def run_steps(candidate: TrainedNetwork, warm_up: int, horizon: int) -> range:
    """Positions of the free run that its losses are taken over."""
    segment = candidate.architecture.segment_steps
    segments = -(-candidate.rollout_steps // segment)
    pushforward = min(candidate[Pushforward].pushforward_steps, segments - 1) * segment
    return range(warm_up + pushforward, warm_up + max(horizon, pushforward + 1))


def loss_of(
    free: Found,
    forced: Found,
    targets: Tensor,
    candidate: TrainedNetwork,
    warm_up: int,
    horizon: int,
) -> Tensor:
    """The one-step and the free-running loss by their shares; targets `[time, batch, channel]`."""
    squared, rollout = candidate[SquaredError], range(warm_up, warm_up + horizon)
    run = run_steps(candidate, warm_up, horizon)

    def error(found: Found, positions: range) -> Tensor:
        errors = [((found.forecasts[t] - targets[t]) ** 2).mean() for t in positions]
        return torch.stack(errors).mean()

    if squared.teacher_span == "rollout":
        teacher = error(forced, rollout)
    else:
        architecture = candidate.architecture
        segment, washout = architecture.segment_steps, warm_up
        if architecture.has_state and architecture.parallel_segments is None:
            washout = (warm_up // segment // 2 + 1) * segment
        teacher = error(free, range(washout, warm_up + segment))
    share = squared.teacher_weight if candidate.feeds_back_in_training else 1.0
    return share * teacher + (1 - share) * error(free, run)


def match_of(
    free: Found, forced: Found, candidate: TrainedNetwork, warm_up: int, horizon: int
) -> Tensor:
    """What professor forcing adds to the loss."""
    if candidate[SquaredError].teacher_span == "warm-up":
        return torch.zeros(())
    match, apart = candidate[ProfessorForcing], []
    for t in run_steps(candidate, warm_up, horizon):
        own, others = free.tops[t], forced.tops[t]
        if match.professor_detach == "free":
            own = own.detach()
        if match.professor_detach == "teacher":
            others = others.detach()
        apart.append(((own - others) ** 2).mean())
    return match.professor_weight * torch.stack(apart).mean()


def further_of(
    free: Found, targets: Tensor, candidate: TrainedNetwork, warm_up: int, horizon: int
) -> Tensor:
    """The further losses of the free run, weighted."""
    run = run_steps(candidate, warm_up, horizon)
    forecast = torch.stack([free.forecasts[t] for t in run], dim=2)
    truth = targets[run.start : run.stop].permute(1, 2, 0)
    return (
        candidate[Velocity].weight * velocity_of(forecast, truth)
        + candidate[Spectral].weight * spectral_of(forecast, truth, candidate.rollout_steps)
        + candidate[Amplitude].weight * amplitude_of(forecast, truth)
    )


def velocity_of(forecast: Tensor, truth: Tensor) -> Tensor:
    """The velocity loss of runs `[batch, channel, time]`."""
    if forecast.shape[2] == 1:
        return torch.zeros(()).double()
    return ((forecast.diff(dim=2) - truth.diff(dim=2)) ** 2).mean()


def spectral_of(forecast: Tensor, truth: Tensor, rollout: int) -> Tensor:
    """The spectral loss, at the frequencies of a rollout of so many steps."""
    spectra = (torch.fft.rfft(series, n=rollout, dim=2) for series in (forecast, truth))
    one, other = spectra
    loss: Tensor = (one - other).abs().mean() / forecast.shape[2] ** 0.5
    return loss


def amplitude_of(forecast: Tensor, truth: Tensor) -> Tensor:
    """The amplitude loss."""
    if forecast.shape[2] == 1:
        return torch.zeros(()).double()
    spreads = (series.std(dim=2, correction=0) for series in (forecast, truth))
    one, other = spreads
    return ((one - other) ** 2).mean()


def growth_of(
    free: Found, displaced: Found, candidate: TrainedNetwork, warm_up: int, horizon: int
) -> Tensor:
    """The growth penalty, weighted; zero without one."""
    penalty, run = candidate[GrowthPenalty], run_steps(candidate, warm_up, horizon)
    if len(run) == 1 or not penalty.growth_penalty:
        return torch.zeros(()).double()
    squares = [(displaced.forecasts[t] - free.forecasts[t]) ** 2 for t in run]
    halves = squares[: len(run) // 2], squares[len(run) // 2 :]
    early, late = (torch.stack(half).mean((0, 2)) + LEAST_ENERGY for half in halves)
    return penalty.growth_weight * (torch.log(late / early) ** 2).mean()
