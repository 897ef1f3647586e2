"""The lines of a period: their chance under noise, their power, and what is left without them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.diagnostics.lines import lines_of, without_lines
from models.diagnostics.scores import FloatArray


def noise(rows: int, seed: int, channels: int = 1) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((rows, channels))


@pytest.mark.parametrize(("rows", "period"), [(120, 6.0), (121, 6.0), (90, 7.0), (400, 5.5)])
def test_a_line_of_noise_has_the_chance_that_it_says(rows: int, period: float) -> None:
    """Of 1,500 draws; the chance of 0.05 has a standard error of 0.006."""
    logs = np.array([lines_of(noise(rows, seed), period).logs for seed in range(1500)])
    has_half = period == 6.0
    whole = logs[:, :-1] if has_half else logs
    assert whole.mean(axis=0) == pytest.approx(1.0, abs=0.15)
    assert (whole > 3).mean(axis=0) == pytest.approx(np.exp(-3), abs=0.025)
    if has_half:  # the frequency 1/2: half of a square of one normal number
        assert logs[:, -1].mean() == pytest.approx(0.5, abs=0.06)
        assert (logs[:, -1] > 3).mean() == pytest.approx(0.0143, abs=0.01)


@pytest.mark.parametrize(("rows", "near"), [(240, 0.3), (2400, 0.2)])
def test_so_has_one_on_a_slope_and_the_lines_together_have_no_more(rows: int, near: float) -> None:
    steps = np.arange(float(rows))[:, np.newaxis]
    walks = [np.cumsum(noise(rows, seed), axis=0) + 0.5 * steps for seed in range(600)]
    found = [lines_of(walk, 12.0) for walk in walks]
    logs = np.array([own.logs for own in found])
    assert logs[:, :-1].mean(axis=0) == pytest.approx(1.0, abs=near)
    evidence = np.array([own.evidence for own in found])
    for least in (1.0, 3.0):
        assert np.mean(evidence > least) <= np.exp(-least)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.floats(1.0, 3.0), st.integers(0, 99))
def test_the_power_of_a_wave_is_half_its_squared_amplitude(
    period: int, amplitude: float, seed: int
) -> None:
    time = np.arange(40 * period)
    wave = amplitude * np.cos(2 * np.pi * time / period)[:, np.newaxis]
    power = amplitude**2 / (1 if period == 2 else 2)
    found = lines_of(wave + 0.05 * noise(len(time), seed), float(period))
    assert found.power[0] == pytest.approx(power, rel=0.05)
    assert found.excess == pytest.approx(power, rel=0.06)
    assert found.total == pytest.approx(power + 0.0025, rel=0.06)
    assert found.share > 0.9


def test_what_is_slower_than_half_of_the_first_line_is_no_part_of_the_whole() -> None:
    time = np.arange(1200)
    day = np.cos(2 * np.pi * time / 24)
    for period, total in ((16, 1.0), (40, 1.0), (60, 0.5)):
        values = day + np.cos(2 * np.pi * time / period)
        assert lines_of(values[:, np.newaxis], 24.0).total == pytest.approx(total, rel=0.01)


def test_what_is_left_without_its_lines_has_as_much_at_them_as_beside_them() -> None:
    season = np.tile(noise(12, 0), (50, 1))
    logs = []
    for seed in range(40):
        values = noise(600, seed + 1) + season
        lines = lines_of(values, 12.0)
        rest = without_lines(values, lines)
        assert (values - rest).std() == pytest.approx(season.std(), rel=0.4)
        logs.append(lines_of(rest, 12.0).logs)
    # Of a hole, each would be nearly zero; what was left would be far above one.
    assert np.mean(logs) == pytest.approx(1.0, abs=0.35)


def test_lines_that_do_not_stand_out_stay() -> None:
    values = noise(600, 3)
    assert np.array_equal(without_lines(values, lines_of(values, 12.0)), values)
