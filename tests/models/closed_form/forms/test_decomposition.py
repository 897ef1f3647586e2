"""Seasonal decomposition against plain loops and a direct solution; exact series, company."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm
from models.closed_form.forms.decomposition import Decomposition
from models.methods import Choices, SettingError
from models.methods.series_properties import SeriesProperties
from search.study.space import complete_space, read_space
from tests.models.closed_form.forms.free_runs import check_company, coefficients_of, continued, walk

FloatArray = NDArray[np.float64]
CELL = "decomposition"
RIDGE = 1e-3


def fitted(candidate: FittedForm, *pieces: FloatArray) -> tuple[Decomposition, FloatArray]:
    form = candidate.form
    assert isinstance(form, Decomposition)
    return form, coefficients_of(candidate, *pieces)


def profile(values: FloatArray, season: int, seasons: int) -> FloatArray:
    """The profile of the last seasons of values `[time]`, as the docstring of the form has it."""
    read = values[len(values) - season * seasons :]
    half, deviations = season // 2, []
    for place, value in enumerate(read):
        if place < half:
            average = read[:season].mean()
        elif place >= len(read) - half:
            average = read[-season:].mean()
        else:
            around = read[place - half : place + half + 1]
            ends = 0.5 * (around[0] + around[-1]) if season % 2 == 0 else 0.0
            average = (around.sum() - ends) / season
        deviations.append(value - average)
    means = np.reshape(deviations, (seasons, season)).mean(axis=0)
    centred: FloatArray = means - means.mean()
    return centred


def level_of(name: str, lags: FloatArray) -> float:
    return {"none": 0.0, "mean": float(lags.mean()), "last": float(lags[-1])}[name]


def by_formula(
    form: Decomposition, pieces: list[FloatArray], known: FloatArray, steps: int
) -> list[float]:
    """The forecasts after values `known` of ridge regression on what the profile leaves."""
    season, order, ahead = form.season_steps, form.remainder_order, form.segment_steps
    places = np.arange(-order, ahead) % season
    rows = []
    for piece in pieces:
        for end in range(form.context_steps, len(piece) - ahead + 1):
            own = profile(piece[:end], season, form.decomposed_seasons)[places]
            left = piece[end - order : end + ahead] - own
            rows.append(left - level_of(form.context_level, left[:order]))
    features, targets = np.split(np.array(rows), [order], axis=1)
    system = features.T @ features + len(rows) * RIDGE * np.eye(order)
    weights = np.linalg.solve(system, features.T @ targets)
    own = profile(known, season, form.decomposed_seasons)
    values = list(known[-order:] - own[np.arange(-order, 0) % season])
    while len(values) < order + steps:
        lags = np.array(values[-order:])
        level = level_of(form.context_level, lags)
        values += list(level + (lags - level) @ weights)
    ahead_of_it = np.array(values[order : order + steps])
    return list(ahead_of_it + own[np.arange(steps) % season])


shapes = st.fixed_dictionaries(
    {
        "season_steps": st.sampled_from([1, 2, 5, 8]),
        "decomposed_seasons": st.sampled_from([1, 2, 3]),
        "remainder_order": st.sampled_from([1, 3, 11]),
        "segment_steps": st.sampled_from([1, 4]),
        "context_level": st.sampled_from(["none", "mean", "last"]),
    }
)


@given(shape=shapes, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_a_fit_and_its_free_run_are_those_of_the_formula(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], seed: int
) -> None:
    """On two pieces of two channels, each of which is by itself."""
    candidate = make_candidate(cell=CELL, ridge=RIDGE, **shape)
    series = walk(130, 2, seed) / 4  # within the clip
    pieces = [series[:60], series[70:]]
    form, coefficients = fitted(candidate, *pieces)
    run = form.run({}, coefficients[None], series[None, -form.context_steps :], 15)[0]
    for channel in range(2):
        own = [piece[:, channel] for piece in pieces]
        expected = np.array(by_formula(form, own, series[:, channel], 15))
        is_far = np.maximum.accumulate(np.abs(expected)) > 5.0  # and so near the clip
        found = np.where(is_far, expected, run[:, channel])
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seasons", [2, 3])
@pytest.mark.parametrize("season", [5, 12])
@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_a_season_and_a_line_are_continued(
    make_candidate: Callable[..., FittedForm], seasons: int, season: int, slope: float
) -> None:
    """Without a slope to rounding; a line bends the profile a little at the ends of the context."""
    candidate = make_candidate(
        cell=CELL,
        season_steps=season,
        decomposed_seasons=seasons,
        segment_steps=season,
        ridge=1e-12,
    )
    time = np.arange(300)
    terms = np.random.default_rng(0).normal(size=season)
    series = (terms[time % season] + slope * (time - 150))[:, None]
    run = continued(candidate, series[:200], 100)
    np.testing.assert_allclose(run, series[200:], atol=1e-6 if slope == 0.0 else 1e-2)


@given(shape=shapes, channels=st.sampled_from([1, 2]), place=st.integers(0, 79))
@settings(deadline=None, max_examples=15)
def test_free_runs_are_the_same_alone_and_among_many(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], channels: int, place: int
) -> None:
    check_company(make_candidate(cell=CELL, ridge=RIDGE, **shape), 200, channels, place)


def test_long_contexts_are_read_in_parts(make_candidate: Callable[..., FittedForm]) -> None:
    season = 600
    candidate = make_candidate(
        cell=CELL, season_steps=season, decomposed_seasons=4, segment_steps=season
    )
    time = np.arange(9 * season)
    series = np.sin(2 * np.pi * time / season)[:, None]
    run = continued(candidate, series, season)
    np.testing.assert_allclose(run, series[:season], atol=1e-9)


def test_the_space_follows_periods_and_the_span() -> None:
    series = SeriesProperties(1000, periods=(12.0, 52.2))
    space = complete_space(read_space({"cell": CELL}), 1000, series)
    assert space["season_steps"] == Choices((12, 52))
    assert space["decomposed_seasons"] == Choices((2, 4, 8))
    assert space["remainder_order"] == Choices((4, 12, 16, 24, 52, 104))
    assert space["segment_steps"] == Choices((1, 3, 6, 12))
    assert "residual" not in space


@pytest.mark.parametrize(
    ("periods", "is_there"), [((12.0,), True), ((), False), ((500.0,), False)], ids=str
)
def test_the_default_space_has_it_where_there_is_a_season(
    periods: tuple[float, ...], is_there: bool
) -> None:
    cells = complete_space({}, 1000, SeriesProperties(1000, periods=periods))["cell"]
    assert cells.contains(CELL) == is_there
    assert cells.contains("ar")


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"season_steps": 51}, "season_steps"),
        ({"season_steps": 12, "decomposed_seasons": 5}, "decomposed_seasons"),
        ({"season_steps": 12, "remainder_order": 51}, "remainder_order"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(raw: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingError, match="at most") as raised:
        complete_space(read_space({"cell": CELL, **raw}), 100)
    assert raised.value.key == key
