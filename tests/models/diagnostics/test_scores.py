"""Scores by hand-calculated examples and by properties."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from numpy.typing import NDArray

from models.diagnostics.scores import (
    errors_at,
    geometric_mean,
    nmse,
    nmse_curve,
    score,
    valid_prediction_steps,
)

FloatArray = NDArray[np.float64]


def runs(*values: list[float]) -> FloatArray:
    """Free runs of one channel, `[start, time, channel]`."""
    return np.array(values)[:, :, None]


def test_curve_is_the_mean_over_start_points() -> None:
    forecast, truth = runs([1.0, 2.0], [3.0, 4.0]), runs([0.0, 0.0], [0.0, 2.0])
    curve = nmse_curve(forecast, truth, 2.0)
    assert curve.tolist() == [2.5, 2.0]
    assert nmse(curve) == 2.25


def test_each_channel_is_divided_by_its_own_variance() -> None:
    forecast, truth = np.array([[[2.0, 10.0]]]), np.zeros((1, 1, 2))
    assert nmse_curve(forecast, truth, np.array([4.0, 100.0])).tolist() == [1.0]
    scores = score(forecast, truth, np.array([4.0, 100.0]), np.zeros(2), np.array([2.0, 10.0]))
    assert scores.nmse == 1.0


def test_a_forecast_is_valid_until_its_error_first_exceeds_the_threshold() -> None:
    truth = runs([0.0, 0.0, 0.0, 0.0])
    # variance 4, so the limit is 0.4 * 2
    assert valid_prediction_steps(runs([0.7, -0.9, 0.0, 0.0]), truth, 4.0) == 1.0
    assert valid_prediction_steps(runs([0.9, 0.0, 0.0, 0.0]), truth, 4.0) == 0.0
    assert valid_prediction_steps(runs([0.79, 0.79, 0.79, 0.79]), truth, 4.0) == 4.0


def test_valid_steps_are_averaged_over_start_points() -> None:
    forecast, truth = runs([0.0, 9.0, 0.0], [0.0, 0.0, 0.0]), runs([0.0] * 3, [0.0] * 3)
    assert valid_prediction_steps(forecast, truth, 1.0) == 2.0


def test_valid_steps_of_several_channels_take_their_root_mean_square() -> None:
    truth = np.zeros((1, 2, 2))
    forecast = np.array([[[0.5, 0.0], [0.5, 0.5]]])  # root mean squares 0.354 and 0.5
    assert valid_prediction_steps(forecast, truth, 1.0) == 1.0


def test_errors_are_told_at_horizons_counted_from_one() -> None:
    curve = np.arange(1.0, 65.0)
    assert errors_at(curve) == {1: 1.0, 4: 4.0, 16: 16.0, 64: 64.0}
    assert errors_at(curve, horizons=(2, 65)) == {2: 2.0}


def test_a_diverged_run_has_a_finite_bad_score() -> None:
    scores = score(runs([np.nan, np.inf, -np.inf]), runs([0.0] * 3), 1.0, 0.0, 1.0)
    assert 1e6 < scores.nmse < 1e10
    assert scores.curve.tolist() == [scores.nmse] * 3
    assert scores.valid_prediction_steps == 0.0
    assert scores.errors_at == {1: scores.nmse}


def test_persistence_of_a_series_that_grows_tenfold_is_scored_as_it_is() -> None:
    grown = 10 ** (np.arange(200) / 100)
    training, truth = grown[:100], grown[None, 100:, None]
    mean, std = training.mean(), training.std()
    last = np.full_like(truth, training[-1])
    expected = np.mean((truth - training[-1]) ** 2) / std**2
    assert np.abs(truth - mean).max() > 30 * std
    assert score(last, truth, std**2, mean, std).nmse == pytest.approx(expected)


def test_the_training_mean_scores_one() -> None:
    truth = np.sin(np.arange(1000) * 2 * np.pi / 100)[None, :, None]
    scores = score(np.zeros_like(truth), truth, 0.5, 0.0, 0.7)
    assert scores.nmse == pytest.approx(1.0)


shapes = st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 2))
moderate = st.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=60)
@given(
    st.data(),
    shapes,
    st.floats(1e-3, 1e6),
    st.floats(1e-3, 1e6),
    moderate,
)
def test_every_score_is_finite(
    data: st.DataObject, shape: tuple[int, int, int], variance: float, std: float, mean: float
) -> None:
    forecast = data.draw(stn.arrays(np.float64, shape, elements=st.floats()))
    truth = data.draw(stn.arrays(np.float64, shape, elements=moderate))
    scores = score(forecast, truth, variance, mean, std)
    assert np.isfinite([scores.nmse, scores.valid_prediction_steps]).all()
    assert np.isfinite(scores.curve).all()
    assert scores.curve.shape == (shape[1],)
    assert scores.nmse >= 0.0
    assert 0.0 <= scores.valid_prediction_steps <= shape[1]
    assert scores.errors_at == errors_at(scores.curve)


@settings(deadline=None, max_examples=30)
@given(stn.arrays(np.float64, (2, 5, 1), elements=moderate))
def test_truth_itself_scores_zero(truth: FloatArray) -> None:
    scores = score(truth, truth, 1.0, 0.0, 1e6)
    assert scores.nmse == 0.0
    assert scores.valid_prediction_steps == 5.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forecast": runs([0.0])}, "one shape"),
        ({"forecast": runs([]), "truth": runs([])}, "one shape"),
        ({"truth": runs([0.0, np.inf])}, "must be finite"),
        ({"truth": runs([np.nan, np.nan])}, "known from each start"),
        ({"mean": np.inf}, "must be finite"),
        ({"variance": 0.0}, "variance must be finite and above 0, but got 0"),
        ({"variance": np.nan}, "variance must be finite and above 0, but got nan"),
        ({"std": -1.0}, "standard deviation must be finite and above 0, but got -1"),
    ],
)
def test_impossible_inputs_of_a_score_are_refused(change: dict[str, Any], message: str) -> None:
    fine: dict[str, Any] = {
        "forecast": runs([0.0, 0.0]),
        "truth": runs([0.0, 1.0]),
        "variance": 1.0,
        "mean": 0.0,
        "std": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        score(**(fine | change))


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=20), st.floats(1e-3, 1e3))
def test_the_geometric_mean_scales_and_lies_between(scores: list[float], factor: float) -> None:
    mean = geometric_mean(scores)
    assert min(scores) * (1 - 1e-9) <= mean <= max(scores) * (1 + 1e-9)
    assert geometric_mean([factor * each for each in scores]) == pytest.approx(factor * mean)


def test_the_geometric_mean_sees_one_failure_of_many() -> None:
    steady, failing = [0.003] * 16, [0.001] * 13 + [1.5] * 3
    assert geometric_mean(steady) < geometric_mean(failing)
    assert np.median(steady) > np.median(failing)
    assert geometric_mean([0.5, 0.0]) == 0.0
