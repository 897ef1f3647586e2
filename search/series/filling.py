"""Values for the rows and cells of a table that lack one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from models.diagnostics.seasons import seasons_of
from search.series.source import FloatArray

# With "mask", what is filled in is read before a free run, and neither trained on nor scored.
Filling = Literal["interpolate", "seasonal", "mask"]

# So many seasons before a gap are looked at, since a season changes.
_MOST_SEASONS = 8
# Rows at the ends, where nothing can be filled in between, are cut off up to this share.
MOST_CUT = 0.1


class FillError(ValueError):
    """Missing values can't be filled; the message says why, and the remedy."""


@dataclass(frozen=True)
class Run:
    """Neighbouring values of a channel that were filled in: rows `start` to before `stop`.

    season: the period that they were filled in with, in steps, 0 for a straight line. seen: the row
    behind the last one that they depend on, also by way of what else was filled in; end: behind the
    last one that the season was taken from.
    """

    channel: int
    start: int
    stop: int
    season: float = 0.0
    seen: int = 0
    end: int = 0


@dataclass(frozen=True)
class Filled:
    """Values `[time, channel]` without gaps, the rows of the table that they are of, and which of
    them were filled in (counted from the first that is kept)."""

    values: FloatArray
    kept: range
    runs: tuple[Run, ...]


def fill(
    values: FloatArray, names: Sequence[str], how: Filling, periods: Sequence[float] | None
) -> Filled:
    """Fill in what is NaN in values `[time, channel]`, and cut off rows at either end that lack it.

    how: "interpolate" and "mask" on the straight line between the neighbours that are there;
    "seasonal" on the line of what their season leaves, with the season added again, as na.interp of
    Hyndman's R package forecast does. The season of a gap is that of the rows before it, where
    these are two seasons, else of those around it. periods: in steps, of which the longest that
    fits is taken.

    Raises FillError where most of a channel is missing, where an end that would be cut off is long,
    and where a season is needed and none is given: to look for one in all rows would tell a search
    of the rows that it is tested on.
    """
    is_known = np.isfinite(values)
    check_known(is_known, names)
    kept = _inner(is_known, names)
    inner, known = values[kept.start : kept.stop], is_known[kept.start : kept.stop]
    filled = np.column_stack([line(inner[:, c], known[:, c]) for c in range(inner.shape[1])])
    season = 0.0
    if how == "seasonal" and not known.all():
        season = _season(filled, periods)
    runs = _with_seen(runs_of(~known, season), len(filled))
    if season:
        for run in runs:  # from the first on, so that each knows what is before it
            column = filled[:, run.channel]
            column[run.start : run.stop] = _seasonal(column, run, run.stop, run.end)
    return Filled(filled, kept, tuple(runs))


def without_foresight(values: FloatArray, runs: Sequence[Run], starts: Sequence[int]) -> FloatArray:
    """Return values `[time, channel]` in which no row before a start was filled in by later ones.

    starts: the first forecast rows of free runs, or the row behind the last. Where one lies in or
    right behind a gap, the line of what is before it goes on level, from the last value that is
    there: to the value behind the gap it would tell the forecaster what it has to forecast. A
    season that was taken from rows behind a start is taken from those before it.
    """
    changed = values.copy()
    again: list[tuple[Run, range, int | None]] = []
    for run in runs:
        if run.start >= len(values):
            continue
        column, left = changed[:, run.channel], run.start - 1
        inside = [start for start in starts if run.start < start <= run.stop]
        later = [start for start in starts if run.stop < start < run.seen]
        level_to = min(max(inside), len(values)) if inside else run.start
        if later:
            ends = column[left], column[run.stop]
            own = np.linspace(*ends, run.stop - left + 1)[1:-1]
            column[level_to : run.stop] = own[level_to - run.start :]
            again.append((run, range(level_to, run.stop), min(*later, run.end)))
        if inside:
            column[run.start : level_to] = column[left]
            again.append((run, range(run.start, level_to), None))
    # Seasons come after all lines: none is taken from what was filled in with foresight.
    for run, rows, end in again:
        if run.season:
            column, right = changed[:, run.channel], None if end is None else run.stop
            own = _seasonal(column, run, right, run.start if end is None else end)
            column[rows.start : rows.stop] = own[rows.start - run.start : rows.stop - run.start]
    return changed


def blanked(values: FloatArray, runs: Sequence[Run]) -> FloatArray:
    """Return values `[time, channel]` with NaN where some runs of these channels are."""
    changed = values.copy()
    for run in runs:
        if run.channel < values.shape[1]:
            changed[run.start : run.stop, run.channel] = np.nan
    return changed


def check_known(is_known: np.ndarray, names: Sequence[str]) -> None:
    """Raise FillError where at most half of a column is known; is_known: `[time, column]`."""
    shares = is_known.mean(axis=0)
    worst = int(shares.argmin())
    if shares[worst] <= 0.5:
        raise FillError(
            "more than half of the values must be there to fill in the others, but "
            f"'{names[worst]}' has {int(is_known[:, worst].sum())} of {len(is_known)}; leave it "
            "out, or give the table longer steps"
        )


def _inner(is_known: np.ndarray, names: Sequence[str]) -> range:
    """The rows between the first and the last of which all channels are known."""
    firsts = is_known.argmax(axis=0)
    lasts = len(is_known) - is_known[::-1].argmax(axis=0)
    start, stop = int(firsts.max()), int(lasts.min())
    if stop - start < (1 - MOST_CUT) * len(is_known):
        begins = firsts.max() >= len(is_known) - lasts.min()
        worst = names[int(firsts.argmax() if begins else lasts.argmin())]
        where = f"begins in row {start + 1}" if begins else f"ends in row {stop}"
        raise FillError(
            f"nothing can be filled in before a series begins or after it ends, but '{worst}' "
            f"{where} of {len(is_known)}; leave it out, or cut the table to the rows that all have"
        )
    return range(start, stop)


def line(column: FloatArray, is_known: np.ndarray) -> FloatArray:
    """A column `[time]` with a straight line between those of its values that are known."""
    rows = np.arange(len(column))
    filled: FloatArray = np.interp(rows, rows[is_known], column[is_known])
    return filled


def _season(lines: FloatArray, periods: Sequence[float] | None) -> float:
    """The longest period that fits into the rows twice."""
    if periods is None:
        found = seasons_of(lines)
        example = f"; the rows look like period = {max(found):g}" if found else ""
        raise FillError(
            'missing = "seasonal" must know the season, but no period is given; write the period '
            f'in [series], or take missing = "interpolate"{example}'
        )
    fitting = [period for period in periods if 2 * period <= len(lines)]
    if not fitting:
        raise FillError(
            'missing = "seasonal" must have a season that fits into the rows twice, but got '
            f"{min(periods, default=0):g} steps and {len(lines)} rows; write a shorter period in "
            '[series], or take missing = "interpolate"'
        )
    return float(max(fitting))


def _with_seen(runs: Sequence[Run], rows: int) -> list[Run]:
    """Runs of so many rows, in the order of time in each channel, with what they are made from."""
    found: list[Run] = []
    for run in runs:
        least = 2 * round(run.season) + 1
        end = seen = run.stop + 1
        if run.season and run.start < least:
            end = min(rows, run.stop + least)
            # A gap within is a line to the value behind it.
            within = [o for o in runs if o.channel == run.channel and run.stop <= o.start < end]
            seen = max([end, *(other.stop + 1 for other in within)])
        if found and found[-1].channel == run.channel:
            seen = max(seen, found[-1].seen)
        found.append(replace(run, seen=seen, end=end))
    return found


def _seasonal(column: FloatArray, run: Run, right: int | None, end: int) -> FloatArray:
    """A run's values from its season, and the line between what that leaves of its neighbours.

    right: the row of the later neighbour, None to go on level from the earlier one. end: the row
    behind the last one that the season may be taken from.
    """
    left = run.start - 1
    profile = _profile(column, run, end)
    rows = np.arange(left, run.stop + 1)
    seasons = profile[np.floor(rows % run.season).astype(int)]
    first = column[left] - seasons[0]
    last = first if right is None else column[right] - seasons[-1]
    line = np.linspace(first, last, len(rows))
    return np.asarray((line + seasons)[1:-1])


def _profile(column: FloatArray, run: Run, end: int) -> FloatArray:
    """The mean season by its steps: the median of what a centred average over a period leaves.

    Of the seasons before the run, where there are two of them; else of all rows before `end`, and
    level where these tell nothing of it.
    """
    steps, period = math.ceil(run.season), round(run.season)
    stop = run.start
    if stop < 2 * period + 1:
        stop = min(len(column), end)
    begin = max(0, stop - _MOST_SEASONS * period) if stop == run.start else 0
    rows = np.arange(begin, stop)
    rest = column[begin:stop] - _trend(column[begin:stop], period)
    is_own = (rows >= run.start) & (rows < run.stop)
    phases = np.floor(rows % run.season).astype(int)
    profile = np.full(steps, np.nan)
    for phase in range(steps):
        found = rest[(phases == phase) & np.isfinite(rest) & ~is_own]
        if len(found):
            profile[phase] = np.median(found)
    if np.isnan(profile).all():
        return np.zeros(steps)
    # A step of which nothing is known, such as the last part of a broken period, is as its mean.
    return np.where(np.isfinite(profile), profile - np.nanmean(profile), 0.0)


def _trend(values: FloatArray, period: int) -> FloatArray:
    """The centred moving average over a period, NaN within half a period of the ends."""
    weights = np.full(period + 1 - period % 2, 1.0 / period)
    if period % 2 == 0:
        weights[[0, -1]] /= 2
    trend = np.full(len(values), np.nan)
    half = len(weights) // 2
    if len(values) >= len(weights):
        trend[half : len(values) - half] = np.convolve(values, weights, "valid")
    return trend


def runs_of(is_filled: np.ndarray, season: float) -> list[Run]:
    """The runs of what was filled in, `[time, channel]`, those of the first channel first."""
    found = []
    for channel in range(is_filled.shape[1]):
        edges = np.diff(is_filled[:, channel].astype(int), prepend=0, append=0)
        starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        found += [
            Run(channel, start, stop, season)
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
    return found
