"""Verdicts on constructed free runs: each rule, their order, and several start points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.diagnostics.verdict import Verdict, amplitude, verdict, verdict_of_run

FloatArray = NDArray[np.float64]

MEAN, STD = 50.0, 3.0
BAD = 0.9  # an NMSE that does not track
LAST_INPUT = np.array([1.2])


def wave(
    steps: int = 400, frequency: float = 0.01, phase: float = 0.0, size: float = 1.4
) -> FloatArray:
    """A sine `[time, channel]` in training standard deviations; the default has 0.64 periods."""
    return np.asarray(size * np.sin(frequency * np.arange(1, steps + 1) + phase)[:, None])


def level(value: float, steps: int = 400) -> FloatArray:
    return np.full((steps, 1), value)


def nmse_of(forecast: FloatArray, truth: FloatArray) -> float:
    return float(np.mean((forecast - truth) ** 2))


def judged(forecast: FloatArray, truth: FloatArray) -> Verdict:
    return verdict_of_run(forecast, truth, LAST_INPUT, nmse_of(forecast, truth))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 10.0, -10.0, 1e9])
def test_one_value_ten_deviations_away_diverges(bad: float) -> None:
    forecast = wave()
    forecast[-1] = bad
    assert verdict_of_run(forecast, wave(), LAST_INPUT, 0.0) == Verdict.DIVERGES


def test_growth_that_is_true_does_not_diverge() -> None:
    truth = 4.0 * 1.02 ** np.arange(200.0)[:, None]
    assert judged(truth, truth) == Verdict.TRACKS
    assert judged(1.9 * truth, truth) != Verdict.DIVERGES
    assert judged(2.1 * truth, truth) == Verdict.DIVERGES


def test_a_level_line_at_the_mean_is_flat() -> None:
    assert judged(level(0.0), wave()) == Verdict.FLAT
    assert judged(level(0.2) + wave(size=0.1, frequency=0.1), wave()) == Verdict.FLAT


def test_a_level_line_at_the_last_input_copies() -> None:
    assert judged(level(1.2), wave()) == Verdict.COPIES
    assert judged(level(1.0), wave()) == Verdict.COPIES


def test_a_last_input_near_the_mean_can_still_be_copied() -> None:
    forecast = level(0.3)
    assert verdict_of_run(forecast, wave(), np.array([0.3]), BAD) == Verdict.COPIES
    assert verdict_of_run(level(0.0), wave(), np.array([0.3]), BAD) == Verdict.FLAT


def test_a_level_line_elsewhere_is_flat() -> None:
    assert judged(level(-1.2), wave()) == Verdict.FLAT


@pytest.mark.parametrize("settled", [-1.2, 0.0, 0.9])
@pytest.mark.parametrize("start", [-0.4, 0.7])
def test_the_course_before_it_settled_plays_no_part(settled: float, start: float) -> None:
    """Nine of ten collapsed networks leave their last input for a level within some 50 steps."""
    transient = np.exp(-np.arange(400) / 20)[:, None]
    forecast = settled + (start - settled) * transient
    assert judged(forecast, wave(phase=2.0)) in (Verdict.FLAT, Verdict.COPIES)


@pytest.mark.parametrize("settled", [-0.9, 0.0])
def test_a_slow_settling_decays(settled: float) -> None:
    forecast = settled + 1.4 * np.exp(-np.arange(400) / 80)[:, None]
    assert judged(forecast, wave()) == Verdict.DECAYS


def test_a_fast_oscillation_has_the_wrong_frequency() -> None:
    assert judged(0.3 + wave(frequency=1.5, size=0.6), wave()) == Verdict.WRONG_FREQUENCY


def test_a_tenth_of_the_variance_tracks() -> None:
    assert verdict_of_run(wave(phase=0.2), wave(), LAST_INPUT, 0.1) == Verdict.TRACKS
    assert verdict_of_run(wave(phase=0.2), wave(), LAST_INPUT, 0.1001) != Verdict.TRACKS


@pytest.mark.parametrize("steps", [400, 1000, 4000])
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.0, 4.0])
def test_a_fading_wave_decays(steps: int, phase: float) -> None:
    """What fades within less than half a period of itself can't be told from a way to a level."""
    fading = np.exp(-np.arange(steps) / max(160, steps / 4))[:, None]
    assert judged(fading * wave(steps, phase=phase), wave(steps, phase=phase)) == Verdict.DECAYS


def test_a_monotone_decay_decays() -> None:
    forecast = 1.4 * np.exp(-np.arange(400) / 100)[:, None]
    assert judged(forecast, wave()) == Verdict.DECAYS


def test_a_truth_that_fades_too_is_no_decay() -> None:
    fading = np.exp(-np.arange(400) / 124)[:, None]
    frequency = 2 * np.pi / 40
    forecast = fading * wave(frequency=frequency, phase=0.7)
    assert judged(forecast, fading * wave(frequency=frequency)) != Verdict.DECAYS


@settings(deadline=None, max_examples=100)
@given(
    phase=st.floats(0, 2 * np.pi), shift=st.floats(1.0, 5.3), steps=st.sampled_from([300, 400, 600])
)
def test_a_steady_wave_never_decays(phase: float, shift: float, steps: int) -> None:
    """Though the last quarter of less than a period may lie on a crest, where a wave looks flat."""
    found = judged(wave(steps, phase=phase + shift), wave(steps, phase=phase))
    assert found in (Verdict.OFF, Verdict.PHASE_DRIFT, Verdict.TRACKS)


@pytest.mark.parametrize("ratio", [0.6, 0.8, 1.2, 1.5, 3.0])
@pytest.mark.parametrize("phase", [0.0, 1.5, 3.0])
@pytest.mark.parametrize("steps", [400, 1000, 4000])
def test_another_frequency_is_wrong(ratio: float, phase: float, steps: int) -> None:
    forecast = wave(steps, frequency=0.01 * ratio, phase=phase)
    truth = wave(steps, phase=phase)
    assert verdict_of_run(forecast, truth, LAST_INPUT, BAD) == Verdict.WRONG_FREQUENCY


@pytest.mark.parametrize("ratio", [0.93, 1.07])
@pytest.mark.parametrize("steps", [1000, 4000])
def test_a_slightly_wrong_frequency_drifts(ratio: float, steps: int) -> None:
    assert judged(wave(steps, frequency=0.01 * ratio), wave(steps)) == Verdict.PHASE_DRIFT


def test_noisy_observations_change_no_verdict() -> None:
    noise = 0.27 * np.random.default_rng(0).normal(size=(1000, 1))
    truth = wave(1000) + noise
    assert judged(wave(1000, frequency=0.0107), truth) == Verdict.PHASE_DRIFT
    assert judged(wave(1000, frequency=0.013), truth) == Verdict.WRONG_FREQUENCY
    assert judged(level(0.0, 1000), truth) == Verdict.FLAT
    fading = np.exp(-np.arange(1000) / 200)[:, None]
    assert judged(wave(1000) * fading, truth) == Verdict.DECAYS


def test_the_right_wave_of_the_wrong_size_is_off() -> None:
    assert judged(wave(size=0.6), wave()) == Verdict.OFF
    assert judged(wave(size=2.4), wave()) == Verdict.OFF


def test_a_constant_shift_is_off() -> None:
    truth = wave(4000)
    assert judged(wave(4000, phase=1.5), truth) == Verdict.OFF


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_very_short_horizons_have_a_verdict(steps: int) -> None:
    assert judged(wave(steps), wave(steps)) == Verdict.TRACKS
    assert judged(wave(steps, phase=2.5), wave(steps)) == Verdict.OFF


def test_channels_are_judged_together() -> None:
    forecast, truth = (np.repeat(w, 2, axis=1) for w in (level(0.0), wave()))
    assert verdict_of_run(forecast, truth, np.array([1.0, 1.0]), BAD) == Verdict.FLAT
    forecast[:, 1] = wave()[:, 0]
    assert verdict_of_run(forecast, truth, np.array([1.0, 1.0]), BAD) != Verdict.FLAT


@settings(deadline=None, max_examples=50)
@given(phase=st.floats(0, 2 * np.pi), cycles=st.floats(0.1, 8.0), size=st.floats(0.1, 9.0))
def test_amplitude_is_the_same_at_every_phase(phase: float, cycles: float, size: float) -> None:
    frequency = 2 * np.pi * cycles / 100
    # The worst over a fine grid is 10.3 %, at 0.7 cycles.
    assert amplitude(wave(100, frequency, phase, size), frequency) == pytest.approx(size, rel=0.11)


def in_units(values: FloatArray) -> FloatArray:
    return MEAN + STD * values


def test_the_series_own_units_are_scaled() -> None:
    truth, last_inputs = in_units(wave()[None]), in_units(LAST_INPUT[None])
    forecast = in_units(level(1.2)[None])
    assert verdict(forecast, truth, last_inputs, MEAN, STD, BAD) == Verdict.COPIES
    mean, std = np.array([MEAN]), np.array([STD])
    assert verdict(forecast, truth, last_inputs, mean, std, BAD) == Verdict.COPIES


def test_the_most_frequent_verdict_of_several_start_points_counts() -> None:
    truth = in_units(np.stack([wave()] * 3))
    last_inputs = in_units(np.stack([LAST_INPUT] * 3))
    forecast = in_units(np.stack([level(0.0), level(1.2), level(1.2)]))
    assert verdict(forecast, truth, last_inputs, MEAN, STD, BAD) == Verdict.COPIES
    tied = in_units(np.stack([level(1.2), level(0.0), wave(size=0.6)]))
    assert verdict(tied, truth, last_inputs, MEAN, STD, BAD) == Verdict.FLAT


def test_verdicts_are_words() -> None:
    assert [str(known) for known in Verdict] == [
        "diverges",
        "flat",
        "copies",
        "tracks",
        "decays",
        "wrong frequency",
        "phase drift",
        "off",
    ]
