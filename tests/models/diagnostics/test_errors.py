"""Errors in the units of the series, by hand-calculated examples and by properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.diagnostics.errors import (
    Errors,
    errors_by_channel,
    errors_of,
    median_errors,
    naive_error,
)

FloatArray = NDArray[np.float64]


def run(*values: float) -> FloatArray:
    """One free run of one channel, `[start, time, channel]`."""
    return np.array(values)[None, :, None]


def span(*values: float) -> FloatArray:
    """A stretch of one channel, `[time, channel]`."""
    return np.array(values)[:, None]


def test_errors_of_an_example() -> None:
    found = errors_of(run(1.0, 2.0, 6.0), run(1.0, 4.0, 2.0), [span(0.0, 1.0, -2.0)])
    assert found.mae == 2.0
    assert found.rmse == pytest.approx(np.sqrt(20 / 3))
    assert found.mase == 1.0  # the value before errs by 1 and by 3


def test_a_season_scales_by_the_value_a_season_before() -> None:
    training = [span(0.0, 10.0, 1.0, 12.0, 2.0, 14.0)]
    assert naive_error(training, 2) == pytest.approx([1.5])
    assert errors_of(run(3.0), run(0.0), training, season_steps=2).mase == 2.0


def test_no_change_runs_from_one_piece_into_the_next() -> None:
    assert naive_error([span(0.0, 1.0), span(), span(100.0), span(50.0, 53.0)], 1) == [2.0]


def test_a_span_shorter_than_a_season_is_scaled_by_the_last_value() -> None:
    assert naive_error([span(0.0, 1.0, 3.0)], 7) == [1.5]
    assert naive_error([span(4.0)], 7) is None
    assert errors_of(run(1.0), run(0.0), [span(4.0)]) == Errors(1.0, 1.0, None)


def test_where_seasonal_naive_never_errs_nothing_is_scaled_by_it() -> None:
    assert errors_of(run(1.0), run(0.0), [span(0.0, 5.0, 0.0, 5.0)], season_steps=2).mase is None


def test_each_channel_has_its_own_scale() -> None:
    training = [np.array([[0.0, 0.0], [1.0, 100.0]])]
    found = errors_of(np.array([[[2.0, 100.0]]]), np.zeros((1, 1, 2)), training)
    assert found.mase == pytest.approx((2.0 + 1.0) / 2)
    assert found.mae == 51.0


def test_channels_of_different_units_have_errors_each_and_no_common_ones() -> None:
    training = [np.array([[0.0, 0.0], [1.0, 100.0]])]
    forecast, truth = np.array([[[2.0, 100.0]]]), np.zeros((1, 1, 2))
    common = errors_of(forecast, truth, training, has_one_unit=False)
    assert common == Errors(None, None, 1.5)
    by_channel = errors_by_channel(forecast, truth, training)
    assert by_channel == (Errors(2.0, 2.0, 2.0), Errors(100.0, 100.0, 1.0))
    assert median_errors([common, common, common]) == common


@given(
    st.lists(st.integers(-1000, 1000), min_size=4, max_size=12),
    st.sampled_from([0.001, 8.0, 1e6]),
    st.integers(1, 3),
)
def test_other_units_scale_the_errors_and_leave_the_scaled_one(
    values: list[int], factor: float, season: int
) -> None:
    truth, forecast = run(*values), run(*values[::-1])
    training = span(*np.cumsum(np.arange(1.0, 9.0)))
    plain = errors_of(forecast, truth, [training], season)
    scaled = errors_of(factor * forecast, factor * truth, [factor * training], season)
    assert plain.mae is not None
    assert plain.rmse is not None
    assert scaled.mae == pytest.approx(factor * plain.mae)
    assert scaled.rmse == pytest.approx(factor * plain.rmse)
    assert scaled.mase == pytest.approx(plain.mase)
    assert plain.mae <= plain.rmse * (1 + 1e-12)


def test_replicas_have_median_errors() -> None:
    errors = [Errors(1.0, 4.0, 0.5), Errors(2.0, 5.0, 0.7), Errors(9.0, 9.0, 0.1)]
    assert median_errors(errors) == Errors(2.0, 5.0, 0.5)
    assert median_errors([*errors, Errors(3.0, 3.0, None)]) == Errors(2.5, 4.5, None)
    assert median_errors([]) is None
