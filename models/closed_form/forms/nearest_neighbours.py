"""Nearest neighbours: what followed those windows of the training span that look like the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.closed_form.closed_form import (
    ClosedForm,
    FittedForm,
    Fixed,
    FloatArray,
    Solutions,
    half_of_span,
    level_choice,
    level_of,
    quarter_of_span,
)
from models.methods import Choices, Is, Stage, Whole, counted, setting
from models.network.options.learning import TimeReversal
from models.tensors import RUN_BOUND

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

IndexArray = NDArray[np.intp]

# Numbers of neighbours that a held-out span chooses from.
COUNTS = (1, 2, 3, 5, 8, 12, 20)
# A distance counts as itself plus this share of the neighbours' mean: none of them counts alone.
SHARE_OF_MEAN = 0.05
# Rows of the training span that are stored, the last ones; an export has room for all.
STORED_ROWS = 10_000
# Values of windows that are copied at a time: a long window needs no more memory.
BLOCK_VALUES = 1_000_000
# Windows and what follows them, in steps where there is no season; else in seasons.
WINDOWS = (4, 8, 16, 32, 64, 128)
WINDOW_SEASONS = (1, 2)
STEPS = (1, 4, 16)
STEP_SEASONS = (1, 4)


def _seasons(
    series: SeriesProperties, counts: Sequence[int], otherwise: tuple[int, ...]
) -> Choices:
    """So many seasons of a series, in steps; other numbers where it has none."""
    if not series.has_season:
        return Choices(otherwise)
    found = {round(count * period) for period in series.periods for count in counts}
    return Choices(tuple(sorted(found)))


class NearestNeighbours(
    ClosedForm,
    name="nearest-neighbours",
    label="nearest neighbours",
    source="Farmer & Sidorowich (1987); Martinez et al. (2019)",
    rank=22,
    searched=True,
):
    """The mean of what followed the windows of the training span that are nearest to the last one.

    The last values, less their mean or the last of them, are compared with all windows of the
    training span, each less its own level. What followed the k nearest, less the same level, is
    averaged with weights 1 / (d + 0.05 mean d) of squared distances d. With the level of the last
    values this is the forecast of the next `neighbour_steps` values, which are read again.

    Of windows that overlap, a neighbour is one that is nearer than those a step before and after
    it. Each channel is by itself. The last 10,000 rows of the training span are stored.
    """

    levels = tuple(float(count) for count in COUNTS)
    level_name = "neighbours"
    reads_other_channels = False

    window: int = setting(
        Whole(1, 4096),
        Choices(WINDOWS),
        "Last values that are compared with windows of the training span.",
        shared=True,
        suits=lambda series: _seasons(series, WINDOW_SEASONS, WINDOWS),
        most=half_of_span,
        name="neighbour_window",
    )
    ahead: int = setting(
        Whole(1, 100_000),
        Choices(STEPS),
        "Values after each neighbour that are averaged, and so forecast at once.",
        neutral=1,
        shared=True,
        suits=lambda series: _seasons(series, STEP_SEASONS, STEPS),
        most=quarter_of_span,
        name="neighbour_steps",
    )
    context_level: str = level_choice()
    neighbours: int = setting(
        Whole(1, 1000),
        Choices((1, 3, 8, 20)),
        "The nearest windows, what followed which is averaged.",
        neutral=1,
        stage=Stage.REGULARISATION,
        when=Is("regularisation", ("given",)),
    )

    @property
    def context_steps(self) -> int:
        return self.window

    @property
    def given_level(self) -> float:
        return self.neighbours

    @property
    def steps_at_once(self) -> int:
        return self.ahead

    @property
    def stored_rows(self) -> int:
        """Rows that there is room for."""
        return max(STORED_ROWS, 2 * (self.window + self.ahead))

    def features(self, channels: int) -> int:
        return 1

    def outputs(self, channels: int) -> int:
        return 1

    def fixed_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"series": (self.stored_rows, channels), "piece": (self.stored_rows, 1)}

    def measure(self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed) -> Fixed:
        """The last rows of pieces that have a window, and of each row the number of its piece.

        The first piece is number 1; rows of zeros fill up.
        """
        directions = 2 if candidate[TimeReversal].time_reversal else 1
        room, kept = self.stored_rows // directions, list[FloatArray]()
        for piece in reversed([p for p in pieces if len(p) >= self.window + self.ahead]):
            kept.insert(0, piece[max(len(piece) - room, 0) :])
            room -= len(kept[0])
        series, number = (
            np.zeros((self.stored_rows, pieces[0].shape[1])),
            np.zeros(self.stored_rows),
        )
        first = 0
        for place, stretch in enumerate(candidate.stretches(kept), start=1):
            series[first : first + len(stretch)] = stretch
            number[first : first + len(stretch)] = place
            first += len(stretch)
        return {**fixed, "series": series, "piece": number[:, np.newaxis]}

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        return Counts()

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        runs, _, channels = context.shape
        forecasts = np.empty((runs, steps, channels))
        for channel in range(channels):
            library = self._library(fixed, channel)
            for place, (count, known) in enumerate(zip(coefficients, context, strict=True)):
                read = known[-self.window :, channel]
                forecasts[place, :, channel] = self._run(library, read, int(count[0, 0]), steps)
        return forecasts

    def walks(self, directions: int) -> int:
        # Only the free run over the held-out quarter takes time: at each level it looks for
        # neighbours once in `ahead` steps, which takes about as long as 20 steps of a loop.
        levels = len(self.levels) if self.regularisation == "held-out" else 1
        return 1 + 5 * levels // self.ahead

    def size(self) -> str:
        after = counted(self.ahead, "step")
        level = f", less its {self.context_level}" if self.context_level != "none" else ""
        return f"window of {self.window}{level}, {after} at once"

    def _library(self, fixed: Fixed, channel: int) -> Library:
        """The windows of one channel that are followed by as much as is forecast at once."""
        piece = fixed["piece"][:, 0]
        series = np.ascontiguousarray(fixed["series"][:, channel])
        reach = self.window + self.ahead - 1
        starts = np.flatnonzero((piece[:-reach] == piece[reach:]) & (piece[reach:] > 0))
        windows = np.lib.stride_tricks.sliding_window_view(series, self.window)
        levels, squares = np.zeros(len(starts)), np.zeros(len(starts))
        at_once = max(1, BLOCK_VALUES // self.window)
        for first in range(0, len(starts), at_once):
            part = slice(first, first + at_once)
            own = windows[starts[part]]
            level = level_of(self.context_level, own[:, :, np.newaxis])
            if level is not None:
                levels[part] = level[:, 0, 0]
                own -= level[:, :, 0]
            squares[part] = np.vecdot(own, own)
        return Library(series, starts, levels, squares)

    def _run(self, library: Library, known: FloatArray, count: int, steps: int) -> FloatArray:
        """One free run `[step]` of one channel after `known` `[window]`."""
        values = np.empty(self.window + -(-steps // self.ahead) * self.ahead)
        values[: self.window] = known
        for start in range(0, steps, self.ahead):
            end = start + self.window
            read = values[start:end]
            found = level_of(self.context_level, read[np.newaxis, :, np.newaxis])
            level = 0.0 if found is None else float(found[0, 0, 0])
            forecast = level + library.after(read - level, self.ahead, count)
            values[end : end + self.ahead] = np.clip(forecast, -RUN_BOUND, RUN_BOUND)
        return values[self.window : self.window + steps]


class Counts:
    """The level itself is what a free run needs: how many neighbours there are."""

    def at(self, level: float) -> FloatArray:
        """Coefficients `[1, 1]`."""
        return np.full((1, 1), level)


@dataclass(frozen=True, eq=False)
class Library:
    """Windows of one channel of the training span.

    series: the stored values `[time]`. starts: where the windows begin in it. levels: what is taken
    off each. squares: the sum of the squares of what is left of each.
    """

    series: FloatArray
    starts: IndexArray
    levels: FloatArray
    squares: FloatArray

    def after(self, read: FloatArray, ahead: int, count: int) -> FloatArray:
        """The mean `[step]` of what followed the nearest windows, less their levels.

        read: the window that they are near to, less its level.
        """
        products = np.correlate(self.series, read)[self.starts] - self.levels * read.sum()
        distances = np.maximum(self.squares - 2.0 * products + np.vecdot(read, read), 0.0)
        candidates = self._least_around(distances)
        order = np.argsort(distances[candidates], kind="stable")[:count]
        nearest = candidates[order]
        followed = self.starts[nearest, np.newaxis] + len(read) + np.arange(ahead)
        values = self.series[followed] - self.levels[nearest, np.newaxis]
        near = distances[nearest]
        # Where all are zero, or too close to zero to be divided, neighbours count alike.
        mean = max(float(near.mean()), np.finfo(np.float64).tiny)
        weights = 1.0 / (near / mean + SHARE_OF_MEAN)
        averaged: FloatArray = (weights[:, np.newaxis] * values).sum(axis=0) / weights.sum()
        return averaged

    def _least_around(self, distances: FloatArray) -> IndexArray:
        """Positions of the windows that are nearer than those one step before and after."""
        overlap = np.diff(self.starts) == 1
        is_least = np.ones(len(distances), dtype=bool)
        is_least[1:] &= ~overlap | (distances[1:] < distances[:-1])
        is_least[:-1] &= ~overlap | (distances[:-1] <= distances[1:])
        return np.flatnonzero(is_least)
