"""Baselines: what each forecasts, and that none ever leaves the finite numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.baselines.baseline import baselines
from models.baselines.naive import season_of
from models.closed_form.forms.ar_by_order import ORDERS, Orders
from models.methods.registry import methods_of
from tests.models.baselines.fitted import candidate_for, forecast

FloatArray = NDArray[np.float64]
BASELINES = list(baselines())


def noisy_sine(draw: int, steps: int = 1600) -> tuple[FloatArray, FloatArray]:
    """Observations and signal `[time, channel]`: noise 0.2, a random phase."""
    generator = np.random.default_rng(draw)
    signal = np.sin(0.01 * np.arange(1, steps + 1) + generator.uniform(0, 2 * np.pi))
    return (signal + 0.2 * generator.normal(size=steps))[:, None], signal[:, None]


def seasons(steps: int, period: float, noise: float = 0.0) -> FloatArray:
    time = np.arange(steps)
    values = np.sin(2 * np.pi * time / period) + 0.3 * np.sin(4 * np.pi * time / period)
    noisy = 5.0 + values + noise * np.random.default_rng(0).normal(size=steps)
    return np.asarray(noisy[:, np.newaxis])


def test_all_baselines_are_there_with_words_and_none_is_for_a_study_file_to_name() -> None:
    assert BASELINES == ["mean", "persistence", "ar", "ridge-ar", "ssa", "seasonal-naive"]
    offered = {method.name for method in methods_of("cell")}
    for name, baseline in baselines().items():
        assert baseline.short_label, name
        assert not baseline.is_of_candidates, name
    assert not offered & {"mean", "seasonal-naive", "ar-by-order"}


def test_the_mean_is_that_of_training() -> None:
    training = np.array([[1.0, 10.0], [3.0, 50.0], [8.0, 0.0], [4.0, 20.0]])
    np.testing.assert_allclose(forecast("mean", training, 3), [[4.0, 20.0]] * 3, atol=1e-12)


def test_persistence_repeats_the_last_value_of_each_channel() -> None:
    training = np.random.default_rng(0).normal(size=(9, 2))
    run = forecast("persistence", training, 3)
    np.testing.assert_allclose(run, np.repeat(training[-1:], 3, axis=0), atol=1e-12)


@pytest.mark.parametrize("period", [7, 12, 24, 168])
def test_a_periodic_series_is_continued(period: int) -> None:
    series = seasons(6 * period + 3, period)
    assert season_of(series[: 4 * period]) == period
    run = forecast("seasonal-naive", series[: 4 * period], 2 * period + 3)
    np.testing.assert_allclose(run, series[4 * period :], atol=1e-9)


def test_the_period_is_found_in_noise_and_needs_to_be_seen_twice() -> None:
    assert season_of(seasons(240, 24, noise=0.5)) == 24
    assert season_of(seasons(40, 36)) == 1


def test_every_channel_repeats_its_own_season() -> None:
    series = np.concatenate([seasons(60, 12), -seasons(60, 12)], axis=1)
    np.testing.assert_allclose(forecast("seasonal-naive", series, 12), series[-12:], atol=1e-12)


def test_coefficients_are_those_that_made_the_series() -> None:
    generator = np.random.default_rng(0)
    series = np.zeros(20_000)
    for t in range(2, len(series)):
        series[t] = 1.5 * series[t - 1] - 0.8 * series[t - 2] + generator.normal()
    fitted = Orders([series[:, None]], largest=8)
    np.testing.assert_allclose(fitted.at(2.0)[-2:, 0], [-0.8, 1.5], atol=0.02)
    assert not fitted.at(2.0)[:-2].any()
    np.testing.assert_array_equal(fitted.at(8.0), fitted.at(128.0))


def test_channels_are_fitted_apart_with_one_order() -> None:
    first, second = noisy_sine(0, 400)[0], noisy_sine(1, 400)[0]
    both = Orders([np.hstack([first, second])], largest=8).at(8.0).reshape(8, 2, 2)
    assert not both[:, 0, 1].any()
    for channel, alone in enumerate((first, second)):
        own = Orders([alone], largest=8).at(8.0)[:, 0]
        np.testing.assert_allclose(both[:, channel, channel], own)


def test_an_order_never_has_more_coefficients_than_equations() -> None:
    training = np.random.default_rng(0).normal(size=(40, 1))
    assert candidate_for("ar", training).form.context_steps == 8
    assert max(ORDERS) == 128


def test_a_clean_wave_is_continued() -> None:
    wave = np.sin(2 * np.pi * np.arange(300) / 25)[:, None]
    np.testing.assert_allclose(forecast("ar", wave[:200], 100), wave[200:], atol=0.01)
    long = 3.0 * np.sin(2 * np.pi * np.arange(700) / 250)[:, None]
    for name in ("ridge-ar", "ssa"):
        np.testing.assert_allclose(forecast(name, long[:300], 400), long[300:], atol=1e-3)


@pytest.mark.parametrize("name", ["ridge-ar", "ssa"])
def test_a_closed_form_reads_a_third_of_training(name: str) -> None:
    training = np.random.default_rng(0).normal(size=(90, 1))
    assert candidate_for(name, training).form.context_steps == 30


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(3, 40),
    channels=st.integers(1, 2),
    seed=st.integers(0, 99),
    scale=st.floats(1e-6, 1e6),
    name=st.sampled_from(BASELINES),
)
def test_forecasts_are_finite_and_the_span_is_left_alone(
    rows: int, channels: int, seed: int, scale: float, name: str
) -> None:
    training = scale * np.random.default_rng(seed).standard_cauchy(size=(rows, channels))
    before = training.copy()
    if candidate_for(name, training).least_steps <= rows:
        run = forecast(name, training, 30)
        assert run.shape == (30, channels)
        assert np.isfinite(run).all()
    assert np.array_equal(training, before)


@pytest.mark.parametrize(("name", "most"), [("ar", 0.3), ("ridge-ar", 0.03), ("ssa", 0.03)])
def test_scores_on_the_noisy_sine_are_those_that_are_published(name: str, most: float) -> None:
    """docs/decisions/0059 has the medians of 40 draws; 12 draws spread around them."""
    scores = []
    for draw in range(12):
        observed, signal = noisy_sine(draw)
        run = forecast(name, observed[:600], 1000)
        scores.append(np.mean((run - signal[600:]) ** 2) / 0.5)
    assert np.median(scores) < most
