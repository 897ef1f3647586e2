"""What is told apart: smooth curves that repeat, noise, and sums of noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.diagnostics.noise import LARGEST_SHARE, is_noise_free, noise_share
from models.diagnostics.scores import FloatArray


def waves(steps: int = 800) -> FloatArray:
    time = np.arange(steps)
    values: FloatArray = np.sin(0.06 * time) + 0.5 * np.sin(0.171 * time)
    return values[:, np.newaxis]


def noise(steps: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((steps, 1))


@settings(deadline=None, max_examples=40)
@given(st.floats(0.02, 1.0), st.integers(300, 3000), st.integers(0, 999))
def test_the_share_of_white_noise_is_estimated(share: float, steps: int, seed: int) -> None:
    """The mean of five estimates: one of 300 steps is off by a quarter now and then."""
    smooth = waves(steps)
    noisy = [smooth + share * smooth.std() * noise(steps, 5 * seed + i) for i in range(5)]
    found = np.mean([noise_share(values) for values in noisy])
    assert found == pytest.approx(share / np.hypot(1.0, share), rel=0.2)
    assert not any(is_noise_free(values) for values in noisy)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_neither_level_nor_units_matter(level: float, scale: float) -> None:
    values = waves() + 0.3 * noise(800, 1)
    # Beside a level, fewer digits are left of the values.
    rounding = 1e-9 + 1e-13 * abs(level) / scale
    assert noise_share(level + scale * values) == pytest.approx(noise_share(values), rel=rounding)


def test_smooth_curves_are_free_of_noise_and_a_little_noise_is_found() -> None:
    assert is_noise_free(waves())
    assert is_noise_free(waves() + 0.2 * LARGEST_SHARE * noise(800, 0))
    assert not is_noise_free(waves() + 5 * LARGEST_SHARE * noise(800, 0))


def test_jumps_at_times_are_no_noise() -> None:
    """A relaxation oscillator jumps twice in a period of 100 steps."""
    time = np.arange(1000)
    values = np.sin(2 * np.pi * time / 100) + np.where(time % 100 < 50, 2.0, -2.0)
    assert is_noise_free(values[:, np.newaxis])


@pytest.mark.parametrize("seed", range(5))
def test_sums_of_noise_are_not_free_of_it(seed: int) -> None:
    walk = np.cumsum(noise(1000, seed), axis=0)
    assert not is_noise_free(walk)
    trend = np.cumsum(1.0 + np.cumsum(0.001 * noise(1000, seed), axis=0), axis=0)
    assert noise_share(trend) < LARGEST_SHARE
    assert not is_noise_free(trend)


def test_one_noisy_column_is_enough() -> None:
    assert not is_noise_free(np.concatenate([waves(), noise(800, 0)], axis=1))


@pytest.mark.parametrize("values", [np.ones((500, 1)), np.arange(500.0)[:, None], waves(40)])
def test_what_does_not_vary_or_repeat_or_is_short_is_not_called_so(values: FloatArray) -> None:
    assert not is_noise_free(values)
