"""Nearest neighbours against plain loops; series that repeat, what is stored, company, space."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.closed_form.closed_form import FittedForm, Fixed
from models.closed_form.forms.nearest_neighbours import (
    SHARE_OF_MEAN,
    STORED_ROWS,
    NearestNeighbours,
)
from models.methods import Choices, SettingError
from models.methods.series_properties import SeriesProperties
from search.study.space import complete_space, read_space

FloatArray = NDArray[np.float64]
CELL = "nearest-neighbours"


def fitted(
    candidate: FittedForm, *pieces: FloatArray
) -> tuple[NearestNeighbours, Fixed, FloatArray]:
    form = candidate.form
    assert isinstance(form, NearestNeighbours)
    fixed = form.measure(pieces, candidate, {})
    return form, fixed, form.factorise(pieces, candidate, fixed).at(form.given_level)


def continued(candidate: FittedForm, pieces: list[FloatArray], steps: int) -> FloatArray:
    form, fixed, coefficients = fitted(candidate, *pieces)
    shown = pieces[-1][None, -form.context_steps :]
    run: FloatArray = form.run(fixed, coefficients[None], shown, steps)[0]
    return run


def walk(steps: int, channels: int = 1, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(steps, channels)).cumsum(axis=0) / 5


def level_of(name: str, window: FloatArray) -> float:
    return {"none": 0.0, "mean": float(window.mean()), "last": float(window[-1])}[name]


def next_values(form: NearestNeighbours, pieces: list[FloatArray], read: FloatArray) -> FloatArray:
    """The next values after a window, as the docstring of the form has it."""
    level = level_of(form.context_level, read)
    found: list[tuple[float, FloatArray]] = []
    for piece in pieces:
        own = []
        for start in range(len(piece) - form.window - form.ahead + 1):
            end = start + form.window
            theirs = level_of(form.context_level, piece[start:end])
            squares = ((piece[start:end] - theirs) - (read - level)) ** 2
            own.append((float(squares.sum()), piece[end : end + form.ahead] - theirs))
        padded = [np.inf, *(distance for distance, _ in own), np.inf]
        found += [
            pair
            for pair, before, after in zip(own, padded, padded[2:], strict=False)
            if pair[0] < min(before, after)
        ]
    nearest = sorted(found, key=lambda pair: pair[0])[: form.neighbours]
    distances = np.array([distance for distance, _ in nearest])
    # Where forecasts follow a stored window exactly, the mean is zero.
    weights = 1 / (distances / (distances.mean() or 1.0) + SHARE_OF_MEAN)
    mean: FloatArray = np.average([after for _, after in nearest], axis=0, weights=weights)
    return level + mean


shapes = st.fixed_dictionaries(
    {
        "neighbour_window": st.sampled_from([1, 4, 9]),
        "neighbour_steps": st.sampled_from([1, 3, 8]),
        "neighbours": st.sampled_from([1, 2, 5, 100]),
        "context_level": st.sampled_from(["none", "mean", "last"]),
    }
)


@given(shape=shapes, reversal=st.booleans(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_a_free_run_is_that_of_plain_loops(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], reversal: bool, seed: int
) -> None:
    """On two pieces of two channels, each of which is by itself; one piece has no window."""
    # Windows of one value are too often as near as others, to rounding.
    assume(shape["neighbour_window"] > 1)
    candidate = make_candidate(cell=CELL, time_reversal=reversal, **shape)
    series = walk(130, 2, seed) / 4  # within the clip
    pieces = [series[:60], series[60:63], series[70:]]
    form, _, _ = fitted(candidate, *pieces)
    run = continued(candidate, pieces, 12)
    for channel in range(2):
        own = [piece[:, channel] for piece in pieces]
        own += [piece[::-1] for piece in own] if reversal else []
        values = list(own[2][-form.window :])
        while len(values) < form.window + 12:
            values += list(next_values(form, own, np.array(values[-form.window :])))
        expected = values[form.window : form.window + 12]
        np.testing.assert_allclose(run[:, channel], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("level", ["none", "mean", "last"])
@pytest.mark.parametrize("neighbours", [1, 5])
def test_what_repeats_is_continued(
    make_candidate: Callable[..., FittedForm], level: str, neighbours: int
) -> None:
    candidate = make_candidate(
        cell=CELL,
        neighbour_window=9,
        neighbour_steps=4,
        neighbours=neighbours,
        context_level=level,
    )
    season = np.random.default_rng(0).normal(size=12)
    time = np.arange(300)
    slope = 0.0 if level == "none" else 0.01  # what is taken off takes a trend along
    series = (season[time % 12] + slope * (time - 150))[:, None]
    run = continued(candidate, [series[:200]], 100)
    np.testing.assert_allclose(run, series[200:], atol=1e-6)


def test_windows_that_are_all_equally_near_count_alike(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = make_candidate(cell=CELL, neighbour_window=5, neighbours=3)
    run = continued(candidate, [np.zeros((50, 1))], 10)
    np.testing.assert_array_equal(run, 0.0)


def test_the_last_rows_are_stored(make_candidate: Callable[..., FittedForm]) -> None:
    """Of a piece that is cut, the end; those before it are not stored at all."""
    candidate = make_candidate(cell=CELL, neighbour_window=5, neighbour_steps=2)
    series = walk(STORED_ROWS + 500, 2)
    pieces = [series[:300], series[300:4000], series[4000:]]
    form, fixed, _ = fitted(candidate, *pieces)
    assert {name: value.shape for name, value in fixed.items()} == form.fixed_shapes(2)
    np.testing.assert_array_equal(fixed["series"], series[500:])
    numbers, counts = np.unique(fixed["piece"], return_counts=True)
    assert len(numbers) == 2
    assert counts.tolist() == [3500, STORED_ROWS - 3500]


def test_short_pieces_take_no_room(make_candidate: Callable[..., FittedForm]) -> None:
    candidate = make_candidate(cell=CELL, neighbour_window=90, neighbour_steps=20, neighbours=1)
    series = np.sin(np.arange(12_000.0) / 5)[:, None]
    pieces = [series[:300], *np.split(series[300:], 117)]
    assert {len(piece) for piece in pieces[1:]} == {100}
    form, fixed, coefficients = fitted(candidate, *pieces)
    np.testing.assert_array_equal(fixed["series"][:300], series[:300])
    assert not fixed["series"][300:].any()
    run = form.run(fixed, coefficients[None], series[None, 900:990], 20)[0]
    np.testing.assert_allclose(run, series[990:1010], atol=0.3)


def test_an_export_has_room_for_windows_longer_than_usual(
    make_candidate: Callable[..., FittedForm],
) -> None:
    form = make_candidate(cell=CELL, neighbour_window=4000, neighbour_steps=20_000).form
    assert form.fixed_shapes(1)["series"] == (48_000, 1)


@given(shape=shapes, channels=st.sampled_from([1, 2]), place=st.integers(0, 79))
@settings(deadline=None, max_examples=15)
def test_free_runs_are_the_same_alone_and_among_many(
    make_candidate: Callable[..., FittedForm], shape: dict[str, Any], channels: int, place: int
) -> None:
    form, fixed, coefficients = fitted(make_candidate(cell=CELL, **shape), walk(200, channels))
    series, known = walk(200, channels, seed=1), form.context_steps
    contexts = np.stack([series[start : start + known] for start in range(80)])
    shared = np.broadcast_to(coefficients, (80, *coefficients.shape))
    together = form.run(fixed, shared, contexts, 21)
    alone = form.run(fixed, coefficients[None], contexts[place : place + 1], 21)
    np.testing.assert_array_equal(together[place], alone[0])


def test_the_space_follows_periods() -> None:
    named = read_space({"cell": CELL, "regularisation": "given", "seasonal_lag": 0})
    series = SeriesProperties(1000, periods=(24.0,))
    space = complete_space(named, 1000, series)
    assert space["neighbour_window"] == Choices((24, 48))
    assert space["neighbour_steps"] == Choices((24, 96))
    assert space["neighbours"] == Choices((1, 3, 8, 20))
    without = complete_space(named, 100, SeriesProperties(100))
    assert without["neighbour_window"] == Choices((4, 8, 16, 32))
    assert without["neighbour_steps"] == Choices((1, 4, 16))


@pytest.mark.parametrize(
    ("raw", "key"),
    [({"neighbour_window": 51}, "neighbour_window"), ({"neighbour_steps": 26}, "neighbour_steps")],
    ids=str,
)
def test_what_does_not_fit_is_refused(raw: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingError, match="at most") as raised:
        complete_space(read_space({"cell": CELL, **raw}), 100)
    assert raised.value.key == key
