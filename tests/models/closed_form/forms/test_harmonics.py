"""Harmonic regression against least squares; exact waves, damping, company, space."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm
from models.closed_form.forms.harmonics import HALF_LIFE_SHARE, RIDGE, Harmonics
from models.methods import Choices, SettingError
from models.methods.series_properties import SeriesProperties
from search.study.space import complete_space, read_space
from tests.models.closed_form.forms.free_runs import check_company, coefficients_of, continued, walk

FloatArray = NDArray[np.float64]
CELL = "harmonics"
NO_REMAINDER = 1e6  # a ridge that leaves of the regression on the remainder nothing


def fitted(candidate: FittedForm, *pieces: FloatArray) -> tuple[Harmonics, FloatArray]:
    form = candidate.form
    assert isinstance(form, Harmonics)
    return form, coefficients_of(candidate, *pieces)


def regressors(form: Harmonics, places: FloatArray) -> FloatArray:
    """Columns `[place, number]` of unit variance; place 0 is the last value, 1 the next."""
    read = max(form.steps, form.season_steps, form.second_season)
    columns = [np.ones(len(places))]
    if form.has_trend:
        half_life = HALF_LIFE_SHARE * read
        # The integral of 2^(-t / half-life) from the last value on.
        grown = half_life / np.log(2) * (1 - 0.5 ** (places / half_life))
        columns.append(np.sqrt(12) / read * np.where(places > 0, grown, places))
    for season in {form.season_steps, form.second_season}:
        for k in range(1, form.count + 1):
            if season > 1 and k <= season / 2:
                angles = 2 * np.pi * k * (places - 1) / season
                columns += [np.sqrt(2) * np.cos(angles), np.sqrt(2) * np.sin(angles)]
    return np.stack(columns, axis=1)


def by_least_squares(form: Harmonics, known: FloatArray, steps: int) -> FloatArray:
    """The regression alone, as the least squares of an extended system."""
    read = max(form.steps, form.season_steps, form.second_season)
    ages = np.arange(read)[::-1]
    own = regressors(form, -ages.astype(float))
    penalty = np.sqrt(RIDGE * read) * np.eye(own.shape[1])[1:]
    system = np.concatenate([own, penalty])
    values = np.concatenate([known[-read:], np.zeros(len(penalty))])
    solution = np.linalg.lstsq(system, values, rcond=None)[0]
    forecasts: FloatArray = regressors(form, np.arange(1.0, steps + 1.0)) @ solution
    return forecasts


shapes = st.fixed_dictionaries(
    {
        "season_steps": st.sampled_from([1, 2, 5, 8]),
        "second_season_steps": st.sampled_from([0, 5, 20]),
        "harmonic_steps": st.sampled_from([2, 17, 30]),
        "harmonic_count": st.sampled_from([1, 3, 9]),
        "harmonic_trend": st.booleans(),
        "remainder_order": st.sampled_from([1, 7]),
        "segment_steps": st.sampled_from([1, 4]),
    }
)


@given(shape=shapes, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_a_pattern_is_that_of_least_squares(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], seed: int
) -> None:
    candidate = make_candidate(cell=CELL, ridge=NO_REMAINDER, **shape)
    series = walk(100, 2, seed) / 8  # within the clip
    run = continued(candidate, series, 25)
    form = candidate.form
    assert isinstance(form, Harmonics)
    for channel in range(2):
        expected = by_least_squares(form, series[:, channel], 25)
        np.testing.assert_allclose(run[:, channel], expected, atol=1e-4)


@pytest.mark.parametrize("second", [0, 90])
def test_waves_are_continued(make_candidate: Callable[..., FittedForm], second: int) -> None:
    """Two harmonics of a season, and one of another: the remainder makes up for the ridge.

    The context holds whole seasons: else the level is not quite that of the waves.
    """
    candidate = make_candidate(
        cell=CELL,
        season_steps=12,
        second_season_steps=second,
        harmonic_steps=180,
        harmonic_count=2,
        remainder_order=10,
        ridge=0.0,
    )
    time = np.arange(600.0)
    series = np.sin(2 * np.pi * time / 12 + 1) + 0.5 * np.cos(2 * np.pi * time / 6)
    if second:
        series += np.sin(2 * np.pi * time / second)
    run = continued(candidate, series[:400, None], 200)
    np.testing.assert_allclose(run[:, 0], series[400:], atol=1e-6)


def test_a_second_season_is_read_once_at_least(
    make_candidate: Callable[..., FittedForm],
) -> None:
    def context_of(**chosen: Any) -> int:
        form = make_candidate(cell=CELL, **chosen).form
        assert isinstance(form, Harmonics)
        return form.context_steps

    assert context_of(season_steps=7, harmonic_steps=28, second_season_steps=365) == 365
    assert context_of(season_steps=7, harmonic_steps=3) == 7
    assert context_of(season_steps=7, harmonic_steps=28, remainder_order=50) == 50


@given(shape=shapes, channels=st.sampled_from([1, 2]), place=st.integers(0, 79))
@settings(deadline=None, max_examples=15)
def test_free_runs_are_the_same_alone_and_among_many(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], channels: int, place: int
) -> None:
    check_company(make_candidate(cell=CELL, ridge=1e-3, **shape), 200, channels, place)


def test_the_space_has_the_seasons_that_go_with_a_period() -> None:
    def space_of(*periods: float, train_steps: int) -> dict[str, Any]:
        series = SeriesProperties(train_steps, periods=periods)
        named = read_space({"cell": CELL, "seasonal_lag": 0})
        return {**complete_space(named, train_steps, series)}

    weekly = space_of(7.0, train_steps=1000)
    assert weekly["second_season_steps"] == Choices((0, 365))
    assert weekly["harmonic_steps"] == Choices((28, 56, 112, 365))
    assert weekly["harmonic_count"] == Choices((3, 6, 12, 24))
    # Two years are not seen.
    assert space_of(7.0, train_steps=700)["second_season_steps"] == Choices((0,))
    assert space_of(7.0, train_steps=700)["harmonic_count"] == Choices((3,))
    both = space_of(24.0, 167.6, train_steps=5000)
    assert both["second_season_steps"] == Choices((0, 24, 168))
    assert space_of(12.0, train_steps=200)["second_season_steps"] == Choices((0,))


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"season_steps": 51}, "season_steps"),
        ({"second_season_steps": 51}, "second_season_steps"),
        ({"harmonic_steps": 51}, "harmonic_steps"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(raw: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingError, match="at most") as raised:
        complete_space(read_space({"cell": CELL, **raw}), 100)
    assert raised.value.key == key
