"""A series that leaves its training span far behind: no forecast of it is cut off."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from search.evaluation import CandidateResult, Cohort
from search.evaluation.diagnostics import run_networks
from search.series import FloatArray
from tests.search.evaluation.one_view import trained_on

TRAIN_STEPS, HORIZON = 100, 150
AR: Mapping[str, Any] = {"cell": "ar", "regularisation": "given", "ridge": 0.0, "offset": False}
FORECASTERS: Mapping[str, Mapping[str, Any]] = {
    "ar": {**AR, "ar_order": 2},
    "shrunk": {**AR, "ar_order": 2, "ridge": 1e-3},
    "shrunk more": {**AR, "ar_order": 2, "ridge": 1e-1},
    "persistence": {"cell": "seasonal-naive", "season_steps": 1},
    "mean": {"cell": "mean"},
    "logarithm": {**AR, "ar_order": 2, "offset": True, "power_transform": "log", "residual": True},
}


def growth() -> FloatArray:
    """2 % a step, `[time, channel]`: twenty times as much at the end of the horizon."""
    return np.asarray(1.02 ** np.arange(TRAIN_STEPS + HORIZON))[:, np.newaxis]


def trained(settings: Mapping[str, Any]) -> tuple[Cohort, CandidateResult]:
    return trained_on(settings, growth(), TRAIN_STEPS)


def test_forecasters_of_a_growing_series_do_not_tie() -> None:
    found = {name: trained(own)[1] for name, own in FORECASTERS.items()}
    assert len({result.score for result in found.values()}) == len(FORECASTERS)
    assert found["ar"].score < 1e-15
    assert {name for name, own in found.items() if own.verdict == "tracks"} == {"ar", "logarithm"}
    assert "diverges" not in {own.verdict for own in found.values()}


def test_persistence_has_the_error_that_it_has() -> None:
    values, (_, result) = growth()[:, 0], trained(FORECASTERS["persistence"])
    misses = values[TRAIN_STEPS:] - values[TRAIN_STEPS - 1]
    assert result.score == pytest.approx(np.mean(misses**2) / values[:TRAIN_STEPS].var())
    errors = result.record.errors
    assert errors is not None
    assert errors.mae == pytest.approx(misses.mean())
    assert errors.rmse == pytest.approx(np.sqrt(np.mean(misses**2)))
    assert errors.mase == pytest.approx(misses.mean() / np.diff(values[:TRAIN_STEPS]).mean())


def test_an_exported_run_goes_on_growing() -> None:
    networks = trained(FORECASTERS["ar"])[0].checkpoint()
    context = growth()[np.newaxis, np.newaxis, :TRAIN_STEPS][:, :, -networks.shown_steps :]
    run = run_networks(networks, context, 1000)[0, 0, :, 0]
    expected = 1.02 ** np.arange(TRAIN_STEPS, TRAIN_STEPS + 1000.0)
    np.testing.assert_allclose(run, expected, rtol=1e-6)
