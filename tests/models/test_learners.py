"""What can be done with any candidate: learning, free runs, one-step forecasts, memory."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from models.candidate import (
    AnyForecaster,
    Candidate,
    candidate_of,
    free_run,
    learner_of,
    member_bytes,
)
from models.closed_form.fitting import Fitting
from models.cohort import Member
from models.training.trainer import Trainer

SPAN, WINDOW = 60, 6
CLOSED_FORMS: dict[str, dict[str, Any]] = {
    "ar": {"ridge": 1e-3},
    "nvar": {"units": 3, "delay_stride": 2, "degree": 2, "ridge": 1e-3, "context_steps": 5},
    "ssa": {"ssa_rank": 2},
    "kernel-ridge": {"ridge": 1e-3},
    "smoothing": {"season_steps": 4, "smoothing_steps": 12, "trend": "damped"},
    "seasonal-profile": {"season_steps": 4, "profile_seasons": 3, "profile_drift": True},
    "decomposition": {"season_steps": 4, "decomposed_seasons": 2, "ridge": 1e-3},
    "harmonics": {"season_steps": 4, "harmonic_steps": 9, "harmonic_trend": True, "ridge": 1e-3},
    "theta": {"season_steps": 4, "decomposed_seasons": 3},
    "direct-ridge": {"direct_window": 9, "direct_steps": 4, "context_level": "mean"},
    "periodic-ridge": {"seasons_read": 3, "season_means": True, "seasons_fading": 1.0},
    "nested-ridge": {"seasons_read": 3, "season_means": True, "remainder_ridge": 0.1},
    "nearest-neighbours": {"neighbours": 3, "neighbour_steps": 2},
    "esn": {"units": 8, "fan_in": 2, "ridge": 1e-3, "spectral_radius": 0.5},
}


def fitted(
    make_candidate: Callable[..., Candidate], cell: str
) -> tuple[AnyForecaster, Tensor, Tensor]:
    """Two members of a closed form on two channels: forecaster, numbers, contexts of three runs."""
    choice = {"context": "state", "context_steps": WINDOW} | CLOSED_FORMS[cell]
    candidate = make_candidate(cell=cell, **choice)
    time = torch.arange(SPAN).double()
    series = torch.stack([torch.sin(0.3 * time), torch.cos(0.3 * time)], dim=1)
    noise = torch.randn(2, SPAN, 2, generator=Generator().manual_seed(0)).double()
    values = series + 0.1 * noise
    learner = learner_of([Member(candidate, i, seed=i) for i in range(2)], values, "cpu")
    for _ in learner:
        pass
    steps = learner.warm_up
    contexts = torch.stack([values[:, s : s + steps] for s in (0, 7, 20)], dim=1)
    return learner.forecaster, learner.scored_weights, contexts


@pytest.mark.parametrize("cell", CLOSED_FORMS)
def test_the_first_step_on_the_truth_is_that_of_the_free_run(
    make_candidate: Callable[..., Candidate], cell: str
) -> None:
    forecaster, weights, contexts = fitted(make_candidate, cell)
    run = free_run(forecaster, weights, contexts, 9)
    truth = torch.randn(run.shape, generator=Generator().manual_seed(1)).double()
    taught = free_run(forecaster, weights, contexts, 9, truth)
    torch.testing.assert_close(taught[:, :, 0], run[:, :, 0], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(taught[:, :, 1], run[:, :, 1])


@pytest.mark.parametrize("cell", ["ar", "nvar", "ssa", "kernel-ridge"])
def test_a_window_taught_with_its_own_run_makes_that_run(
    make_candidate: Callable[..., Candidate], cell: str
) -> None:
    forecaster, weights, contexts = fitted(make_candidate, cell)
    run = free_run(forecaster, weights, contexts, 9)
    taught = free_run(forecaster, weights, contexts, 9, truth=run)
    torch.testing.assert_close(taught, run, rtol=1e-10, atol=1e-10)


def noise() -> Tensor:
    """Two series of one channel, in double precision."""
    return torch.randn(2, SPAN, 1, generator=Generator().manual_seed(4), dtype=torch.float64)


def test_a_candidate_is_trained_or_fitted(make_candidate: Callable[..., Candidate]) -> None:
    form = make_candidate(cell="ar", context_steps=WINDOW)
    fitted = learner_of([Member(form, 0, 0)], noise(), "cpu")
    trained = learner_of([Member(make_candidate(), 0, 0)], noise(), "cpu")
    assert isinstance(fitted, Fitting)
    assert isinstance(trained, Trainer)
    precisions = fitted.scored_weights.dtype, trained.scored_weights.dtype
    assert precisions == (torch.float64, torch.float32)
    assert (fitted.total_steps, trained.total_steps) == (1, 3)


def test_a_network_reads_contexts_of_double_precision(
    make_candidate: Callable[..., Candidate],
) -> None:
    learner = learner_of([Member(make_candidate(), 0, 0)], noise(), "cpu")
    context = noise()[:, None, : learner.warm_up]
    single = free_run(learner.forecaster, learner.scored_weights, context.float(), 5)
    assert torch.equal(free_run(learner.forecaster, learner.scored_weights, context, 5), single)


@pytest.mark.parametrize(
    "more",
    [{"layers": 3}, {"batch_size": 4}, {"dropout": 0.1}, {"growth_penalty": True}],
    ids=lambda more: next(iter(more)),
)
def test_more_layers_batches_masks_or_branches_need_more_memory(
    make_candidate: Callable[..., Candidate], more: dict[str, Any]
) -> None:
    plain = {"cell": "gru", "context": "state", "rollout_steps": 4}
    assert member_bytes(make_candidate(**plain, **more)) > member_bytes(make_candidate(**plain))


def test_known_inputs_are_kept_by_each_network_for_each_channel_that_runs_by_itself(
    make_candidate: Callable[..., Candidate],
) -> None:
    def added(channels: str, **inputs: bool) -> int:
        values = make_candidate(cell="gru", **inputs).values()
        made = candidate_of({**values, "channels": channels})
        return member_bytes(made, 5, train_steps=1000, known=3) - member_bytes(made, 5)

    assert added("independent", known_inputs=True) == 4 * 1000 * 3 * 5
    assert added("mixing", known_inputs=True) == 4 * 1000 * 3
    assert added("independent") == 0


def test_a_linear_network_needs_less_memory_than_in_a_loop(
    make_candidate: Callable[..., Candidate],
) -> None:
    linear = {"cell": "lru", "context": "state", "context_steps": 100, "rollout_steps": 100}
    looping = make_candidate(**linear, teacher_span="rollout", batch_size=16)
    assert member_bytes(make_candidate(**linear, batch_size=16)) < member_bytes(looping)
