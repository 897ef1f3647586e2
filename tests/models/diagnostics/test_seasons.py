"""Seasons are found under noise, trends, steps and outliers, and in noise there are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.diagnostics.scores import FloatArray
from models.diagnostics.seasons import seasons_of

HOURS, DAYS = (24.0, 168.0), (7.0, 365.25)


def load(rows: int, noise: float, step: float, seed: int) -> FloatArray:
    """Hours of a load with a daily wave and a step between workdays and weekends."""
    time = np.arange(rows)
    values = 500 + 120 * np.sin(2 * np.pi * time / 24) + step * ((time // 24) % 7 < 5)
    found: FloatArray = values + np.random.default_rng(seed).normal(0, noise, rows)
    return found[:, np.newaxis]


def autoregression(rows: int, coefficient: float, seed: int) -> FloatArray:
    noise = np.random.default_rng(seed).standard_normal(rows)
    values = np.cumsum(noise) if coefficient == 1.0 else np.empty(rows)
    if coefficient < 1.0:
        values[0] = noise[0] / np.sqrt(1 - coefficient**2)
        for row in range(1, rows):
            values[row] = coefficient * values[row - 1] + noise[row]
    return values[:, np.newaxis]


@settings(deadline=None, max_examples=15)
@given(
    st.integers(800, 2200),
    st.sampled_from([8, 25]),
    st.sampled_from([40, 100]),
    st.integers(0, 999),
    st.booleans(),
)
def test_hours_of_a_load_have_a_day_and_a_week(
    rows: int, noise: float, step: float, seed: int, is_timed: bool
) -> None:
    assert seasons_of(load(rows, noise, step, seed), HOURS if is_timed else ()) == HOURS


@settings(deadline=None, max_examples=12)
@given(
    st.sampled_from(["trend", "level", "outliers", "walk", "price", "units"]), st.integers(0, 99)
)
def test_a_day_and_a_week_are_found_beside_what_else_moves(what: str, seed: int) -> None:
    values, generator = load(1500, 25, 100, seed), np.random.default_rng(seed)
    if what == "trend":
        values[:, 0] += 0.3 * np.arange(1500)
    elif what == "level":
        values[700:] += 400
    elif what == "outliers":
        values[generator.integers(0, 1500, 6)] += 3000
    elif what == "walk":
        values[:, 0] += np.cumsum(generator.normal(0, 10, 1500))
    elif what == "price":
        values = np.column_stack([values, 50 + 10 * generator.standard_normal(1500)])
    else:
        values = np.column_stack([values, 1e6 * values])
    assert seasons_of(values, HOURS) == HOURS


@pytest.mark.parametrize("calendar", [DAYS, ()])
def test_days_have_a_week_and_a_year(calendar: tuple[float, ...]) -> None:
    time = np.arange(1500)
    week = np.array([1, 0.9, 0.95, 1, 1.3, 1.9, 0.4])[time % 7]
    values = 100 * week + 80 * np.sin(2 * np.pi * time / 365.25)
    values = values + np.random.default_rng(0).normal(0, 20, 1500)
    assert seasons_of(values[:, np.newaxis], calendar) == pytest.approx(DAYS, rel=0.01)
    assert seasons_of(values[:700, np.newaxis], calendar) == (7.0,)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.sampled_from([100, 400, 1500]), st.integers(0, 19))
def test_noise_has_no_day_no_week_and_no_other_season(
    coefficient: float, rows: int, seed: int
) -> None:
    """Of fixed draws: of other ones, a few in a thousand have a season by chance."""
    values = autoregression(rows, coefficient, seed)
    assert seasons_of(values, HOURS) == ()


@pytest.mark.parametrize("seed", range(8))
def test_a_year_of_months_is_found_that_was_seen_three_times(seed: int) -> None:
    time = np.arange(36)
    noise = np.random.default_rng(seed).normal(0, 0.1, 36)
    values = np.sin(2 * np.pi * time / 12) + 0.02 * time + noise
    assert seasons_of(values[:, np.newaxis], (12.0,)) == (12.0,)


def test_tides_are_no_day() -> None:
    time = np.arange(1440)
    tide = np.sin(2 * np.pi * time / 24.84) + 0.3 * np.sin(4 * np.pi * time / 24.84 + 1)
    values = tide + np.random.default_rng(0).normal(0, 0.2, 1440)
    assert seasons_of(values[:, np.newaxis], HOURS) == pytest.approx((24.84,), rel=0.003)


def test_what_is_stronger_than_a_day_is_told_beside_it() -> None:
    time = np.arange(1500)
    values = 0.3 * np.sin(2 * np.pi * time / 24) + np.random.default_rng(0).normal(0, 0.2, 1500)
    for period, expected in ((31.3, (24, 31.3)), (24.84, (24.84,))):  # the latter is no day
        both = values + np.sin(2 * np.pi * time / period)
        assert seasons_of(both[:, np.newaxis], HOURS) == pytest.approx(expected, rel=0.001)


@pytest.mark.parametrize("seed", range(8))
def test_days_that_differ_from_each_other_are_no_week(seed: int) -> None:
    generator, time = np.random.default_rng(seed), np.arange(1500)
    peaks = (time % 24 == 8) * generator.exponential(1, 63)[time // 24]
    values = peaks + generator.normal(0, 0.05, 1500)
    assert seasons_of(values[:, np.newaxis], HOURS) == (24.0,)


@pytest.mark.parametrize("seed", range(30))
def test_no_multiple_of_a_period_is_told_for_it(seed: int) -> None:
    wave = np.sin(2 * np.pi * np.arange(1500) / 12)
    values = wave + np.random.default_rng(seed).normal(0, 0.3, 1500)
    assert seasons_of(values[:, np.newaxis]) == (12.0,)


@pytest.mark.parametrize("seed", range(3))
def test_what_has_hardly_any_of_the_variance_is_no_season(seed: int) -> None:
    """However certain it is, over so many rows."""
    day = np.sin(2 * np.pi * np.arange(12_000) / 24)
    noise = np.random.default_rng(seed).normal(0, 1, 12_000)
    assert seasons_of((noise + 0.3 * day)[:, np.newaxis], HOURS) == (24.0,)
    assert seasons_of((noise + 0.1 * day)[:, np.newaxis], HOURS) == ()


def test_two_spikes_are_no_season_and_one_in_each_week_is() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 2000)
    two, weekly = noise.copy(), noise.copy()
    two[[300, 900]] += 500
    weekly[::168] += 500
    assert seasons_of(two[:, np.newaxis], HOURS) == ()
    assert seasons_of(weekly[:, np.newaxis], HOURS) == (168.0,)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 40), st.integers(1, 3), st.sampled_from([(), HOURS, DAYS]), st.integers(0, 99)
)
def test_any_short_series_has_an_answer(
    rows: int, channels: int, calendar: tuple[float, ...], seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 3, (rows, channels)).astype(float)
    found = seasons_of(values, calendar)
    assert all(period >= 2 and 3 * period <= rows for period in found)
