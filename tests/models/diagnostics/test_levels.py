"""Which records end at a level that they did not have before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.diagnostics.levels import LEAST_LEVELS, has_new_level
from models.diagnostics.scores import FloatArray


def record(seed: int, steps: int = 960, channels: int = 3) -> FloatArray:
    """A season of 24 steps with noise."""
    noise = np.random.default_rng(seed).standard_normal((steps, channels))
    return np.asarray(np.sin(2 * np.pi * np.arange(steps) / 24)[:, np.newaxis] + noise)


def shifted(values: FloatArray, shift: float, steps: int) -> FloatArray:
    """The last steps of the second channel at another level."""
    raised = values.copy()
    raised[-steps:, 1] += shift
    return raised


@settings(deadline=None)
@given(st.integers(0, 9999), st.sampled_from([-2.0, 2.0]), st.integers(45, 120))
def test_a_shift_of_one_channel_at_the_end_is_a_new_level(
    seed: int, shift: float, steps: int
) -> None:
    assert has_new_level(shifted(record(seed), shift, steps), 24)


@settings(deadline=None)
@given(st.integers(0, 9999), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_neither_level_nor_units_matter(seed: int, level: float, scale: float) -> None:
    values = record(seed)
    assert has_new_level(level + scale * values, 24) == has_new_level(values, 24)
    assert has_new_level(level + scale * shifted(values, 2.0, 100), 24)


def test_a_stationary_record_seldom_ends_at_a_new_level() -> None:
    found = [has_new_level(record(seed, channels=1), 24) for seed in range(400)]
    assert np.mean(found) < 0.03


def test_a_shift_that_is_long_known_is_no_new_level() -> None:
    assert not has_new_level(shifted(record(0), 2.0, 400), 24)


def test_a_level_that_was_there_before_is_no_new_one() -> None:
    values = shifted(record(0), 2.0, 100)
    values[200:400, 1] += 2.0
    assert not has_new_level(values, 24)


@pytest.mark.parametrize("few", [1, LEAST_LEVELS - 1])
def test_of_few_levels_nothing_is_said(few: int) -> None:
    trend = np.arange(100.0)[:, np.newaxis]
    assert has_new_level(trend, 100 // LEAST_LEVELS)
    assert not has_new_level(trend, 100 // few)


def test_constant_values_have_no_new_level() -> None:
    assert not has_new_level(np.full((400, 1), 0.1), 20)


@pytest.mark.parametrize("gap", [slice(-10, None), slice(-30, -8), slice(-45, None)])
def test_a_gap_in_the_last_level_makes_no_new_one(gap: slice) -> None:
    found, shifts = [], []
    for seed in range(60):
        values = record(seed, channels=1)
        is_known = np.ones(values.shape, dtype=bool)
        is_known[gap] = False
        values[gap] = values[gap.start - 1]
        found.append(has_new_level(values, 24, is_known))
        values[-100:] += 3.0
        shifts.append(has_new_level(values, 24, is_known))
    assert np.mean(found) < 0.05
    # Of a level most of which is missing, nothing is said.
    assert np.mean(shifts) == (gap.start > -45)


def test_a_gap_before_the_last_level_changes_nothing_of_it() -> None:
    is_known = np.ones((960, 3), dtype=bool)
    is_known[-400:-300] = False
    for seed in range(20):
        values = shifted(record(seed), 2.0 * (seed % 2), 100)
        assert has_new_level(values, 24, is_known) == has_new_level(values, 24)
