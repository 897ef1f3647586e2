"""Baselines: what each forecasts, and that none ever leaves the finite numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from numpy.typing import NDArray

from models.baselines.autoregression import ORDERS, Autoregression
from models.baselines.baseline import baselines
from models.baselines.constant import Mean, Persistence
from models.baselines.fitted import FittedBaseline, RidgeAR, SSABaseline

FloatArray = NDArray[np.float64]

BASELINES = baselines()


def noisy_sine(draw: int, steps: int = 1600) -> tuple[FloatArray, FloatArray]:
    """Observations and signal `[time, channel]`: noise 0.2, a random phase."""
    generator = np.random.default_rng(draw)
    signal = np.sin(0.01 * np.arange(1, steps + 1) + generator.uniform(0, 2 * np.pi))
    return (signal + 0.2 * generator.normal(size=steps))[:, None], signal[:, None]


def test_baselines_are_found_by_their_names() -> None:
    named = {
        "mean": Mean,
        "persistence": Persistence,
        "ar": Autoregression,
        "ridge-ar": RidgeAR,
        "ssa": SSABaseline,
    }
    assert named.items() <= baselines().items()


def test_a_baseline_has_a_short_label_and_is_no_part_of_a_candidate() -> None:
    for baseline in BASELINES.values():
        assert baseline.short_label, baseline.name
        assert not baseline.is_of_candidates, baseline.name


def test_the_mean_is_that_of_training() -> None:
    training = np.array([[1.0, 10.0], [3.0, 30.0]])
    forecast = Mean.fit(training).forecast(np.array([[100.0, 100.0]]), 3)
    assert forecast.tolist() == [[2.0, 20.0]] * 3


def test_persistence_repeats_the_last_value() -> None:
    history = np.array([[1.0, 10.0], [3.0, 30.0]])
    forecast = Persistence.fit(np.zeros((5, 2))).forecast(history, 3)
    assert forecast.tolist() == [[3.0, 30.0]] * 3


def test_coefficients_are_those_that_made_the_series() -> None:
    generator = np.random.default_rng(0)
    series = np.zeros(20_000)
    for t in range(2, len(series)):
        series[t] = 1.5 * series[t - 1] - 0.8 * series[t - 2] + generator.normal()
    fitted = Autoregression.of_order(7.0 + series[:, None], 2)
    np.testing.assert_allclose(fitted.coefficients[:, 0], [-0.8, 1.5], atol=0.02)


def test_a_free_run_feeds_its_own_values_back() -> None:
    model = Autoregression(
        coefficients=np.array([[-0.5], [1.0]]), mean=np.array([2.0]), std=np.array([1.0])
    )
    forecast = model.forecast(np.array([[99.0], [3.0], [4.0]]), 3)
    # Around the mean: 1, 2 -> 2 - 0.5 = 1.5 -> 1.5 - 1 = 0.5 -> 0.5 - 0.75 = -0.25
    assert forecast[:, 0].tolist() == [3.5, 2.5, 1.75]


def test_a_short_history_begins_with_the_mean() -> None:
    model = Autoregression(
        coefficients=np.array([[-0.5], [1.0]]), mean=np.array([2.0]), std=np.array([1.0])
    )
    assert model.forecast(np.array([[4.0]]), 2)[:, 0].tolist() == [4.0, 3.0]


def test_an_explosive_run_is_held_at_ten_standard_deviations() -> None:
    model = Autoregression(
        coefficients=np.array([[3.0]]), mean=np.array([1.0]), std=np.array([2.0])
    )
    assert model.forecast(np.array([[2.0]]), 50)[-1, 0] == 1.0 + 10 * 2.0


def test_a_clean_wave_is_continued() -> None:
    wave = np.sin(2 * np.pi * np.arange(300) / 25)[:, None]
    model = Autoregression.fit(wave[:200])
    np.testing.assert_allclose(model.forecast(wave[:200], 100), wave[200:], atol=0.01)


def test_the_order_is_that_which_runs_best_on_the_last_quarter() -> None:
    """A period of 64 in noise wants a long memory; independent noise wants none."""
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(400, 1))
    wave = 2 * np.sin(2 * np.pi * np.arange(400) / 64)[:, None]
    assert len(Autoregression.fit(wave + noise).coefficients) >= 32
    centred, split = noise - noise.mean(), 300
    run = Autoregression.fit(noise).forecast(noise, 100)
    assert np.abs(run).mean() < 0.5
    assert len(centred[:split]) == 300


def test_channels_are_fitted_apart_with_one_order() -> None:
    first, second = noisy_sine(0, 400)[0], noisy_sine(1, 400)[0]
    both = Autoregression.of_order(np.hstack([first, 100 * second]), 8)
    for channel, alone in enumerate((first, 100 * second)):
        expected = Autoregression.of_order(alone, 8).forecast(alone, 20)
        history = np.hstack([first, 100 * second])
        np.testing.assert_allclose(both.forecast(history, 20)[:, channel], expected[:, 0])


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 20])
@pytest.mark.parametrize("name", BASELINES)
def test_few_rows_are_enough(name: str, rows: int) -> None:
    training = np.random.default_rng(0).normal(size=(rows, 1))
    forecast = BASELINES[name].fit(training).forecast(training, 6)
    assert forecast.shape == (6, 1)
    assert np.isfinite(forecast).all()


def test_an_order_never_has_more_coefficients_than_equations() -> None:
    training = np.random.default_rng(0).normal(size=(40, 1))
    assert len(Autoregression.fit(training).coefficients) <= 8


@settings(deadline=None, max_examples=40)
@given(
    training=stn.arrays(
        np.float64,
        st.tuples(st.integers(1, 40), st.integers(1, 2)),
        elements=st.floats(-1e6, 1e6),
    ),
    name=st.sampled_from(sorted(BASELINES)),
)
def test_forecasts_are_finite(training: FloatArray, name: str) -> None:
    forecast = BASELINES[name].fit(training).forecast(training, 30)
    assert forecast.shape == (30, training.shape[1])
    assert np.isfinite(forecast).all()


def test_neither_training_nor_history_is_changed() -> None:
    training = np.random.default_rng(0).normal(size=(50, 1))
    given_values: Any = training.copy()
    for baseline in BASELINES.values():
        baseline.fit(training).forecast(training, 5)
    assert np.array_equal(training, given_values)


@pytest.mark.parametrize("baseline", [RidgeAR, SSABaseline])
def test_a_closed_form_continues_a_clean_wave(baseline: type[FittedBaseline]) -> None:
    wave = 3.0 * np.sin(2 * np.pi * np.arange(700) / 250)[:, None]
    forecast = baseline.fit(wave[:300]).forecast(wave[:300], 400)
    np.testing.assert_allclose(forecast, wave[300:], atol=1e-3)


@pytest.mark.parametrize("baseline", [RidgeAR, SSABaseline])
def test_a_closed_form_reads_a_third_of_training(baseline: type[FittedBaseline]) -> None:
    training = np.random.default_rng(0).normal(size=(90, 1))
    model = baseline.fit(training)
    assert model.forecaster is not None
    assert model.forecaster.form.context_steps == 30
    extended = np.concatenate([training[:7], training[-30:]])
    np.testing.assert_array_equal(model.forecast(extended, 9), model.forecast(training, 9))
    short = np.concatenate([np.zeros((26, 1)), training[-4:]])
    np.testing.assert_array_equal(model.forecast(training[-4:], 9), model.forecast(short, 9))


@pytest.mark.parametrize("baseline", [RidgeAR, SSABaseline])
def test_closed_forms_are_the_strong_opponents_on_the_noisy_sine(
    baseline: type[FittedBaseline],
) -> None:
    """docs/decisions/0059 has the medians of 40 draws; 12 draws spread around them."""
    scores = []
    for draw in range(12):
        observed, signal = noisy_sine(draw)
        forecast = baseline.fit(observed[:600]).forecast(observed[:600], 1000)
        scores.append(np.mean((forecast - signal[600:]) ** 2) / 0.5)
    assert np.median(scores) < 0.03


def test_autoregression_on_the_noisy_sine_scores_as_published() -> None:
    """200 draws have a median of 0.1; 20 draws, which is quick, spread around it."""
    scores = []
    for draw in range(20):
        observed, signal = noisy_sine(draw)
        forecast = Autoregression.fit(observed[:600]).forecast(observed[:600], 1000)
        scores.append(np.mean((forecast - signal[600:]) ** 2) / 0.5)
    assert 0.03 < np.median(scores) < 0.3
    assert max(ORDERS) == 128
