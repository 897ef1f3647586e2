"""The Mackey-Glass series: its equation, its draws, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from search.errors import SeriesError
from search.series import MackeyGlassSeries

FloatArray = NDArray[np.float64]


def runge_kutta(
    series: MackeyGlassSeries, history: float, steps: int, substeps: int = 200
) -> FloatArray:
    """Samples from time 0 on, by the classical fourth-order rule and cubic interpolation.

    The delay is a whole number of substeps; what lies between two is a Hermite cubic of values and
    slopes, so that the whole is of fourth order, too.
    """
    h = series.sample_step / substeps
    lag = round(series.tau / h)
    x, slope = np.full(lag + steps * substeps + 1, history), np.zeros(lag + steps * substeps + 1)

    def change(value: float, delayed: float) -> float:
        gain = series.beta * delayed / (1 + delayed**series.exponent)
        return float(gain - series.gamma * value)

    for t in range(lag, len(x) - 1):
        old, new = x[t - lag], x[t - lag + 1]
        middle = (old + new) / 2 + h * (slope[t - lag] - slope[t - lag + 1]) / 8
        if t < 2 * lag:  # within the constant history, at whose end the slope jumps
            middle = history
        slope[t] = k1 = change(x[t], old)
        k2 = change(x[t] + h / 2 * k1, middle)
        k3 = change(x[t] + h / 2 * k2, middle)
        k4 = change(x[t] + h * k3, new)
        x[t + 1] = x[t] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    samples: FloatArray = x[lag::substeps][:steps]
    return samples


@pytest.mark.parametrize(
    "parameters",
    [{}, {"tau": 30.0, "exponent": 8.0}, {"beta": 0.4, "gamma": 0.2, "tau": 6.0}],
    ids=str,
)
def test_the_solution_is_that_of_an_independent_integrator(parameters: dict[str, Any]) -> None:
    series = MackeyGlassSeries(washout=0.0, **parameters)
    expected = runge_kutta(series, 1.2, steps=120, substeps=50)
    np.testing.assert_allclose(series.signal(1.2, 120), expected, atol=1e-7)


def test_samples_lie_on_one_solution_whatever_the_step() -> None:
    fine = MackeyGlassSeries(washout=100.0, sample_step=0.5).signal(1.1, 400)
    coarse = MackeyGlassSeries(washout=100.0, sample_step=2.0).signal(1.1, 100)
    np.testing.assert_allclose(fine[::4], coarse, atol=1e-12)


def test_the_attractor_has_its_known_variance() -> None:
    series = MackeyGlassSeries()
    assert series.signal_variance == pytest.approx(0.0512, rel=0.01)
    assert MackeyGlassSeries(noise_std=0.1).signal_variance == series.signal_variance
    draw = series.draw(0, "search", 0, 3000)
    assert draw.signal is not None
    assert draw.signal.var() == pytest.approx(series.signal_variance, rel=0.1)
    assert 0.2 < draw.values.min() < draw.values.max() < 1.4


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 2**63 - 1),
    index=st.integers(0, 1000),
    steps=st.integers(1, 60),
    more=st.integers(0, 200),
)
def test_a_longer_draw_begins_with_the_shorter_one(
    seed: int, index: int, steps: int, more: int
) -> None:
    series = MackeyGlassSeries(noise_std=0.1, washout=50.0)
    short = series.draw(seed, "test", index, steps)
    long = series.draw(seed, "test", index, steps + more)
    assert short.values.tobytes() == long.values[:steps].tobytes()
    assert short.signal is not None
    assert long.signal is not None
    assert short.signal.tobytes() == long.signal[:steps].tobytes()


def test_draws_are_at_different_places_of_the_attractor() -> None:
    series = MackeyGlassSeries()
    draws = [series.draw(0, "final", index, 500).values[:, 0] for index in range(4)]
    for i, one in enumerate(draws):
        for other in draws[:i]:
            assert np.mean((one - other) ** 2) > 0.3 * series.signal_variance


def test_noise_has_its_standard_deviation() -> None:
    draw = MackeyGlassSeries(noise_std=0.3, washout=10.0).draw(0, "search", 0, 5000)
    assert draw.signal is not None
    assert (draw.values - draw.signal).std() == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(
    "parameters",
    [{"exponent": 50.0}, {"beta": 10.0, "gamma": 0.001, "tau": 100.0}, {"tau": 1.0}],
    ids=str,
)
def test_any_parameters_give_finite_values(parameters: dict[str, Any]) -> None:
    assert np.isfinite(MackeyGlassSeries(**parameters).signal(0.7, 300)).all()


def test_an_equation_at_rest_is_refused_when_it_is_scored() -> None:
    with pytest.raises(SeriesError, match=r"must oscillate, but comes to rest with tau = 2"):
        _ = MackeyGlassSeries(tau=2.0).signal_variance


@pytest.mark.parametrize(
    "parameters", [{"tau": 0.5}, {"beta": 0.0}, {"exponent": 51.0}, {"noise_std": -1.0}], ids=str
)
def test_parameters_have_bounds(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MackeyGlassSeries(**parameters)
