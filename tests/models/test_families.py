"""Free runs and one-step forecasts of closed forms, by the functions that networks share."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from models.candidate import Candidate
from models.families import AnyForecaster, free_run, learning_of
from models.training import Member

SPAN, WINDOW = 60, 6
CLOSED_FORMS: dict[str, dict[str, Any]] = {
    "ar": {"ridge": 1e-3},
    "nvar": {"units": 3, "delay_stride": 2, "degree": 2, "ridge": 1e-3, "context_steps": 5},
    "ssa": {"ssa_rank": 2},
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
    learning = learning_of([Member(candidate, i, seed=i) for i in range(2)], values, "cpu")
    for _ in learning:
        pass
    steps = learning.warm_up
    contexts = torch.stack([values[:, s : s + steps] for s in (0, 7, 20)], dim=1)
    return learning.forecaster, learning.scored_weights, contexts


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


@pytest.mark.parametrize("cell", ["ar", "nvar", "ssa"])
def test_a_window_taught_with_its_own_run_makes_that_run(
    make_candidate: Callable[..., Candidate], cell: str
) -> None:
    forecaster, weights, contexts = fitted(make_candidate, cell)
    run = free_run(forecaster, weights, contexts, 9)
    taught = free_run(forecaster, weights, contexts, 9, truth=run)
    torch.testing.assert_close(taught, run, rtol=1e-10, atol=1e-10)
