"""Effects of columns that are known in advance: curves that a regression found.

What a series takes from its known columns is a sum of curves, one for each column: piecewise linear
between knots, which are the values of a column that has few of them, and quantiles of one that has
many. A straight line is a curve of two knots, and goes on beyond them unless the column has no
other values.

An effect may come later than its cause. Lagged columns then have curves of their own: a known
column some rows earlier, or its mean over a span of rows. Spans that double in length, the farther
they lie, make a distributed lag that is a step function (Ghysels, Sinko & Valkanov 2007, "MIDAS
regressions", section 2.2): few coefficients reach far back, and the nearest rows have the finest
ones. Rows before the first one of a table are unknown: the first row stands for them, and none that
would need them is learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Knots of a curve at most.
MOST_KNOTS = 24
# Steps of the lags "steps", and what spans reach at least and at most.
LAG_STEPS, LEAST_REACH, MOST_REACH = 3, 8, 255
# Seasons that spans reach.
REACHED_SEASONS = 2


@dataclass(frozen=True)
class Groups:
    """Channels that have known columns of their own, such as those of each id of a long table.

    count: of groups. Known columns are as many for each, those of the first one first; and so are
    the channels that are forecast, and behind them `past` others.
    """

    count: int = 1
    past: int = 0

    def channels(self, group: int, total: int) -> NDArray[np.intp]:
        """The channels of a group, of so many."""
        forecast, past = (total - self.past) // self.count, self.past // self.count
        first, behind = group * forecast, total - self.past + group * past
        own = [np.arange(first, first + forecast), np.arange(behind, behind + past)]
        return np.concatenate(own)


@dataclass(frozen=True, eq=False)
class Reads:
    """What each curve reads.

    known: how many known columns there are. of: `[member, curve, 3]`: a known column, how many rows
    earlier, and the mean of how many rows that end there; of nothing is what fills up the curves of
    a member to those of another one.
    """

    known: int
    of: NDArray[np.int64]

    @classmethod
    def plain(cls, members: int, known: int) -> Self:
        """The known columns as they are."""
        own = np.stack([np.arange(known), np.zeros(known, int), np.ones(known, int)], axis=1)
        return cls(known, np.broadcast_to(own, (members, known, 3)).copy())

    @property
    def is_plain(self) -> bool:
        """Whether they are the known columns as they are."""
        plain = Reads.plain(len(self.of), self.known).of
        return self.of.shape == plain.shape and bool((self.of == plain).all())

    @property
    def rows_before(self) -> int:
        """How many rows before its own the farthest one reads."""
        return int((self.of[..., 1] + self.of[..., 2] - 1).max(initial=0))


@dataclass(frozen=True, eq=False)
class Effects:
    """The curves of several members.

    knots: `[member, curve, knot]`, rising; a curve of fewer knots repeats the last one. values:
    `[member, curve, knot, channel]`, of the curve at its knots, with the mean zero over the
    training span. is_level: `[member, curve]`, whether a curve stays level beyond its knots instead
    of going on straight. reads: None where curve and known column are the same. groups: where there
    are several, curves have values for the channels of the group of their known column.
    """

    knots: FloatArray
    values: FloatArray
    is_level: NDArray[np.bool_]
    reads: Reads | None = None
    groups: Groups = field(default_factory=Groups)

    @property
    def columns(self) -> int:
        """How many known columns there are."""
        return int(self.knots.shape[1]) if self.reads is None else self.reads.known

    @property
    def rows_before(self) -> int:
        """How many rows before those of a series its known columns are read from."""
        return 0 if self.reads is None else self.reads.rows_before

    @classmethod
    def none(cls, members: int, curves: int, channels: int, groups: Groups | None = None) -> Self:
        """Effects that are zero everywhere."""
        groups = groups or Groups()
        return cls(
            np.zeros((members, curves, MOST_KNOTS)),
            np.zeros((members, curves, MOST_KNOTS, channels // groups.count)),
            np.ones((members, curves), dtype=bool),
            groups=groups,
        )

    @classmethod
    def joined(cls, own: Sequence[Self]) -> Self:
        """Those of several members after one another."""
        filled: Sequence[Effects] = own
        if any(each.reads is not None for each in own):
            most = max(each.knots.shape[1] for each in own)
            filled = [each._filled_up(most) for each in own]
        reads = [each.reads.of for each in filled if each.reads is not None]
        return cls(
            np.concatenate([each.knots for each in filled]),
            np.concatenate([each.values for each in filled]),
            np.concatenate([each.is_level for each in filled]),
            Reads(own[0].columns, np.concatenate(reads)) if reads else None,
            own[0].groups,
        )

    def rows(self, members: Sequence[int]) -> Effects:
        """Those of some members."""
        chosen = list(members)
        found = replace(
            self,
            knots=self.knots[chosen],
            values=self.values[chosen],
            is_level=self.is_level[chosen],
        )
        if self.reads is None:
            return found
        # What filled up their curves to those of others says nothing of them.
        of = self.reads.of[chosen]
        curves = max(self.reads.known, int((of[..., 2] > 0).sum(axis=1).max(initial=0)))
        reads = Reads(self.reads.known, of[:, :curves])
        return replace(
            found,
            knots=found.knots[:, :curves],
            values=found.values[:, :curves],
            is_level=found.is_level[:, :curves],
            reads=None if reads.is_plain else reads,
        )

    def at(self, known: FloatArray, rows: int | None = None) -> FloatArray:
        """What known values `[member, batch, time, known]` add, `[member, batch, time, channel]`.

        known: with 1 for member where all members read the same. rows: of how many of them, the
        last ones, None for all; those before are read by lags, and the first one stands for all
        that lack.
        """
        members, time = len(self.knots), known.shape[2]
        rows = time if rows is None else rows
        channels = self.values.shape[3] * self.groups.count
        added = np.zeros((members, known.shape[1], rows, channels))
        for member in range(members):
            shown = known[member if len(known) > 1 else 0]
            for curve in range(self.knots.shape[1]):
                column, lag, span = self._read(member, curve)
                if not span:
                    continue
                own = self._curve(member, curve, lagged(shown[..., column], rows, lag, span))
                if self.groups.count == 1:
                    added[member] += own
                else:
                    group = column // (self.columns // self.groups.count)
                    added[member][..., self.groups.channels(group, channels)] += own
        return added

    def _read(self, member: int, curve: int) -> tuple[int, int, int]:
        """The known column of a curve, how many rows earlier, and over how many."""
        if self.reads is None:
            return curve, 0, 1
        column, lag, span = self.reads.of[member, curve].tolist()
        return column, lag, span

    def _filled_up(self, curves: int) -> Effects:
        """The same effects with so many curves, of which further ones read nothing."""
        reads = self.reads or Reads.plain(len(self.knots), self.columns)
        more = curves - self.knots.shape[1]

        return replace(
            self,
            knots=np.pad(self.knots, [(0, 0), (0, more), (0, 0)]),
            values=np.pad(self.values, [(0, 0), (0, more), (0, 0), (0, 0)]),
            is_level=np.pad(self.is_level, [(0, 0), (0, more)]),
            reads=replace(reads, of=np.pad(reads.of, [(0, 0), (0, more), (0, 0)])),
        )

    def _curve(self, member: int, curve: int, x: FloatArray) -> FloatArray:
        knots = _distinct(self.knots[member, curve])
        values = self.values[member, curve]
        if len(knots) == 1:
            return np.zeros((*x.shape, values.shape[1]))
        first, share = place_between(x, knots, is_level=bool(self.is_level[member, curve]))
        share = share[..., np.newaxis]
        found: FloatArray = (1.0 - share) * values[first] + share * values[first + 1]
        return found


def lags_of(lags: str, season: int) -> list[tuple[int, int]]:
    """What is read of a known column: how many rows earlier, and the mean of how many rows.

    lags: "none" for its own row alone. "steps" for LAG_STEPS rows before that as well, and the row
    a season before. "spans" for means over the rows before: of 1, of the 2 before that, of 4, of 8,
    and so on until they reach REACHED_SEASONS. season: in steps, 1 or less for none.
    """
    if lags == "none":
        return [(0, 1)]
    if lags == "steps":
        steps = [*range(LAG_STEPS + 1), *([season] if season > LAG_STEPS else [])]
        return [(lag, 1) for lag in steps if lag + 1 <= MOST_REACH]
    found, reach = [(0, 1)], min(max(LEAST_REACH, REACHED_SEASONS * season), MOST_REACH)
    while sum(found[-1]) <= reach:
        lag, span = found[-1]
        found.append((lag + span, 2 * span if lag else 1))
    return found


def rows_before(lags: str, season: int) -> int:
    """How many rows before its own the farthest of some lags reads; see `lags_of`."""
    return max(lag + span - 1 for lag, span in lags_of(lags, season))


def lagged(column: FloatArray, rows: int, lag: int, span: int) -> FloatArray:
    """The last rows of a column `[..., time]` some rows earlier, or means over a span that ends
    there; its first row stands for those before it."""
    time = column.shape[-1]
    if lag == 0 and span == 1:
        return column[..., time - rows :]
    places = np.arange(time - rows, time) - lag
    total: FloatArray = column[..., np.maximum(places - (span - 1), 0)]
    for back in range(span - 2, -1, -1):  # in one order, so that a mean is the same in any stretch
        total = total + column[..., np.maximum(places - back, 0)]
    return total / span


def place_between(
    x: FloatArray, knots: FloatArray, *, is_level: bool
) -> tuple[NDArray[np.intp], FloatArray]:
    """The knot before each value, and which share of the way to the next one it is.

    Beyond the ends the share is below 0 or above 1, unless the curve stays level there.
    """
    if is_level:
        x = np.clip(x, knots[0], knots[-1])
    first = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    share: FloatArray = (x - knots[first]) / (knots[first + 1] - knots[first])
    return first, share


def _distinct(knots: FloatArray) -> FloatArray:
    return knots[: 1 + int((np.diff(knots) > 0).sum())]
