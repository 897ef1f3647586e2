"""The level of a series is no part of a forecast: a constant that is added changes nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.baselines.baseline import baselines
from models.closed_form.closed_form import ClosedForm
from models.methods import Scalar, methods
from search.evaluation import CandidateResult
from search.series import FloatArray
from tests.search.evaluation.one_view import trained_on

FORMS = [method.name for method in methods() if issubclass(method, ClosedForm)]
PERIOD = 20
SIZES: Mapping[str, Scalar] = {
    "ridge": 1e-4,
    "ar_order": 12,
    "largest_order": 16,
    "ssa_window": 20,
    "ssa_rank": 4,
    "nvar_delays": 3,
    "delay_stride": 2,
    "degree": 2,
    "reservoir_units": 20,
    "fan_in": 4,
    "warm_up_steps": 12,
    "kernel_delays": 6,
    "kernel_stride": 2,
    "kernel_components": 4,
    "kernel_points": 200,
    "season_steps": 20,
    "smoothing_steps": 60,
    "profile_seasons": 2,
    "profile_drift": True,
    "decomposed_seasons": 2,
    "remainder_order": 8,
    "harmonic_steps": 40,
    "harmonic_count": 2,
    "neighbour_window": 20,
    "neighbour_steps": 10,
    "direct_window": 24,
    "direct_steps": 12,
    "periodic_steps": PERIOD,
    "seasons_read": 3,
    "seasons_ahead": 1,
}
TRAIN_STEPS, HORIZON = 200, 30
# The series is a multiple of it, as all levels are: only sums round. 1e9 leaves 2^-23 of it.
GRAIN = 2.0**-12
# Of 1e9, a double leaves 1e-7 of a series of size 1; a free run amplifies that.
ROUNDING = 1e-5


def series(seed: int) -> FloatArray:
    """Two waves, a trend and noise, `[time, channel]`."""
    t, dice = np.arange(TRAIN_STEPS + HORIZON), np.random.default_rng(seed)
    waves = np.sin(2 * np.pi * t / PERIOD) + 0.3 * np.sin(2 * np.pi * t / 7.3 + seed)
    noisy = waves + 0.002 * t + 0.1 * dice.normal(size=len(t))
    return np.asarray(np.round(noisy / GRAIN) * GRAIN)[:, np.newaxis]


def found_on(candidate: Mapping[str, Any], values: FloatArray) -> CandidateResult:
    return trained_on(candidate, values, TRAIN_STEPS)[1]


@settings(deadline=None, max_examples=40)
@given(
    cell=st.sampled_from(FORMS),
    level=st.sampled_from([-1e9, 1024.0, 1e6, 1e9]),
    seed=st.integers(0, 20),
    beside=st.fixed_dictionaries(
        {
            "regularisation": st.sampled_from(["given", "held-out"]),
            "time_reversal": st.booleans(),
            "residual": st.booleans(),
            "context_level": st.sampled_from(["none", "mean", "last"]),
            "seasonal_lag": st.sampled_from([0, PERIOD]),
        }
    ),
)
def test_a_closed_form_scores_the_same_at_every_level(
    cell: str, level: float, seed: int, beside: dict[str, Any]
) -> None:
    candidate = {**SIZES, "cell": cell, **beside}
    near, far = (found_on(candidate, series(seed) + added) for added in (0.0, level))
    assert far.score == pytest.approx(near.score, rel=ROUNDING)
    assert far.verdict == near.verdict


@pytest.mark.parametrize("cell", FORMS)
@pytest.mark.parametrize("time_reversal", [False, True])
def test_without_an_offset_a_zero_far_away_is_no_zero(cell: str, time_reversal: bool) -> None:
    """About its own zero a series is another one than about its mean; far from it, it is not."""
    candidate = {**SIZES, "cell": cell, "time_reversal": time_reversal}
    candidate |= {"offset": False, "regularisation": "held-out"}
    scores = [found_on(candidate, series(3) + level).score for level in (1e4, 1e6, 1e9)]
    assert scores == pytest.approx(scores[:1] * 3, rel=ROUNDING)


@pytest.mark.parametrize("name", baselines())
def test_a_baseline_scores_the_same_at_every_level(name: str) -> None:
    scores = []
    for level in (0.0, 1e4, 1e6, 1e9):
        values = series(3) + level
        own = baselines()[name].settings_for(values[:TRAIN_STEPS], (float(PERIOD),))
        scores.append(found_on(own, values).score)
    assert scores[1:] == pytest.approx(scores[1:2] * 3, rel=ROUNDING)
    # Those without an offset run about the zero of a series that has one.
    assert scores[0] == pytest.approx(
        scores[1], rel=1.0 if name in ("ridge-ar", "ssa") else ROUNDING
    )
