import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from search.series import Purpose, SineSeries

PURPOSES = get_args(Purpose)


def test_the_signal_is_the_formula_from_t_1_on() -> None:
    series = SineSeries(amplitude=2.0, angular_frequency=0.3, phase=0.5)
    draw = series.draw(0, "search", 0, 5)
    assert draw.signal is not None
    assert draw.signal.shape == draw.values.shape == (5, 1)
    expected = 2.0 * np.sin(0.3 * np.arange(1, 6) + 0.5)
    np.testing.assert_allclose(draw.signal[:, 0], expected, rtol=1e-14)
    assert series.signal_variance == 2.0


def test_the_noise_has_its_standard_deviation_and_no_mean() -> None:
    draw = SineSeries(noise_std=0.2).draw(1, "search", 0, 20_000)
    assert draw.signal is not None
    noise = draw.values - draw.signal
    assert noise.std() == pytest.approx(0.2, rel=0.02)
    assert abs(noise.mean()) < 0.005


def test_without_noise_the_values_are_the_signal() -> None:
    draw = SineSeries(noise_std=0.0).draw(0, "search", 0, 50)
    assert draw.signal is not None
    np.testing.assert_array_equal(draw.values, draw.signal)
    assert not np.shares_memory(draw.values, draw.signal)


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**63 - 1),
    purpose=st.sampled_from(PURPOSES),
    index=st.integers(0, 10_000),
    steps=st.integers(1, 80),
    more=st.integers(0, 300),
)
def test_a_longer_draw_begins_with_the_shorter_one(
    seed: int, purpose: Purpose, index: int, steps: int, more: int
) -> None:
    series = SineSeries()
    short = series.draw(seed, purpose, index, steps)
    long = series.draw(seed, purpose, index, steps + more)
    assert short.values.tobytes() == long.values[:steps].tobytes()
    assert short.signal is not None
    assert long.signal is not None
    assert short.signal.tobytes() == long.signal[:steps].tobytes()


def test_no_two_seeds_purposes_or_indices_share_a_draw() -> None:
    series = SineSeries()
    draws = {
        series.draw(seed, purpose, index, 4).values.tobytes()
        for seed in range(4)
        for purpose in PURPOSES
        for index in range(20)
    }
    assert len(draws) == 4 * len(PURPOSES) * 20


def test_random_phases_cover_the_circle() -> None:
    series = SineSeries(angular_frequency=math.pi / 2, noise_std=0)
    quadrants = set()
    for index in range(40):
        signal = series.draw(0, "search", index, 4).signal
        assert signal is not None
        quadrants.add((signal[0, 0] > 0, signal[1, 0] > 0))
    assert len(quadrants) == 4


def test_a_fixed_phase_is_the_same_in_every_draw_and_its_noise_is_not() -> None:
    series = SineSeries(phase=0)
    one, other = (series.draw(0, "search", index, 30) for index in range(2))
    assert one.signal is not None
    assert other.signal is not None
    np.testing.assert_array_equal(one.signal, other.signal)
    assert not np.array_equal(one.values, other.values)


def test_a_draw_is_what_it_was_in_the_first_release() -> None:
    # Stored scores and exports rest on these numbers.
    values = SineSeries().draw(0, "search", 0, 3).values[:, 0]
    expected = [-0.5910523685053055, -0.12185949074123298, -0.39180501043751]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "bad",
    [
        {"noise_std": -0.1},
        {"noise_std": math.nan},
        {"amplitude": 0},
        {"amplitude": math.inf},
        {"angular_frequency": 0},
        {"angular_frequency": math.pi},
        {"phase": "any"},
        {"phase": True},
        {"phase": math.nan},
        {"noise_std": "0.2"},
        {"frequency": 0.1},
    ],
)
def test_what_is_no_sine_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SineSeries.model_validate({"source": "sine", **bad})


def test_it_is_frozen() -> None:
    series = SineSeries()
    with pytest.raises(ValidationError):
        series.noise_std = 0.1  # type: ignore[misc]
