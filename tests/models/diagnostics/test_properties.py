"""Periods and symmetries that a training span shows, on series where they are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.diagnostics.properties import is_symmetric, properties_of, wave_of
from models.diagnostics.scores import FloatArray
from models.diagnostics.seasons import seasons_of


def seasonal(period: int, steps: int, noise: float, seed: int = 0) -> FloatArray:
    """A pattern that repeats, on a trend, with noise."""
    generator = np.random.default_rng(seed)
    pattern = generator.standard_normal(period)
    time = np.arange(steps)
    values: FloatArray = pattern[time % period] + 0.01 * time
    values += noise * generator.standard_normal(steps)
    return values[:, np.newaxis]


def sine(seed: int, steps: int = 600) -> FloatArray:
    """Less than a period of a wave, with noise."""
    generator = np.random.default_rng(seed)
    phase = generator.uniform(0, 2 * np.pi)
    values: FloatArray = np.sin(0.01 * np.arange(steps) + phase)
    values += 0.2 * generator.standard_normal(steps)
    return values[:, np.newaxis]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.integers(6, 20), st.floats(0.0, 0.3), st.integers(0, 99))
def test_a_season_is_found_under_a_trend_and_noise(
    period: int, repeats: int, noise: float, seed: int
) -> None:
    values = seasonal(period, period * repeats, noise, seed)
    found = seasons_of(values)
    changes = np.diff(values[: period + 1, 0])
    if len(values) >= 60 and np.ptp(changes) > 1.0:
        assert found
        # A pattern of its own may repeat within the period.
        assert period % found[0] == 0 or found[0] % period == 0


def test_a_week_within_which_days_repeat_has_two_seasons() -> None:
    time = np.arange(24 * 7 * 8)
    daily = np.sin(2 * np.pi * time / 24) + 0.5 * np.sin(4 * np.pi * time / 24)
    weekend = (time // 24) % 7 >= 5
    values = (daily * np.where(weekend, 0.6, 1.0))[:, np.newaxis]
    assert seasons_of(values) == (24.0, 168.0)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_few_values_far_off_hide_no_season_and_no_wave(noise: float) -> None:
    values = seasonal(12, 240, noise)
    wave = sine(0)
    assert wave_of(wave) is not None
    for far in (999.0, -1e7):
        damaged, broken = values.copy(), wave.copy()
        damaged[[60, 131]] = far
        broken[300] = far
        assert seasons_of(damaged) == seasons_of(values) == (12.0,)
        assert properties_of([damaged]).periods == (12.0,)
        assert wave_of(broken) == pytest.approx(wave_of(wave), rel=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_neither_noise_nor_a_random_walk_nor_a_line_has_seasons(seed: int) -> None:
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((500, 1))
    for values in (noise, np.cumsum(noise, axis=0), np.arange(500.0)[:, np.newaxis]):
        assert seasons_of(values) == ()
    assert wave_of(np.arange(500.0)[:, np.newaxis]) is None
    assert wave_of(np.ones((500, 1))) is None


def test_a_wave_of_which_less_than_a_period_is_seen_is_found_by_most_realisations() -> None:
    found = properties_of([sine(seed) for seed in range(4)])
    assert found.period == pytest.approx(2 * np.pi / 0.01, rel=0.05)
    assert found.is_wave
    assert found.is_sign_symmetric
    assert found.is_reversible


def test_periods_that_are_known_are_not_looked_for() -> None:
    found = properties_of([seasonal(12, 240, 0.1)], periods=[7.0, 30.5])
    assert found.periods == (7.0, 30.5)
    assert not found.is_wave


@pytest.mark.parametrize("steps", [2, 3, 7])
def test_short_spans_have_properties(steps: int) -> None:
    found = properties_of([np.arange(float(steps))[:, np.newaxis]])
    assert found.train_steps == steps
    assert found.periods == ()


def test_the_level_of_the_test_of_symmetry_holds_for_dependent_values() -> None:
    """At 5 %, of 400 tests 20 refuse; 45 would be as unlikely as one in a million."""
    generator = np.random.default_rng(1)
    refused = 0
    for _ in range(400):
        noise = generator.standard_normal(300)
        values = np.empty(300)
        values[0] = noise[0]
        for i in range(1, 300):
            values[i] = 0.8 * values[i - 1] + noise[i]
        refused += not is_symmetric(values[:, np.newaxis])
    assert refused <= 45


def test_what_is_skewed_is_not_symmetric_and_what_rises_slowly_is_not_reversible() -> None:
    generator = np.random.default_rng(2)
    assert not is_symmetric(generator.exponential(size=(500, 1)))
    saw = ((np.arange(600) % 25) / 25)[:, np.newaxis] + 0.02 * generator.standard_normal((600, 1))
    found = properties_of([saw])
    assert not found.is_reversible
    assert properties_of([saw[::-1]]).is_reversible is False
    assert found.is_sign_symmetric


@settings(deadline=None, max_examples=20)
@given(st.integers(3, 30), st.integers(0, 99), st.integers(2, 5))
def test_equal_channels_in_other_units_show_what_one_shows(
    period: int, seed: int, channels: int
) -> None:
    values = seasonal(period, 8 * period + 20, noise=0.2, seed=seed)
    alone = properties_of([values])
    several = properties_of([values * 10.0 ** np.arange(channels)])
    assert several.channels == channels
    assert several.periods == alone.periods
    assert several.is_sign_symmetric == alone.is_sign_symmetric
    assert several.is_reversible == alone.is_reversible


def test_of_several_channels_a_wave_is_that_of_most_power_in_their_own_units() -> None:
    waves = np.concatenate([sine(1), sine(2), 1e-3 * sine(3)], axis=1)
    noise = 1e3 * np.random.default_rng(0).standard_normal((len(waves), 1))
    found = wave_of(np.concatenate([waves, noise], axis=1))
    assert found is not None
    assert abs(found - 2 * np.pi / 0.01) < 150
    turned = wave_of(np.concatenate([noise / 1e6, waves[:, ::-1]], axis=1))
    assert turned == pytest.approx(found)


def test_channels_are_above_zero_where_all_are_and_symmetric_unless_most_are_not() -> None:
    generator = np.random.default_rng(1)
    even, skew = generator.standard_normal((400, 1)), generator.exponential(size=(400, 1))
    assert not properties_of([np.concatenate([even, skew], axis=1)]).is_positive
    assert properties_of([np.concatenate([even + 9, skew], axis=1)]).is_positive
    assert properties_of([np.concatenate([even, even, skew], axis=1)]).is_sign_symmetric
    assert not properties_of([np.concatenate([even, skew, skew], axis=1)]).is_sign_symmetric
