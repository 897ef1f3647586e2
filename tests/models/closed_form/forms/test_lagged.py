"""AR, NVAR and SSA: what each recovers, and that company changes none of their free runs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm
from models.closed_form.forms.nvar import NVAR
from models.closed_form.forms.ssa import SSA

FloatArray = NDArray[np.float64]


def fitted(candidate: FittedForm, series: FloatArray) -> FloatArray:
    """Coefficients by the candidate's own level."""
    form = candidate.form
    return form.factorise([series], candidate, {}).at(form.given_level)


def continued(candidate: FittedForm, series: FloatArray, steps: int) -> FloatArray:
    """The free run after a series `[time, channel]` that it was fitted on."""
    coefficients = fitted(candidate, series)
    run: FloatArray = candidate.form.run({}, coefficients[None], series[None], steps)[0]
    return run


def waves(steps: int, periods: tuple[float, ...], start: int = 0) -> FloatArray:
    t = np.arange(start, start + steps)
    waves: FloatArray = sum(np.sin(2 * np.pi * t / p + p) / (i + 1) for i, p in enumerate(periods))
    return waves[:, None]


def test_ar_is_ridge_regression_on_lagged_values(make_candidate: Callable[..., FittedForm]) -> None:
    series = np.random.default_rng(0).normal(size=(60, 2))
    x = np.stack([series[t - 3 : t].reshape(-1) for t in range(3, 60)])
    for reversal in (False, True):
        rows, targets = x, series[3:]
        if reversal:
            backwards = series[::-1]
            turned = np.stack([backwards[t - 3 : t].reshape(-1) for t in range(3, 60)])
            rows = np.concatenate([x, turned])
            targets = np.concatenate([targets, backwards[3:]])
        gram = rows.T @ rows + 0.01 * len(rows) * np.eye(6)
        candidate = make_candidate(cell="ar", context_steps=3, ridge=0.01, time_reversal=reversal)
        expected = np.linalg.solve(gram, rows.T @ targets)
        np.testing.assert_allclose(fitted(candidate, series), expected, rtol=1e-10)


@pytest.mark.parametrize("level", ["none", "mean", "last"])
@pytest.mark.parametrize(("ahead", "channels"), [(1, 1), (3, 2), (20, 1)])
def test_segments_are_regressions_of_all_their_values(
    make_candidate: Callable[..., FittedForm], level: str, ahead: int, channels: int
) -> None:
    """Fed back together, less the context's mean or last value of each channel."""
    series = np.random.default_rng(3).normal(size=(90, channels)).cumsum(axis=0) / 4
    candidate = make_candidate(
        cell="ar", context_steps=5, ridge=0.02, segment_steps=ahead, context_level=level
    )
    rows = range(5, 91 - ahead)

    def taken_off(context: FloatArray) -> FloatArray:
        off: dict[str, FloatArray] = {
            "none": np.zeros((1, channels)),
            "mean": context.mean(axis=0, keepdims=True),
            "last": context[-1:],
        }
        return off[level]

    x = np.stack([(series[t - 5 : t] - taken_off(series[t - 5 : t])).ravel() for t in rows])
    y = np.stack([(series[t : t + ahead] - taken_off(series[t - 5 : t])).ravel() for t in rows])
    gram = x.T @ x + 0.02 * len(x) * np.eye(5 * channels)
    expected = np.linalg.solve(gram, x.T @ y)
    found = fitted(candidate, series)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    known = series
    for _ in range(-(-7 // ahead)):
        off = taken_off(known[-5:])
        segment = ((known[-5:] - off).ravel() @ expected).reshape(ahead, channels) + off
        known = np.concatenate([known, segment])
    np.testing.assert_allclose(continued(candidate, series, 7), known[90:97], rtol=1e-6, atol=1e-9)


def test_a_fit_of_segments_with_a_residual_is_drawn_to_the_last_value(
    make_candidate: Callable[..., FittedForm],
) -> None:
    series = np.random.default_rng(4).normal(size=(60, 2))
    candidate = make_candidate(
        cell="nvar", units=2, degree=2, ridge=1e6, residual=True, segment_steps=3
    )
    run = continued(candidate, series, 8)
    np.testing.assert_allclose(run, np.tile(series[-1], (8, 1)), atol=1e-3)


def test_ar_recovers_the_coefficients_that_made_a_series(
    make_candidate: Callable[..., FittedForm],
) -> None:
    generator = np.random.default_rng(0)
    series = np.zeros((20_000, 1))
    for t in range(2, len(series)):
        series[t] = 1.5 * series[t - 1] - 0.8 * series[t - 2] + generator.normal()
    found = fitted(make_candidate(cell="ar", context_steps=2), series)
    np.testing.assert_allclose(found[:, 0], [-0.8, 1.5], atol=0.02)


def test_a_ridge_draws_a_residual_output_to_persistence(
    make_candidate: Callable[..., FittedForm],
) -> None:
    series = np.random.default_rng(0).normal(size=(60, 1))
    candidate = make_candidate(cell="ar", context_steps=3, ridge=1e6, residual=True)
    np.testing.assert_allclose(continued(candidate, series, 5), series[-1:].repeat(5, 0), atol=1e-5)


@pytest.mark.parametrize("reversal", [False, True])
def test_ssa_continues_a_sum_of_sinusoids_exactly(
    make_candidate: Callable[..., FittedForm], reversal: bool
) -> None:
    series = waves(700, (25.0, 61.3, 300.0))
    candidate = make_candidate(cell="ssa", context_steps=150, ssa_rank=6, time_reversal=reversal)
    found = continued(candidate, series[:300], 400)
    np.testing.assert_allclose(found, series[300:], atol=1e-8)


def test_ssa_is_the_recurrence_of_the_leading_singular_vectors(
    make_candidate: Callable[..., FittedForm],
) -> None:
    series = np.random.default_rng(1).normal(size=(80, 1)).cumsum(axis=0)
    hankel = np.stack([series[k : k + 20, 0] for k in range(61)], axis=1)
    vectors = np.linalg.svd(hankel)[0][:, :3]
    last = vectors[-1]
    expected = vectors[:-1] @ last / (1 - last @ last)
    found = fitted(make_candidate(cell="ssa", context_steps=20, ssa_rank=3), series)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-8)


def test_channels_of_an_ssa_share_one_recurrence(make_candidate: Callable[..., FittedForm]) -> None:
    both = np.concatenate([waves(400, (25.0,)), waves(400, (61.3,))], axis=1)
    candidate = make_candidate(cell="ssa", context_steps=100, ssa_rank=4)
    np.testing.assert_allclose(continued(candidate, both[:250], 150), both[250:], atol=1e-8)


def henon(steps: int) -> FloatArray:
    """x' = 1 - 1.4 x^2 + 0.3 x_before, which is a polynomial of two delays (Henon 1976)."""
    x = np.zeros(steps)
    for t in range(1, steps - 1):
        x[t + 1] = 1.0 - 1.4 * x[t] ** 2 + 0.3 * x[t - 1]
    return x[20:, None]


@pytest.mark.parametrize("residual", [False, True])
def test_nvar_reproduces_a_polynomial_map(
    make_candidate: Callable[..., FittedForm], residual: bool
) -> None:
    series = henon(400)
    candidate = make_candidate(cell="nvar", units=2, context_steps=2, degree=2, residual=residual)
    # Features: 1; the earlier and the later value; their products.
    found = fitted(candidate, series[:300])[:, 0]
    np.testing.assert_allclose(found, [1.0, 0.3, 0.0, 0.0, 0.0, -1.4], atol=1e-9)
    run = continued(candidate, series[:300], 30)
    np.testing.assert_allclose(run, series[300:330], atol=1e-4)


def test_nvar_reads_its_delays_and_all_their_monomials(
    make_candidate: Callable[..., FittedForm],
) -> None:
    form = make_candidate(cell="nvar", units=2, delay_stride=3, degree=3).form
    assert isinstance(form, NVAR)
    assert form.context_steps == 4
    a, b = 2.0, 5.0
    features = form.expand(np.array([[a, 7.0, 7.0, b]]), channels=1, constant=1.0)[0].tolist()
    assert features == [1, a, b, a * a, a * b, b * b, a**3, a * a * b, a * b * b, b**3]
    assert form.features(channels=1) == len(features)


def test_without_an_offset_an_nvar_has_no_constant(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = make_candidate(
        cell="nvar", units=2, context_steps=2, degree=2, offset=False, ridge=1e-3
    )
    assert fitted(candidate, henon(200))[0, 0] == 0.0
    kept = make_candidate(cell="nvar", units=2, context_steps=2, degree=2, ridge=1e-3)
    assert fitted(kept, henon(200))[0, 0] != 0.0


@pytest.mark.parametrize("offset", [False, True])
def test_an_nvar_that_is_fitted_upside_down_as_well_has_no_even_monomials(
    make_candidate: Callable[..., FittedForm], offset: bool
) -> None:
    """A constant and squares have no sign to turn, so that the forecast is an odd function."""
    candidate = make_candidate(
        cell="nvar",
        units=2,
        context_steps=2,
        degree=3,
        ridge=1e-6,
        sign_augmentation=True,
        offset=offset,
    )
    series = henon(200)
    found = fitted(candidate, series)[:, 0]
    # 1; a, b; aa, ab, bb; aaa, aab, abb, bbb.
    np.testing.assert_allclose(found[[0, 3, 4, 5]], 0.0, atol=1e-12)
    assert np.abs(found[[1, 2, 6, 9]]).min() > 1e-3
    turned = candidate.form.run({}, fitted(candidate, series)[None], -series[None], 5)[0]
    np.testing.assert_allclose(turned, -continued(candidate, series, 5), rtol=1e-9)


def test_a_run_that_grows_is_not_cut_off(make_candidate: Callable[..., FittedForm]) -> None:
    form = make_candidate(cell="ar", context_steps=1).form
    run = form.run({}, np.array([[[3.0]]]), np.ones((1, 1, 1)), 30)
    np.testing.assert_array_equal(run[0, :, 0], 3.0 ** np.arange(1, 31))
    exploded = form.run({}, np.array([[[3.0]]]), np.ones((1, 1, 1)), 2000)
    assert np.isfinite(exploded).all()


@settings(deadline=None, max_examples=30)
@given(
    cell=st.sampled_from(["ar", "nvar", "ssa"]),
    rank=st.sampled_from([1, 2, 5, 100]),
    ridge=st.sampled_from([0.0, 1e-14, 1.0, 1e6]),
    series=st.lists(st.sampled_from([-10.0, 0.0, 0.1, 1.0, 10.0]), min_size=8, max_size=30),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_any_series_and_any_setting_give_finite_runs(
    make_candidate: Callable[..., FittedForm],
    cell: str,
    rank: int,
    ridge: float,
    series: list[float],
    flags: tuple[bool, bool, bool],
) -> None:
    chosen: dict[str, Any] = dict(zip(("offset", "time_reversal", "residual"), flags, strict=True))
    candidate = make_candidate(
        cell=cell, context_steps=3, units=3, degree=3, ssa_rank=rank, ridge=ridge, **chosen
    )
    run = continued(candidate, np.array(series)[:, None], 40)
    assert np.isfinite(run).all()


def test_the_rank_is_cut_to_what_a_window_has(make_candidate: Callable[..., FittedForm]) -> None:
    series = waves(60, (10.0,))
    most = fitted(make_candidate(cell="ssa", context_steps=5, ssa_rank=4), series)
    more = fitted(make_candidate(cell="ssa", context_steps=5, ssa_rank=1000), series)
    np.testing.assert_array_equal(most, more)
    shortest = make_candidate(cell="ssa", context_steps=1).form
    assert isinstance(shortest, SSA)
    assert shortest.lags == 1
