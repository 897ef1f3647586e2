"""The theta method against the recursion in a plain loop, and least squares; exact series."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm
from models.closed_form.decomposing import profiles
from models.closed_form.forms.theta import ALPHAS, HALF_LIVES, Theta
from models.methods import SettingError
from search.study.space import complete_space, read_space
from tests.models.closed_form.forms.free_runs import check_company, coefficients_of, continued, walk

FloatArray = NDArray[np.float64]
CELL = "theta"


def fitted(candidate: FittedForm, *pieces: FloatArray) -> tuple[Theta, FloatArray]:
    form = candidate.form
    assert isinstance(form, Theta)
    return form, coefficients_of(candidate, *pieces)


def by_recursion(form: Theta, numbers: FloatArray, values: FloatArray, steps: int) -> FloatArray:
    """Forecasts after values `[time]`: of the theta line and the trend line, each by itself.

    Assimakopoulos & Nikolopoulos (2000): the series is 1 / theta of a line of theta times its
    curvature, which is smoothed, and 1 - 1 / theta of the straight line, which is extrapolated.
    Hyndman & Billah (2003) show that this is smoothing with a drift; so is the damped one.
    """
    alpha, weight, phi = numbers
    read = values[len(values) - form.context_steps :]
    profile = profiles(read[None], form.season_steps)[0]
    left = read - profile[np.arange(len(read)) % form.season_steps]
    time = np.arange(len(left), dtype=float)
    slope = np.polyfit(time, left, 1)[0] if len(left) > 1 else 0.0

    def smoothed(series: FloatArray) -> float:
        level = series[0]
        for value in series[1:]:
            level = alpha * value + (1 - alpha) * level
        return float(level)

    # The straight line ahead, against a level that is smoothed of it.
    drift = slope * (time[-1] - smoothed(time) + np.cumsum(phi ** np.arange(1.0, steps + 1.0)))
    forecasts: FloatArray = (
        smoothed(left) + weight * drift + profile[np.arange(steps) % form.season_steps]
    )
    return forecasts


shapes = st.fixed_dictionaries(
    {
        "season_steps": st.sampled_from([1, 2, 5, 8]),
        "decomposed_seasons": st.sampled_from([1, 2, 4]),
    }
)


@given(
    shape=shapes,
    alpha=st.sampled_from(ALPHAS),
    half_life=st.sampled_from(HALF_LIVES),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=25)
def test_a_free_run_is_that_of_the_recursion(
    make_candidate: Callable[..., FittedForm],
    shape: dict[str, Any],
    alpha: float,
    half_life: float,
    seed: int,
) -> None:
    form = make_candidate(cell=CELL, **shape).form
    assert isinstance(form, Theta)
    weight = np.random.default_rng(seed).uniform()
    numbers, series = np.array([alpha, weight, 0.5 ** (1 / half_life)]), walk(50, 2, seed) / 8
    both = np.stack([numbers, numbers], axis=1)
    run = form.run({}, both[None], series[None, -form.context_steps :], 25)[0]
    for channel in range(2):
        expected = by_recursion(form, numbers, series[:, channel], 25)
        np.testing.assert_allclose(run[:, channel], expected, rtol=1e-9, atol=1e-12)


def test_theta_of_two_is_half_of_the_drift(make_candidate: Callable[..., FittedForm]) -> None:
    """On a straight line without a season, whose theta line with a theta of 0 is itself."""
    form = make_candidate(cell=CELL, season_steps=1, decomposed_seasons=30).form
    assert isinstance(form, Theta)
    series = 0.01 * np.arange(60.0)[None, :, None]
    alpha = 0.3
    run = form.run({}, np.array([[[alpha], [0.5], [1.0]]]), series, 10)[0, :, 0]
    # Hyndman & Billah (2003), eq. 3: the smoothed line, and half of the drift h - 1 + 1 / alpha ...
    level = 0.0
    for value in 0.01 * np.arange(30.0):
        level = alpha * value + (1 - alpha) * level if value else 0.0
    ahead = np.arange(10) + 1 / alpha - (1 - alpha) ** 30 / alpha
    np.testing.assert_allclose(run, 0.3 + level + 0.005 * ahead, rtol=1e-12)


@given(shape=shapes, seed=st.integers(0, 20))
@settings(deadline=None, max_examples=8)
def test_no_other_numbers_have_a_smaller_squared_error(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], seed: int
) -> None:
    """On two pieces, from all starts, over horizons of two seasons and at least 16 steps."""
    candidate = make_candidate(cell=CELL, **shape)
    pieces = [walk(60, seed=seed), walk(45, seed=seed + 1)]
    form, coefficients = fitted(candidate, *pieces)
    season = form.season_steps
    reach = max(2 * season, 16)

    def squared_error(numbers: FloatArray) -> float:
        total = 0.0
        for piece in pieces:
            for start in range(form.context_steps, len(piece)):
                after = piece[start : start + reach, 0]
                run = by_recursion(form, numbers, piece[:start, 0], len(after))
                total += float(np.square(after - run).sum())
        return total

    best, dice = squared_error(coefficients[:, 0]), np.random.default_rng(seed)
    for _ in range(25):
        weight = np.clip(coefficients[1, 0] + dice.normal() / 10, 0.0, 1.0)
        left = 0.5 ** (1 / (season * dice.choice(HALF_LIVES)))
        assert squared_error(np.array([dice.choice(ALPHAS), weight, left])) >= best * (1 - 1e-9)


@pytest.mark.parametrize("seasons", [2, 3])
@pytest.mark.parametrize("season", [5, 12])
def test_a_season_is_continued_exactly(
    make_candidate: Callable[..., FittedForm], seasons: int, season: int
) -> None:
    candidate = make_candidate(cell=CELL, season_steps=season, decomposed_seasons=seasons)
    series = np.random.default_rng(0).normal(size=season)[np.arange(300) % season][:, None]
    run = continued(candidate, series[:200], 100)
    np.testing.assert_allclose(run, series[200:], atol=1e-9)


def test_a_line_is_continued_with_all_of_its_drift(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = make_candidate(cell=CELL, season_steps=1, decomposed_seasons=20)
    series = 0.01 * np.arange(-150.0, 150.0)[:, None]
    form, coefficients = fitted(candidate, series[:200])
    np.testing.assert_allclose(coefficients[1:, 0], 1.0)
    run = form.run({}, coefficients[None], series[None, :200], 100)[0]
    np.testing.assert_allclose(run, series[200:], atol=1e-9)


@given(shape=shapes, channels=st.sampled_from([1, 2]), place=st.integers(0, 79))
@settings(deadline=None, max_examples=15)
def test_free_runs_are_the_same_alone_and_among_many(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], channels: int, place: int
) -> None:
    check_company(make_candidate(cell=CELL, **shape), 300, channels, place)


def test_what_does_not_fit_is_refused() -> None:
    raw = {"cell": CELL, "season_steps": 12, "decomposed_seasons": 5}
    with pytest.raises(SettingError, match="at most") as raised:
        complete_space(read_space(raw), 100)
    assert raised.value.key == "decomposed_seasons"
