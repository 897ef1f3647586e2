"""Means and scores where some truth is masked, beside NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.diagnostics.conformal import RunErrors
from models.diagnostics.errors import errors_of
from models.diagnostics.known import known_mean, known_median
from models.diagnostics.reach import EXACT_RATIO, held
from models.diagnostics.scores import score


def some(seed: int, shape: tuple[int, ...], share: float) -> np.ndarray:
    """Numbers of which a share is masked, but none of the first step."""
    random = np.random.default_rng(seed)
    values = random.normal(size=shape)
    values[random.random(shape) < share] = np.nan
    values[:, :1] = 0.5
    return values


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([None, 0, 1, (0, 2)]))
def test_the_mean_of_what_is_known_is_numpys(seed: int, axis: int | tuple[int, ...] | None) -> None:
    values = some(seed, (4, 5, 3), 0.2)
    expected = np.nanmean(values, axis=axis)  # which may be near zero
    np.testing.assert_allclose(known_mean(values, axis), expected, rtol=1e-12, atol=1e-14)
    whole = np.random.default_rng(seed).normal(size=(4, 5, 3))
    assert np.array_equal(known_mean(whole, axis), whole.mean(axis=axis))
    assert np.array_equal(known_median(whole), np.median(whole, axis=0))


def test_nothing_known_has_no_mean_and_no_median() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    np.testing.assert_array_equal(known_mean(values, 0), [2.0, np.nan])
    np.testing.assert_array_equal(known_median(values), [2.0, np.nan])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_scores_of_masked_truth_are_means_over_what_is_known(seed: int) -> None:
    truth = some(seed, (3, 12, 2), 0.3)
    truth[:, 7] = np.nan
    forecast = np.random.default_rng(seed + 1).normal(size=truth.shape)
    variance, zeros = np.array([2.0, 0.5]), np.zeros(2)
    found = score(forecast, truth, variance, zeros, np.ones(2), (1, 8, 12))
    squared = (forecast - truth) ** 2 / variance
    assert found.nmse == pytest.approx(np.nanmean(squared))
    np.testing.assert_allclose(found.by_start, np.nanmean(squared, axis=(1, 2)))
    assert np.isnan(found.curve[7])
    kept = np.delete(squared, 7, axis=1)
    np.testing.assert_allclose(np.delete(found.curve, 7), known_mean(kept, (0, 2)))
    assert 8 not in found.errors_at
    assert found.errors_at[1] == pytest.approx(np.nanmean(squared[:, 0]))
    pieces = [np.arange(10.0)[:, None] * np.array([1.0, 2.0])]
    errors = errors_of(forecast, truth, pieces)
    distance = np.abs(forecast - truth)
    assert errors.mae == pytest.approx(np.nanmean(distance))
    assert errors.rmse == pytest.approx(np.sqrt(np.nanmean(distance**2)))
    assert errors.mase == pytest.approx(np.nanmean(distance / np.array([1.0, 2.0])))


def test_a_masked_step_does_not_end_a_valid_run() -> None:
    truth = np.array([0.0, np.nan, 0.0, 0.0])[None, :, None]
    forecast = np.array([0.0, 50.0, 0.0, 3.0])[None, :, None]
    assert score(forecast, truth, 1.0, 0.0, 1.0).valid_prediction_steps == 3.0


def test_masked_truth_sets_no_bound_on_errors() -> None:
    truth, forecast = np.array([[[2.0], [np.nan]]]), np.array([[[5.0], [1e9]]])
    drawn = held(forecast, truth, 0.0, 1.0)
    assert drawn[0, 0, 0] == 5.0
    assert drawn[0, 1, 0] == pytest.approx(2 * EXACT_RATIO * (1 + np.log(1e9 / (2 * EXACT_RATIO))))


def test_bands_are_made_of_the_errors_that_are_known() -> None:
    """Half of the errors are masked, at the first steps all of them: bands stay about the same."""
    random = np.random.default_rng(0)
    errors = random.normal(size=(40, 16, 1)) * np.linspace(1, 2, 16)[:, None]
    steps, places = np.arange(1, 17), np.arange(40) * 16
    whole = RunErrors(errors, steps, places)
    gappy = errors.copy()
    gappy[random.random(errors.shape) < 0.5] = np.nan
    gappy[:, :3] = np.nan
    found = RunErrors(gappy, steps, places)
    ratio = found.half_widths(0.8, 20) / whole.half_widths(0.8, 20)
    assert np.isfinite(ratio).all()
    np.testing.assert_allclose(ratio, 1.0, atol=0.25)
    assert found.covered(0.8) == pytest.approx(0.8, abs=0.06)
    with pytest.raises(ValueError, match="finite error at some step"):
        RunErrors(np.where(np.arange(40)[:, None, None] == 3, np.nan, errors), steps, places)
