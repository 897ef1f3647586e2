"""Closed forms fitted to a series with gaps: no window runs from one piece into the next."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator

from models.closed_form.closed_form import FittedForm, FloatArray
from models.closed_form.fitting import Fitting
from models.cohort import Member

SHAPES: dict[str, dict[str, Any]] = {
    "esn": {"units": 12, "fan_in": 3, "context_steps": 8},
    "nvar": {"units": 3, "delay_stride": 2, "context_steps": 5, "degree": 2},
    "ar": {"context_steps": 9},
    "ssa": {"context_steps": 11},
    "smoothing": {"season_steps": 3, "smoothing_steps": 12, "trend": "damped"},
    "seasonal-profile": {"season_steps": 4, "profile_seasons": 3, "profile_drift": True},
    "decomposition": {"season_steps": 4, "decomposed_seasons": 2},
    "harmonics": {"season_steps": 5, "harmonic_steps": 12, "segment_steps": 2},
    "theta": {"season_steps": 4, "decomposed_seasons": 3},
    "direct-ridge": {"direct_window": 9, "direct_steps": 4, "context_level": "mean"},
    "periodic-ridge": {"seasons_read": 3, "season_means": True, "seasons_fading": 1.0},
    "nested-ridge": {"seasons_read": 3, "season_means": True, "remainder_ridge": 0.1},
}
FIXED: dict[str, Any] = {"ridge": 1e-3, "ssa_rank": 2, "bias_scaling": 0.2, "leak_rate": 0.6}


def form_of(make_candidate: Callable[..., FittedForm], cell: str, **chosen: Any) -> FittedForm:
    return make_candidate(cell=cell, context="state", **SHAPES[cell] | FIXED | chosen)


def noise(steps: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((steps, 2))


def coefficients(candidate: FittedForm, *pieces: FloatArray) -> FloatArray:
    form = candidate.form
    fixed = form.fix(2, Generator().manual_seed(3))
    return form.factorise(pieces, candidate, fixed).at(form.given_level)


@pytest.mark.parametrize("cell", SHAPES)
@pytest.mark.parametrize("time_reversal", [False, True])
def test_neither_the_order_of_pieces_nor_a_short_one_matters(
    make_candidate: Callable[..., FittedForm], cell: str, time_reversal: bool
) -> None:
    candidate = form_of(make_candidate, cell, time_reversal=time_reversal)
    one, other, short = noise(50, 1), noise(40, 2), noise(candidate.form.context_steps - 1, 3)
    found = coefficients(candidate, one, other)
    np.testing.assert_allclose(coefficients(candidate, other, one), found, atol=1e-9)
    np.testing.assert_allclose(coefficients(candidate, short, one, other), found, atol=1e-9)
    # One that ran on from piece to piece would be another.
    joined = coefficients(candidate, np.concatenate([one, other]))
    assert np.abs(joined - found).max() > 1e-6


def test_ar_is_ridge_regression_on_the_windows_of_each_piece(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = form_of(make_candidate, "ar")
    pieces = [noise(50, 1)[:, :1], noise(40, 2)[:, :1]]
    lags = candidate.form.context_steps
    windows = [np.lib.stride_tricks.sliding_window_view(piece[:, 0], lags + 1) for piece in pieces]
    rows = np.concatenate(windows)
    features, targets = rows[:, :-1], rows[:, -1]
    ridge = len(rows) * candidate.form.given_level * np.eye(lags)
    expected = np.linalg.solve(features.T @ features + ridge, features.T @ targets)
    found = candidate.form.factorise(pieces, candidate, {}).at(candidate.form.given_level)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9)


def test_the_last_quarter_of_the_longest_piece_is_held_out(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = form_of(make_candidate, "ar")
    series, member = noise(90, 5)[:, :1], Member(candidate, 0, 0)
    fitting = Fitting([member], torch.from_numpy(series)[None], [[30, 60]])
    list(fitting)
    known, rest = series[30:75], series[75:]
    form = candidate.form
    of_part = form.factorise([series[:30], known], candidate, {}).at(form.given_level)
    run = form.run({}, of_part[None], known[None, -form.context_steps :], len(rest))
    assert fitting.loss().item() == pytest.approx(np.mean((run[0] - rest) ** 2))


def test_pieces_that_are_longer_than_their_series_or_too_short_are_refused(
    make_candidate: Callable[..., FittedForm],
) -> None:
    member = Member(form_of(make_candidate, "ar"), 0, 0)
    values = torch.from_numpy(noise(34, 0))[None]
    with pytest.raises(ValueError, match="pieces must add up to at most 34 steps in each of 1"):
        Fitting([member], values, [[20, 20]])
    with pytest.raises(ValueError, match="but got 17 without a gap"):
        Fitting([member], values, [[17, 17]])


def test_what_fills_up_a_series_is_never_read(
    make_candidate: Callable[..., FittedForm],
) -> None:
    member = Member(form_of(make_candidate, "ar"), 0, 0)
    short = torch.from_numpy(noise(34, 0))[None]
    filled = torch.cat([short, torch.full((1, 9, short.shape[2]), 1e6, dtype=short.dtype)], dim=1)
    fits = []
    for values, pieces in ((short, None), (filled, [[34]])):
        fitting = Fitting([member], values, pieces)
        list(fitting)
        fits.append(fitting.scored_weights)
    assert torch.equal(*fits)
