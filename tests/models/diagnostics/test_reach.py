"""What is far beyond the truth has a finite error, and keeps its order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.diagnostics.reach import EXACT_RATIO, held
from models.diagnostics.scores import score

FloatArray = NDArray[np.float64]

anything = st.floats(allow_nan=True, allow_infinity=True)
levels = st.floats(-1e6, 1e6)
stds = st.floats(1e-3, 1e6)


def run(*values: float) -> FloatArray:
    """One free run of one channel, `[start, time, channel]`."""
    return np.array(values)[None, :, None]


@given(st.lists(anything, min_size=1, max_size=9), levels, stds)
def test_errors_are_finite_whatever_is_forecast(
    values: list[float], mean: float, std: float
) -> None:
    forecast = run(*values)
    truth = np.full_like(forecast, mean + std)
    near = held(forecast, truth, mean, std)
    assert np.isfinite(near).all()
    assert np.isfinite(np.square((near - mean) / std)).all()


@given(st.floats(0.0, 1e300), st.floats(1.0 + 1e-6, 1e6))
def test_what_is_further_away_stays_further_away(distance: float, factor: float) -> None:
    near = held(run(distance, factor * distance + 1e-3, np.inf), run(0.0, 0.0, 0.0), 0.0, 1.0)
    assert near[0, 0, 0] < near[0, 1, 0] < near[0, 2, 0]
    turned = held(run(-distance), run(0.0), 0.0, 1.0)
    assert turned[0, 0, 0] == -near[0, 0, 0]


@settings(max_examples=50)
@given(levels, stds, st.floats(-5e4, 5e4))
def test_nothing_near_the_truth_is_touched(mean: float, std: float, reached: float) -> None:
    """A forecast goes as far as the truth and far beyond: that is an error like any other."""
    truth = run(mean, mean + reached * std)
    furthest = 0.99 * EXACT_RATIO * max(1.0, abs(reached)) * std
    forecast = run(mean - furthest, mean + furthest)
    np.testing.assert_array_equal(held(forecast, truth, mean, std), forecast)


def test_runs_that_explode_rank_by_how_fast_they_do() -> None:
    truth = np.zeros((1, 100, 1))
    rates = (1.5, 2.0, 3.0, 1e3, 1e5)
    with np.errstate(over="ignore"):
        runs = [rate ** np.arange(100.0)[None, :, None] for rate in rates]
    found = [score(own, truth, 1.0, 0.0, 1.0).nmse for own in runs]
    assert found == sorted(set(found))
    assert np.isfinite(found).all()
