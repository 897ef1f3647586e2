"""Kernel ridge regression against a direct solution; pieces, thinning, oddness, company, chaos."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm, Fixed
from models.closed_form.forms.kernel import RUNS_AT_ONCE, KernelRidge
from models.closed_form.kernels import STATIONARY

FloatArray = NDArray[np.float64]

SETTINGS: dict[str, Any] = {
    "cell": "kernel-ridge",
    "kernel_delays": 4,
    "kernel_stride": 2,
    "kernel_components": 3,
    "kernel_whitening": 0.5,
    "kernel_length": 1.5,
    "kernel_linear_weight": 2.0,
    "ridge": 1e-3,
}
CONTEXT = 7  # of four values, two steps apart


def fitted(
    candidate: FittedForm, pieces: Sequence[FloatArray]
) -> tuple[KernelRidge, Fixed, FloatArray]:
    form = candidate.form
    assert isinstance(form, KernelRidge)
    fixed = form.measure(pieces, candidate, {})
    return form, fixed, form.factorise(pieces, candidate, fixed).at(form.given_level)


def continued(candidate: FittedForm, series: FloatArray, steps: int) -> FloatArray:
    form, fixed, coefficients = fitted(candidate, [series])
    shown = series[None, -form.context_steps :]
    run: FloatArray = form.run(fixed, coefficients[None], shown, steps)[0]
    return run


def walk(steps: int, channels: int = 1, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(steps, channels)).cumsum(axis=0) / 5


def windows_of(pieces: Sequence[FloatArray], ahead: int) -> tuple[FloatArray, FloatArray]:
    """All windows of the settings within pieces, and what follows them less their last value."""
    windows, changes = [], []
    for piece in pieces:
        for end in range(CONTEXT, len(piece) - ahead + 1):
            windows.append(piece[end - CONTEXT : end : 2].ravel())
            changes.append((piece[end : end + ahead] - piece[end - 1]).ravel())
    return np.array(windows), np.array(changes)


def between(one: FloatArray, other: FloatArray, function: str, constant: float) -> float:
    """The kernel between two points, as it is written in Rasmussen & Williams (2006)."""
    distance = float(np.linalg.norm(one - other)) / 1.5
    root3, root5 = np.sqrt(3) * distance, np.sqrt(5) * distance
    stationary = {
        "matern-3/2": (1 + root3) * np.exp(-root3),
        "matern-5/2": (1 + root5 + root5**2 / 3) * np.exp(-root5),
        "gaussian": np.exp(-(distance**2) / 2),
        "rational-quadratic": 1 / (1 + distance**2 / 2),
    }[function]
    return float(stationary + 2.0 * (constant + one @ other))


@pytest.mark.parametrize("function", STATIONARY)
@pytest.mark.parametrize(
    ("offset", "odd", "channels", "ahead"),
    [(True, False, 1, 1), (False, True, 1, 3), (False, False, 2, 2)],
)
def test_a_fit_and_its_free_run_are_those_of_the_textbook(
    make_candidate: Callable[..., FittedForm],
    function: str,
    offset: bool,
    odd: bool,
    channels: int,
    ahead: int,
) -> None:
    """On two pieces: windows that would cross from one to the next are none."""
    candidate = make_candidate(
        **SETTINGS, kernel_function=function, kernel_odd=odd, offset=offset, segment_steps=ahead
    )
    series = walk(90, channels)
    pieces = [series[:30], series[55:]]
    form, fixed, coefficients = fitted(candidate, pieces)

    windows, changes = windows_of(pieces, ahead)
    centre = windows.mean(axis=0) * offset
    # Singular values of windows are standard deviations of components, times a root.
    _, singular, directions = np.linalg.svd(windows - centre, full_matrices=False)
    scale = (singular[:3] / np.sqrt(len(windows))) ** 0.5

    def kernel(one: FloatArray, other: FloatArray) -> float:
        value = between(one, other, function, float(offset))
        return value - between(one, -other, function, float(offset)) if odd else value

    def point(window: FloatArray) -> FloatArray:
        written: FloatArray = directions[:3] @ (window - centre) / scale
        return written

    points = [point(window) for window in windows]
    gram = np.array([[kernel(x, y) for y in points] for x in points])
    solution = np.linalg.solve(gram + len(gram) * 1e-3 * np.eye(len(gram)), changes)
    np.testing.assert_allclose(coefficients[: len(gram)], solution, rtol=1e-6, atol=1e-8)
    assert not coefficients[len(gram) :].any()

    found = form.run(fixed, coefficients[None], series[None, -CONTEXT:], 10)[0]
    values = list(series[-CONTEXT:])
    while len(values) < CONTEXT + 10:
        read = point(np.array(values[-CONTEXT::2]).ravel())
        change = np.array([kernel(read, other) for other in points]) @ solution
        last = values[-1]
        values += [last + step for step in change.reshape(ahead, channels)]
    np.testing.assert_allclose(found, values[CONTEXT : CONTEXT + 10], rtol=1e-6, atol=1e-8)


def test_a_piece_without_a_window_adds_nothing(make_candidate: Callable[..., FittedForm]) -> None:
    candidate = make_candidate(**SETTINGS)
    series = walk(60)
    _, fixed, coefficients = fitted(candidate, [series])
    _, of_more, more = fitted(candidate, [series[:CONTEXT], series, series[:0]])
    np.testing.assert_array_equal(more, coefficients)
    for name, values in fixed.items():
        np.testing.assert_array_equal(of_more[name], values)
    with pytest.raises(ValueError, match=r"at least 8 steps.* but the longest has 7"):
        fitted(candidate, [series[:3], series[:CONTEXT]])


@given(steps=st.integers(30, 300))
@settings(deadline=None, max_examples=25)
def test_windows_are_thinned_evenly_from_the_first_to_the_last(
    make_candidate: Callable[..., FittedForm], steps: int
) -> None:
    candidate = make_candidate(**SETTINGS | {"kernel_whitening": 0.0}, kernel_points=16)
    line = np.arange(steps, dtype=np.float64)[:, None]
    pieces = [line, line + 2 * steps]
    _, fixed, coefficients = fitted(candidate, pieces)
    assert fixed["support_points"].item() == 16
    assert coefficients.shape == (16, 1)
    # On a line, the first component is twice the mean of the window's four values.
    ends = np.concatenate([piece[CONTEXT - 1 : -1, 0] for piece in pieces])
    chosen = ends[np.linspace(0, len(ends) - 1, 16).round().astype(int)]
    found = fixed["support"][:, 0]
    sign = np.sign(found @ (chosen - chosen.mean()))
    np.testing.assert_allclose(np.diff(sign * found), 2.0 * np.diff(chosen), rtol=1e-6)


@given(
    function=st.sampled_from(sorted(STATIONARY)),
    whitening=st.sampled_from([0.0, 0.4, 1.0]),
    ahead=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=25)
def test_an_odd_kernel_forecasts_the_negative_of_the_negative(
    make_candidate: Callable[..., FittedForm],
    function: str,
    whitening: float,
    ahead: int,
    seed: int,
) -> None:
    candidate = make_candidate(
        **SETTINGS | {"kernel_whitening": whitening},
        kernel_function=function,
        kernel_odd=True,
        offset=False,
        segment_steps=ahead,
    )
    series = walk(60, seed=seed) + 1.0
    run = continued(candidate, series, 20)
    np.testing.assert_array_equal(continued(candidate, -series, 20), -run)


def test_a_kernel_that_is_not_odd_forecasts_something_else(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = make_candidate(**SETTINGS | {"kernel_linear_weight": 0.0}, offset=False)
    series = walk(60) + 1.0
    form, fixed, coefficients = fitted(candidate, [series])
    shown = series[None, -form.context_steps :]
    upside_down = form.run(fixed, coefficients[None], -shown, 20)
    assert not np.allclose(upside_down, -form.run(fixed, coefficients[None], shown, 20))


def test_free_runs_are_the_same_alone_and_among_many(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = make_candidate(**SETTINGS, segment_steps=2)
    series = walk(300)
    form, fixed, coefficients = fitted(candidate, [series])
    starts = range(CONTEXT, CONTEXT + 2 * RUNS_AT_ONCE + 5)
    contexts = np.stack([series[start - CONTEXT : start] for start in starts])
    shared = np.broadcast_to(coefficients, (len(starts), *coefficients.shape))
    together = form.run(fixed, shared, contexts, 7)
    for run, context in zip(together, contexts, strict=True):
        alone = form.run(fixed, coefficients[None], context[None], 7)[0]
        np.testing.assert_array_equal(run, alone)


def test_a_singular_kernel_is_solved_at_a_larger_strength(
    make_candidate: Callable[..., FittedForm],
) -> None:
    """All windows of a constant are one point."""
    series = np.ones((60, 1))
    run = continued(make_candidate(**SETTINGS | {"ridge": 0.0}), series, 20)
    np.testing.assert_allclose(run, 1.0, atol=1e-9)


def mackey_glass(steps: int) -> FloatArray:
    """The Mackey-Glass equation with a delay of 17, every unit of time, standardised.

    By the method of Runge and Kutta with ten steps a unit, the delayed value linear in between.
    """
    delay, settled = 170, 5000
    x = [1.2] * (delay + 1)

    def slope(now: float, delayed: float) -> float:
        return 0.2 * delayed / (1.0 + delayed**10) - 0.1 * now

    while len(x) < delay + settled + 10 * steps:
        now, old, new = x[-1], x[-1 - delay], x[-delay]
        first = slope(now, old)
        second = slope(now + 0.05 * first, (old + new) / 2)
        third = slope(now + 0.05 * second, (old + new) / 2)
        fourth = slope(now + 0.1 * third, new)
        x.append(now + 0.1 / 6 * (first + 2 * second + 2 * third + fourth))
    values = np.array(x[delay + settled :: 10])[:, None]
    standardised: FloatArray = (values - values.mean()) / values.std()
    return standardised


def test_chaos_is_forecast_for_two_lyapunov_times(
    make_candidate: Callable[..., FittedForm],
) -> None:
    """Its largest Lyapunov exponent is about 0.006 by unit, so that a time is 170 steps."""
    chosen = {"kernel_delays": 6, "kernel_stride": 4, "kernel_components": 6, "ridge": 1e-10}
    chosen |= {"kernel_length": 2.0, "kernel_linear_weight": 30.0}
    candidate = make_candidate(**SETTINGS | chosen, kernel_points=1000, kernel_function="gaussian")
    series = mackey_glass(1500)
    for start in (0, 100):
        run = continued(candidate, series[start : start + 1000], 350)
        truth = series[start + 1000 : start + 1350]
        assert np.abs(run - truth).max() < 0.4
