"""Values for the rows and cells of a table that lack one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.diagnostics.properties import seasons_of
from search.series.source import FloatArray

Filling = Literal["interpolate", "seasonal"]

# The trend and the season are estimated from each other so often.
_ROUNDS = 3
# Rows at the ends, where nothing can be filled in between, are cut off up to this share.
MOST_CUT = 0.1


class FillError(ValueError):
    """Missing values can't be filled; the message says why, and the remedy."""


@dataclass(frozen=True)
class Run:
    """Neighbouring values of a channel that were filled in: rows `start` to before `stop`."""

    channel: int
    start: int
    stop: int


@dataclass(frozen=True)
class Filled:
    """Values `[time, channel]` without gaps, the rows of the table that they are of, and which of
    them were filled in (counted from the first that is kept)."""

    values: FloatArray
    kept: range
    runs: tuple[Run, ...]
    season: float | None = None


def fill(
    values: FloatArray, names: Sequence[str], how: Filling, periods: Sequence[float] | None
) -> Filled:
    """Fill in what is NaN in values `[time, channel]`, and cut off rows at either end that lack it.

    how: "interpolate" on the straight line between the neighbours that are there; "seasonal" on
    that line of what is left without the season, and the season added again (as `na.interp` of
    Hyndman's R package forecast does). periods: of the season, None to look for them.

    Raises FillError where most of a channel is missing, where an end that would be cut off is long,
    and where a season is needed and none is known.
    """
    is_known = np.isfinite(values)
    _check_known(is_known, names)
    kept = _inner(is_known, names)
    inner, known = values[kept.start : kept.stop], is_known[kept.start : kept.stop]
    lines = np.column_stack([_line(inner[:, c], known[:, c]) for c in range(inner.shape[1])])
    season = None
    if how == "seasonal" and not known.all():
        season = _season(lines, periods)
        lines = np.column_stack(
            [
                lines[:, c] if known[:, c].all() else _with_season(inner[:, c], season, name)
                for c, name in enumerate(names)
            ]
        )
    return Filled(np.where(known, inner, lines), kept, tuple(_runs(~known)), season)


def _check_known(is_known: np.ndarray, names: Sequence[str]) -> None:
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


def _line(column: FloatArray, is_known: np.ndarray) -> FloatArray:
    rows = np.arange(len(column))
    return np.interp(rows, rows[is_known], column[is_known])


def _season(lines: FloatArray, periods: Sequence[float] | None) -> float:
    """The longest period that fits into the rows twice."""
    if periods is None:
        periods = seasons_of(lines)
    fitting = [period for period in periods if 2 * period <= len(lines)]
    if not fitting:
        raise FillError(
            'missing = "seasonal" must have a season that fits into the rows twice, but none was '
            'found; write its period in [series], or missing = "interpolate"'
        )
    return float(max(fitting))


def _with_season(column: FloatArray, period: float, name: str) -> FloatArray:
    """A column filled by its season and the line through what the season leaves."""
    is_known = np.isfinite(column)
    rows = np.arange(len(column))
    phases = np.floor(rows % period).astype(int)
    filled = _line(column, is_known)
    for _ in range(_ROUNDS):
        rest = column - _trend(filled, round(period))
        profile = np.full(phases.max() + 1, np.nan)
        for phase in range(len(profile)):
            own = rest[(phases == phase) & np.isfinite(rest)]
            if not len(own):
                raise FillError(
                    f"each of the {len(profile)} steps of a season must have a value away from the "
                    f"ends of the table, but step {phase + 1} of '{name}' has none; write missing "
                    '= "interpolate", or a shorter period in [series]'
                )
            profile[phase] = np.median(own)
        profile -= profile.mean()
        filled = _line(column - profile[phases], is_known) + profile[phases]
    return filled


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


def _runs(is_filled: np.ndarray) -> list[Run]:
    found = []
    for channel in range(is_filled.shape[1]):
        edges = np.diff(is_filled[:, channel].astype(int), prepend=0, append=0)
        starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        found += [
            Run(channel, start, stop)
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
    return found
