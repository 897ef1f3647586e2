"""The seasonal profile against its formula and least squares; exact series, company, choice."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm
from models.closed_form.forms.seasonal_profile import DAMPINGS, FADINGS, SeasonalProfile
from models.methods import Choices, SettingError
from models.methods.series_properties import SeriesProperties
from search.study.space import complete_space, read_space
from tests.models.closed_form.forms.free_runs import check_company, coefficients_of, continued, walk

FloatArray = NDArray[np.float64]
CELL = "seasonal-profile"


def fitted(candidate: FittedForm, *pieces: FloatArray) -> tuple[SeasonalProfile, FloatArray]:
    form = candidate.form
    assert isinstance(form, SeasonalProfile)
    return form, coefficients_of(candidate, *pieces)


def by_formula(
    form: SeasonalProfile, numbers: FloatArray, values: FloatArray, steps: int
) -> list[float]:
    """Forecasts after values `[time]`, as the docstring of the form writes them."""
    a, rho, b, phi = numbers
    season, k = form.season_steps, form.profile_seasons
    average = np.mean if form.profile_average == "mean" else np.median
    end = len(values)

    def profile(place: int) -> float:
        return float(average([values[end - season * j + place] for j in range(1, k + 1)]))

    recent = min(form.level_steps, season)
    gap = np.mean([values[end - i] - profile(season - i) for i in range(1, recent + 1)])
    seasons, drift = max(k, 2), 0.0
    if form.profile_drift:
        means = [values[end - season * j :][:season].mean() for j in range(1, seasons + 1)]
        drift = (means[0] - means[-1]) / (seasons - 1)
    forecasts = []
    for h in range(1, steps + 1):
        grown = sum(phi**i for i in range(1 + (h - 1) // season))
        forecasts.append(profile((h - 1) % season) + a * rho**h * gap + b * grown * drift)
    return forecasts


shapes = st.fixed_dictionaries(
    {
        "season_steps": st.sampled_from([1, 2, 5, 9]),
        "profile_seasons": st.sampled_from([1, 2, 3, 4]),
        "profile_average": st.sampled_from(["mean", "median"]),
        "level_steps": st.sampled_from([1, 3, 20]),
        "profile_drift": st.booleans(),
    }
)


@given(shape=shapes, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_a_free_run_is_that_of_the_formula(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], seed: int
) -> None:
    form = make_candidate(cell=CELL, **shape).form
    assert isinstance(form, SeasonalProfile)
    dice = np.random.default_rng(seed)
    numbers, series = dice.uniform(size=(4, 2)), walk(50, 2, seed) / 4  # within the clip
    run = form.run({}, numbers[None], series[None, -form.context_steps :], 25)[0]
    for channel in range(2):
        expected = by_formula(form, numbers[:, channel], series[:, channel], 25)
        np.testing.assert_allclose(run[:, channel], expected, rtol=1e-9, atol=1e-12)


@given(shape=shapes, seed=st.integers(0, 20))
@settings(deadline=None, max_examples=8)
def test_no_other_numbers_have_a_smaller_squared_error(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], seed: int
) -> None:
    """On two pieces, from all starts, over horizons of two seasons and at least 16 steps."""
    candidate = make_candidate(cell=CELL, **shape)
    pieces = [walk(48, seed=seed), walk(45, seed=seed + 1)]
    form, coefficients = fitted(candidate, *pieces)
    reach = max(2 * form.season_steps, 16)

    def squared_error(numbers: FloatArray) -> float:
        total = 0.0
        for piece in pieces:
            for start in range(form.context_steps, len(piece)):
                after = piece[start : start + reach, 0]
                run = by_formula(form, numbers, piece[:start, 0], len(after))
                total += float(np.square(after - run).sum())
        return total

    best, dice = squared_error(coefficients[:, 0]), np.random.default_rng(seed)
    for _ in range(25):
        a, b = np.clip(coefficients[[0, 2], 0] + dice.normal(size=2) / 10, 0.0, 1.0)
        other = np.array([a, dice.choice(FADINGS), b, dice.choice(DAMPINGS)])
        assert squared_error(other) >= best - 1e-9 * best


@pytest.mark.parametrize("seasons", [1, 2, 3])
@pytest.mark.parametrize("average", ["mean", "median"])
@pytest.mark.parametrize(("season", "slope"), [(1, 0.02), (7, 0.0), (12, 0.01), (12, -0.02)])
def test_a_season_and_a_line_are_continued_exactly(
    make_candidate: Callable[..., FittedForm],
    seasons: int,
    average: str,
    season: int,
    slope: float,
) -> None:
    candidate = make_candidate(
        cell=CELL,
        season_steps=season,
        profile_seasons=seasons,
        profile_average=average,
        profile_drift=slope != 0.0,
    )
    time = np.arange(300)
    terms = np.random.default_rng(0).normal(size=season)
    series = (terms[time % season] + slope * (time - 150))[:, None]
    run = continued(candidate, series[:200], 100)
    np.testing.assert_allclose(run, series[200:], atol=1e-5)


def test_one_season_without_a_drift_is_repeated(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = make_candidate(cell=CELL, season_steps=6)
    series = walk(100, 2)
    run = continued(candidate, series, 15)
    np.testing.assert_array_equal(run, np.tile(series[-6:], (3, 1))[:15])


def test_a_level_that_fades_is_found(make_candidate: Callable[..., FittedForm]) -> None:
    """A season plus x' = 0.9 x + noise: the best forecast of it is 0.9^h x."""
    dice, deviation, values = np.random.default_rng(1), 0.0, []
    for step in range(6000):
        deviation = 0.9 * deviation + dice.normal() / 10
        values.append(np.sin(2 * np.pi * step / 24) + deviation)
    candidate = make_candidate(cell=CELL, season_steps=24, profile_seasons=8)
    _, coefficients = fitted(candidate, np.array(values)[:, None])
    weight, fading = coefficients[:2, 0]
    assert weight == pytest.approx(1.0, abs=0.1)
    assert fading == pytest.approx(0.9, abs=0.03)


def test_a_drift_that_is_damped_is_found(make_candidate: Callable[..., FittedForm]) -> None:
    """Each season changes from the one before by 0.8 of the last change."""
    time = np.arange(400)
    series = 10 * (1 - 0.8 ** (time / 10)) + np.sin(2 * np.pi * time / 10)
    candidate = make_candidate(cell=CELL, season_steps=10, profile_drift=True)
    _, coefficients = fitted(candidate, series[:, None])
    # The first change ahead is damped, too: 0.8 + 0.64 + ... is 0.8 (1 + 0.8 + ...).
    np.testing.assert_allclose(coefficients[2:, 0], 0.8, rtol=1e-6)


@given(shape=shapes, channels=st.sampled_from([1, 2]), place=st.integers(0, 79))
@settings(deadline=None, max_examples=30)
def test_free_runs_are_the_same_alone_and_among_many(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], channels: int, place: int
) -> None:
    check_company(make_candidate(cell=CELL, **shape), 300, channels, place)


def test_long_seasons_are_fitted_in_parts(make_candidate: Callable[..., FittedForm]) -> None:
    season = 2000
    candidate = make_candidate(cell=CELL, season_steps=season, profile_seasons=2, level_steps=5)
    time = np.arange(5 * season)
    series = np.sin(2 * np.pi * time / season)[:, None]
    run = continued(candidate, series, season)
    np.testing.assert_allclose(run, series[:season], atol=1e-9)


def test_the_space_follows_periods_and_the_span() -> None:
    series = SeriesProperties(1000, periods=(23.93, 167.6))
    space = complete_space(read_space({"cell": CELL}), 1000, series)
    assert space["season_steps"] == Choices((24, 168))
    assert space["profile_seasons"] == Choices((1, 2))
    assert space["level_steps"] == Choices((1, 4, 24, 168))
    assert "regularisation" not in space
    # Two seasons of a drift take half of the span; without one, a season may.
    assert complete_space(read_space({"cell": CELL}), 600, series)["season_steps"] == Choices((24,))
    alone = {"cell": CELL, "profile_drift": False}
    assert complete_space(read_space(alone), 600, series)["profile_seasons"] == Choices((1,))


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"season_steps": 26}, "season_steps"),
        ({"season_steps": 51, "profile_drift": False}, "season_steps"),
        ({"season_steps": 12, "profile_seasons": 5}, "profile_seasons"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(raw: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingError, match="at most") as raised:
        complete_space(read_space({"cell": CELL, **raw}), 100)
    assert raised.value.key == key
