"""Seasonal naive: the period that it finds, and what it repeats."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.baselines.seasonal_naive import SeasonalNaive


def wave(steps: int, period: float, noise: float = 0.0) -> NDArray[np.float64]:
    time = np.arange(steps)
    values = np.sin(2 * np.pi * time / period) + 0.3 * np.sin(4 * np.pi * time / period)
    noisy = 5.0 + values + noise * np.random.default_rng(0).normal(size=steps)
    return np.asarray(noisy[:, np.newaxis])


@pytest.mark.parametrize("period", [7, 12, 24, 168])
def test_a_periodic_series_is_continued(period: int) -> None:
    series = wave(6 * period + 3, period)
    fitted = SeasonalNaive.fit(series[: 4 * period])
    assert fitted.period == period
    forecast = fitted.forecast(series[: 4 * period], 2 * period + 3)
    np.testing.assert_allclose(forecast, series[4 * period :], atol=1e-9)


def test_the_period_is_found_in_noise() -> None:
    assert SeasonalNaive.fit(wave(240, 24, noise=0.5)).period == 24


def test_less_than_two_periods_repeat_the_last_value() -> None:
    series = wave(40, 36)
    forecast = SeasonalNaive.fit(series).forecast(series, 5)
    np.testing.assert_array_equal(forecast, np.repeat(series[-1:], 5, axis=0))


def test_every_channel_repeats_its_own_values() -> None:
    series = np.concatenate([wave(60, 12), -wave(60, 12)], axis=1)
    forecast = SeasonalNaive.fit(series).forecast(series, 12)
    np.testing.assert_array_equal(forecast, series[-12:])
