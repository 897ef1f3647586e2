"""Exponential smoothing against the recursion in a plain loop; exact series, company, choice."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm
from models.closed_form.forms.smoothing import (
    AVERAGED,
    MOST_ROWS,
    RATES,
    RUNS_AT_ONCE,
    Smoother,
    Smoothing,
    forecast_errors,
    initial_steps,
    rate_grid,
)
from models.methods import Choices, SettingError
from models.methods.series_properties import SeriesProperties
from search.study.space import complete_space, read_space
from tests.models.closed_form.forms.free_runs import coefficients_of, continued

FloatArray = NDArray[np.float64]


def fitted(candidate: FittedForm, *pieces: FloatArray) -> tuple[Smoothing, FloatArray]:
    form = candidate.form
    assert isinstance(form, Smoothing)
    return form, coefficients_of(candidate, *pieces)


def seasonal(steps: int, season: int, slope: float, seed: int = 0) -> FloatArray:
    """A season of random values plus a line, `[time, 1]`, within a few units."""
    season_values = np.random.default_rng(seed).normal(size=season)
    time = np.arange(steps)
    values: FloatArray = season_values[time % season] + slope * time - slope * steps / 2
    return values[:, None]


def holt_winters(
    values: FloatArray, season: int, rates: FloatArray, steps: int
) -> tuple[FloatArray, list[FloatArray]]:
    """Forecasts after `values`, and after each of them: additive, in the textbook's form.

    Level and trend are weighted means (Holt-Winters with damping: Hyndman & Athanasopoulos,
    "Forecasting: principles and practice", section 8.3), whose rates follow from those of the
    error form.
    """
    alpha, beta, phi, gamma = rates
    share = 0.0 if alpha == 0.0 else beta / alpha
    half = initial_steps(season) // 2
    slope = (values[half : 2 * half].mean() - values[:half].mean()) / half
    level = values[:half].mean() - slope * (half + 1) / 2
    line = level + slope * np.arange(1, 2 * half + 1)
    terms = list((values[: 2 * half] - line).reshape(-1, season).mean(axis=0))

    def forecast() -> FloatArray:
        growth = np.cumsum(phi ** np.arange(1.0, steps + 1.0))
        last = np.array(terms[-season:])[np.arange(steps) % season]
        forecasts: FloatArray = level + growth * slope + last
        return forecasts

    after = []
    for value in values:
        before = level + phi * slope
        old = terms[-season]
        level = alpha * (value - old) + (1 - alpha) * before
        slope = share * (level - before) + phi * slope
        terms.append(gamma * (value - before) + (1 - gamma) * old)
        after.append(forecast())
    return forecast(), after


rates_of_grid = st.integers(0, rate_grid(True, True).shape[1] - 1)


@given(
    points=st.lists(rates_of_grid, min_size=1, max_size=6),
    season=st.sampled_from([1, 2, 3, 7, 12]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=50)
def test_the_filter_is_the_textbook_s_in_a_plain_loop(
    points: list[int], season: int, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=60).cumsum() / 3
    rates = rate_grid(has_season=True, has_trend=True)[:, points]
    smoother = Smoother.start(rates[:, :, None], values[:, None, None], season)
    for value in values:
        smoother.read(np.array([value]))
    found = np.stack(list(smoother.extrapolate(30)))[:, :, 0]
    for column, own in zip(found.T, rates.T, strict=True):
        expected, _ = holt_winters(values, season, own, 30)
        np.testing.assert_allclose(column, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("season", "trended"), [(1, True), (4, False), (20, True)])
def test_rates_are_chosen_by_errors_over_several_steps(season: int, trended: bool) -> None:
    """On two stretches, the third being too short for a first state."""
    values = np.random.default_rng(1).normal(size=170).cumsum() / 3
    stretches = [values[:80], values[90:], values[: initial_steps(season)]]
    grid = rate_grid(season > 1, trended)[:, ::7]
    found = forecast_errors(grid, [stretch[:, None] for stretch in stretches], season)
    horizons = [1, 2, 4, 8, 16]
    known = initial_steps(season)
    for error, own in zip(found[:, 0], grid.T, strict=True):
        squares: dict[int, list[float]] = {horizon: [] for horizon in horizons}
        for stretch in stretches[:2]:
            _, after = holt_winters(stretch, season, own, 16)
            for read in range(known, len(stretch)):
                for horizon in horizons:
                    if read - 1 + horizon < len(stretch):
                        value = stretch[read - 1 + horizon]
                        squares[horizon].append((value - after[read - 1][horizon - 1]) ** 2)
        expected = np.mean([np.mean(own_squares) for own_squares in squares.values()])
        assert error == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("season", [1, 2, 5, 12])
@pytest.mark.parametrize("slope", [0.0, 0.01, -0.02])
def test_a_season_and_a_line_are_continued_exactly(
    make_candidate: Callable[..., FittedForm], season: int, slope: float
) -> None:
    trend = "damped" if slope else "none"
    candidate = make_candidate(
        cell="smoothing", season_steps=season, trend=trend, smoothing_steps=50
    )
    series = seasonal(300, season, slope)
    run = continued(candidate, series[:200], 100)
    np.testing.assert_allclose(run, series[200:], atol=1e-8)


def test_the_best_points_of_the_grid_are_averaged(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = make_candidate(cell="smoothing", season_steps=6, smoothing_steps=30)
    series = np.random.default_rng(3).normal(size=(150, 2)).cumsum(axis=0) / 4
    form, coefficients = fitted(candidate, series)
    grid = rate_grid(has_season=True, has_trend=False)
    errors = forecast_errors(grid, [series], 6)
    rates = coefficients.reshape(RATES, AVERAGED, 2)
    run = form.run({}, coefficients[None], series[None, -30:], 15)[0]
    for channel in range(2):
        best = grid[:, np.argsort(errors[:, channel])[:AVERAGED]]
        np.testing.assert_array_equal(rates[:, :, channel], best)
        alone = [holt_winters(series[-30:, channel], 6, own, 15)[0] for own in best.T]
        np.testing.assert_allclose(run[:, channel], np.mean(alone, axis=0), rtol=1e-9)


def test_a_grid_of_few_points_is_averaged_as_it_is(
    make_candidate: Callable[..., FittedForm],
) -> None:
    """A random walk is best continued by its last value."""
    candidate = make_candidate(cell="smoothing", smoothing_steps=100)
    series = np.random.default_rng(0).normal(size=(1500, 1)).cumsum(axis=0) / 20
    _, coefficients = fitted(candidate, series)
    assert coefficients[0, 0] == 1.0
    assert not coefficients[AVERAGED:].any()


def test_rows_before_the_last_ones_are_not_looked_at(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = make_candidate(cell="smoothing", season_steps=5, trend="damped")
    series = np.random.default_rng(0).normal(size=(MOST_ROWS + 300, 1))
    _, found = fitted(candidate, series)
    _, of_last = fitted(candidate, series[-MOST_ROWS:])
    np.testing.assert_array_equal(found, of_last)


@given(
    season=st.sampled_from([1, 4, 9]),
    channels=st.sampled_from([1, 2]),
    trend=st.sampled_from(["none", "damped"]),
    place=st.integers(0, 2 * RUNS_AT_ONCE + 4),
)
@settings(deadline=None, max_examples=20)
def test_free_runs_are_the_same_alone_and_among_many(
    make_candidate: Callable[..., FittedForm], season: int, channels: int, trend: str, place: int
) -> None:
    candidate = make_candidate(
        cell="smoothing", season_steps=season, trend=trend, smoothing_steps=30
    )
    series = np.random.default_rng(2).normal(size=(300, channels)).cumsum(axis=0) / 5
    form, coefficients = fitted(candidate, series)
    runs = 2 * RUNS_AT_ONCE + 5
    contexts = np.stack([series[start : start + 30] for start in range(runs)])
    shared = np.broadcast_to(coefficients, (runs, *coefficients.shape))
    together = form.run({}, shared, contexts, 11)
    alone = form.run({}, coefficients[None], contexts[place : place + 1], 11)
    np.testing.assert_array_equal(together[place], alone[0])


def test_a_context_has_two_seasons_at_least(make_candidate: Callable[..., FittedForm]) -> None:
    def context_of(**chosen: Any) -> int:
        form = make_candidate(cell="smoothing", **chosen).form
        assert isinstance(form, Smoothing)
        return form.context_steps

    assert context_of(season_steps=12, smoothing_steps=100) == 100
    assert context_of(season_steps=336, smoothing_steps=100) == 672
    assert context_of(season_steps=1, smoothing_steps=1) == 10


def test_the_space_follows_periods_and_the_span() -> None:
    named = read_space({"cell": "smoothing", "seasonal_lag": 0})
    series = SeriesProperties(1000, periods=(23.93, 167.6))
    space = complete_space(named, 1000, series)
    assert space["season_steps"] == Choices((24, 168))
    assert space["smoothing_steps"] == Choices((500,))
    assert set(space) == {
        *("cell", "offset", "seasonal_lag", "time_reversal", "season_steps", "trend"),
        "smoothing_steps",
        "power_transform",
    }
    # A season that does not repeat often enough is not tried.
    assert complete_space(named, 600, series)["season_steps"] == Choices((24,))
    # Where none may fit, or there is none, no season is tried as well.
    few = SeriesProperties(600, periods=(168.0,))
    assert complete_space(named, 600, few)["season_steps"] == Choices((1,))
    assert complete_space(named, 600, SeriesProperties(600))["season_steps"] == Choices((1,))


@pytest.mark.parametrize(
    ("raw", "train_steps", "key"),
    [
        ({"season_steps": 26}, 100, "season_steps"),
        ({"season_steps": 12, "smoothing_steps": 51}, 100, "smoothing_steps"),
        ({}, 19, "smoothing_steps"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(raw: dict[str, Any], train_steps: int, key: str) -> None:
    with pytest.raises(SettingError, match="at most") as raised:
        complete_space(read_space({"cell": "smoothing", **raw}), train_steps)
    assert raised.value.key == key
