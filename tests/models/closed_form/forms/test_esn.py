"""The echo state network against a plain loop, its spectral radius, its washout."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Generator

from models.closed_form.closed_form import FittedForm, Fixed
from models.closed_form.forms.esn import ESN, spectral_radius

FloatArray = NDArray[np.float64]

SETTINGS: dict[str, Any] = {
    "cell": "esn",
    "units": 20,
    "fan_in": 4,
    "context": "state",
    "context_steps": 10,
    "spectral_radius": 0.9,
    "input_scaling": 0.5,
    "bias_scaling": 0.2,
    "leak_rate": 0.7,
    "ridge": 1e-6,
}


def made(candidate: FittedForm, channels: int = 1) -> tuple[ESN, Fixed]:
    form = candidate.form
    assert isinstance(form, ESN)
    return form, form.fix(channels, Generator().manual_seed(3))


def dense(fixed: Fixed) -> FloatArray:
    """The matrix of the connections: what each unit (a row) reads of the others."""
    units = fixed["bias"].shape[1]
    matrix = np.zeros((units, units))
    for link, weights in zip(fixed["sources"], fixed["connections"], strict=True):
        for unit in range(units):
            matrix[unit, int(link[unit])] += weights[unit]
    return matrix


def read(fixed: Fixed, state: FloatArray, value: FloatArray) -> FloatArray:
    drive = dense(fixed) @ state + value @ fixed["input"] + fixed["bias"][0]
    leak = fixed["leak_rate"][0, 0]
    new: FloatArray = (1 - leak) * state + leak * np.tanh(drive)
    return new


@pytest.mark.parametrize("offset", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_a_fit_and_its_free_run_are_those_of_a_plain_loop(
    make_candidate: Callable[..., FittedForm], offset: bool, residual: bool
) -> None:
    candidate = make_candidate(**SETTINGS, offset=offset, residual=residual)
    series = np.random.default_rng(0).normal(size=(80, 2)).cumsum(axis=0) / 5
    form, fixed = made(candidate, channels=2)
    coefficients = form.factorise([series], candidate, fixed).at(1e-6)

    state, rows = np.zeros(20), []
    for value in series[:-1]:
        state = read(fixed, state, value)
        rows.append(np.concatenate([[float(offset)], value, state]))
    x, y = np.array(rows)[9:], series[10:]  # the tenth state is the first after the washout
    y = y - x[:, 1:3] if residual else y
    expected = np.linalg.solve(x.T @ x + len(x) * 1e-6 * np.eye(23), x.T @ y)
    expected[1:3] += np.eye(2) * residual
    np.testing.assert_allclose(coefficients, expected, rtol=1e-6, atol=1e-9)

    found = form.run(fixed, coefficients[None], series[None, -10:], 15)[0]
    state = np.zeros(20)
    for value in series[-10:]:
        state = read(fixed, state, value)
    value = series[-1]
    for forecast in found:
        value = np.concatenate([[1.0], value, state]) @ coefficients
        np.testing.assert_allclose(forecast, value, rtol=1e-6, atol=1e-9)
        state = read(fixed, state, value)


@pytest.mark.parametrize(("units", "fan_in"), [(20, 4), (100, 10), (5, 50), (1, 1)])
def test_the_connections_have_their_spectral_radius(
    make_candidate: Callable[..., FittedForm], units: int, fan_in: int
) -> None:
    candidate = make_candidate(**SETTINGS | {"units": units, "fan_in": fan_in})
    _, fixed = made(candidate)
    assert fixed["connections"].shape == (min(units, fan_in), units)
    radius = np.abs(np.linalg.eigvals(dense(fixed))).max()
    assert radius == pytest.approx(0.9, rel=0.02)


def test_connections_that_lead_nowhere_have_no_radius() -> None:
    sources = np.array([[0, 0, 1]], dtype=np.intp)  # a chain, whose start reads itself by zero
    connections = np.array([[0.0, 1.0, 1.0]])
    assert spectral_radius(sources, connections, np.ones((1, 3))) == 0.0


def test_every_unit_is_read_equally_often(make_candidate: Callable[..., FittedForm]) -> None:
    _, fixed = made(make_candidate(**SETTINGS))
    assert np.bincount(fixed["sources"].astype(int).reshape(-1)).tolist() == [4] * 20


def test_without_a_bias_and_an_offset_it_is_odd(make_candidate: Callable[..., FittedForm]) -> None:
    candidate = make_candidate(**SETTINGS | {"bias_scaling": 0.0}, offset=False)
    form, fixed = made(candidate)
    series = np.sin(0.3 * np.arange(80))[:, None]
    runs = []
    for sign in (1.0, -1.0):
        coefficients = form.factorise([sign * series], candidate, fixed).at(1e-6)
        runs.append(sign * form.run(fixed, coefficients[None], sign * series[None, -10:], 20))
    np.testing.assert_array_equal(runs[0], runs[1])


def test_a_clean_wave_is_continued(make_candidate: Callable[..., FittedForm]) -> None:
    candidate = make_candidate(**SETTINGS | {"units": 50, "context_steps": 50})
    form, fixed = made(candidate)
    wave = np.sin(0.2 * np.arange(400))[:, None]
    coefficients = form.factorise([wave[:300]], candidate, fixed).at(1e-12)
    run = form.run(fixed, coefficients[None], wave[None, 250:300], 100)[0]
    np.testing.assert_allclose(run, wave[300:], atol=0.01)
