"""The dominant frequency, above all of records shorter than a period."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.diagnostics.properties import LEAST_STEPS, dominant_frequency

PHASES = st.floats(0.0, 2 * np.pi)


@settings(deadline=None, max_examples=80)
@given(steps=st.sampled_from([60, 400, 1000]), cycles=st.floats(0.35, 1.3), phase=PHASES)
def test_less_than_a_period_is_enough(steps: int, cycles: float, phase: float) -> None:
    frequency = 2 * np.pi * cycles / steps
    wave = np.sin(frequency * np.arange(steps) + phase)
    assert dominant_frequency(wave[:, None]) == pytest.approx(frequency, rel=0.01)


@settings(deadline=None, max_examples=80)
@given(
    steps=st.sampled_from([60, 400]),
    cycles=st.floats(2.0, 25.0),
    phase=PHASES,
    offset=st.floats(-2, 2),
)
def test_a_longer_record_may_have_an_offset(
    steps: int, cycles: float, phase: float, offset: float
) -> None:
    frequency = 2 * np.pi * cycles / steps
    wave = offset + np.sin(frequency * np.arange(steps) + phase)
    assert dominant_frequency(wave[:, None]) == pytest.approx(frequency, rel=0.01)


def test_noise_moves_it_little() -> None:
    wave = np.sin(0.01 * np.arange(400) + 1.0) + 0.2 * np.random.default_rng(0).normal(size=400)
    assert dominant_frequency(wave[:, None]) == pytest.approx(0.01, rel=0.05)


def test_channels_share_a_frequency_but_no_phase() -> None:
    angle = 0.05 * np.arange(400)
    both = np.stack([np.sin(angle), -np.sin(angle)], axis=1)
    assert dominant_frequency(both) == pytest.approx(0.05, rel=0.01)


def test_the_stronger_of_two_waves_dominates() -> None:
    time = np.arange(500)
    both = np.sin(0.3 * time) + 0.5 * np.sin(0.05 * time)
    assert dominant_frequency(both[:, None]) == pytest.approx(0.3, rel=0.01)


def test_a_level_line_has_some_frequency() -> None:
    found = dominant_frequency(np.zeros((100, 1)))
    assert found is not None
    assert np.isfinite(found)


def test_too_few_steps_have_none() -> None:
    assert dominant_frequency(np.sin(np.arange(LEAST_STEPS - 1.0))[:, None]) is None
    assert dominant_frequency(np.sin(np.arange(float(LEAST_STEPS)))[:, None]) is not None
