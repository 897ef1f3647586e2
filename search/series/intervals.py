"""The step of a time column: numbers, durations, calendar months, business days."""

import itertools
import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median_low
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from models.methods.values import counted
from search.errors import SeriesError
from search.series.time_format import TimeFormat

Step = TypeVar("Step", Decimal, timedelta, int)

# What two steps are compared by: the kind of the step, and its size in a unit of that kind.
StepKey = tuple[str, Decimal | timedelta | int]

_DAY = timedelta(days=1)
_UNITS = {
    timedelta(days=1): "day",
    timedelta(hours=1): "hour",
    timedelta(minutes=1): "minute",
    timedelta(seconds=1): "second",
}
# Days may be more; 100,000 seconds tell nobody anything. Longer numbers are rounded.
_MOST_COUNTED, _MOST_DIGITS = 120, 12
# Monday of a week, from which business days are counted.
_MONDAY = datetime(1900, 1, 1)


class UnevenError(ValueError):
    """A step is no multiple of the usual one. place: of the later of its two rows."""

    def __init__(self, place: int, step: str, usual: str) -> None:
        super().__init__(f"{step}, where most steps are {usual}")
        self.place, self.step, self.usual = place, step, usual


@dataclass(frozen=True)
class NumberInterval:
    """An equal step between numbers: years, counters.

    decimals: (least, most) digits after the point in the column. width: digits to which whole
    numbers are padded with zeros, 0 for none.
    """

    last: Decimal
    step: Decimal
    decimals: tuple[int, int]
    width: int

    def __str__(self) -> str:
        text = f"{self.step.normalize():f}"
        return text if len(text) <= _MOST_DIGITS else f"{float(self.step):.6g}"

    @property
    def key(self) -> StepKey:
        """By which steps are compared."""
        return ("number", self.step)

    def label(self, steps: int) -> str:
        """Return the label so many steps behind the last row, before it where negative."""
        least, most = self.decimals
        text = f"{self.last + self.step * steps:.{most}f}"
        while most > least and text.endswith("0"):
            text, most = text[:-1], most - 1
        return text.removesuffix(".").zfill(self.width)

    def continue_time(self, steps: int) -> list[str]:
        """Return the next `steps` numbers, with as many decimals as the column has."""
        return [self.label(ahead) for ahead in range(1, steps + 1)]


@dataclass(frozen=True)
class Zone:
    """How instants are written on the clock of a place.

    offset: from UTC, as the last row has it, None where none is written. name: of the time zone,
    where it is known, by which the offset changes. is_utc: whether the instants are those of UTC.
    """

    written: TimeFormat
    offset: timedelta | None = None
    name: str | None = None
    is_utc: bool = False

    def label(self, instant: datetime) -> str:
        """Write an instant."""
        if self.offset is None:
            return self.written.write(instant, None)
        if not self.is_utc:
            offset = self.offset
            if self.name is not None:
                offset = instant.replace(tzinfo=self._zone(self.name)).utcoffset() or offset
            return self.written.write(instant, offset)
        if self.name is None:
            return self.written.write(instant + self.offset, self.offset)
        zone = self._zone(self.name)
        local = instant.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone)
        return self.written.write(local.replace(tzinfo=None), local.utcoffset())

    @staticmethod
    def _zone(name: str) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SeriesError(
                f"the time zone {name!r} of the table is not known on this machine; install the "
                "package tzdata, or write the times with offsets as text"
            ) from None


@dataclass(frozen=True)
class DateInterval:
    """An equal step between instants."""

    last: datetime
    zone: Zone

    @property
    def key(self) -> StepKey:
        """By which steps are compared."""
        raise NotImplementedError

    def after(self, steps: int) -> datetime:
        """Return the instant so many steps behind the last; an error where the calendar ends."""
        raise NotImplementedError

    def label(self, steps: int) -> str:
        """Return the label so many steps behind the last row; SeriesError outside the calendar."""
        try:
            return self.zone.label(self.after(steps))
        except (OverflowError, ValueError):
            raise SeriesError(
                f"{steps} steps more would lead past the year 9999, where the calendar of freerun "
                "ends; forecast fewer steps"
            ) from None

    def continue_time(self, steps: int) -> list[str]:
        """Return the next `steps` instants; SeriesError where they leave the calendar."""
        if steps:
            self.label(steps)  # before what takes time
        return [self.label(ahead) for ahead in range(1, steps + 1)]


@dataclass(frozen=True)
class ClockInterval(DateInterval):
    """An equal duration: seconds, hours, days, weeks."""

    step: timedelta

    def __str__(self) -> str:
        return _duration(self.step)

    @property
    def key(self) -> StepKey:
        return ("duration", self.step)

    def after(self, steps: int) -> datetime:
        return self.last + self.step * steps


@dataclass(frozen=True)
class MonthInterval(DateInterval):
    """An equal number of calendar months: months, quarters, years.

    day: the day of the month where the month has it, else its last day.
    """

    months: int
    day: int

    def __str__(self) -> str:
        count, unit = (
            (self.months // 12, "year") if self.months % 12 == 0 else (self.months, "month")
        )
        return counted(count, unit)

    @property
    def key(self) -> StepKey:
        return ("months", self.months)

    def after(self, steps: int) -> datetime:
        year, month = divmod(_month_number(self.last) + self.months * steps, 12)
        day = min(self.day, monthrange(year, month + 1)[1])
        return self.last.replace(year=year, month=month + 1, day=day)


@dataclass(frozen=True)
class BusinessInterval(DateInterval):
    """An equal duration, of which weekends are no part."""

    step: timedelta

    def __str__(self) -> str:
        days, rest = divmod(self.step, _DAY)
        if rest:
            return f"{_duration(self.step)} of business days"
        return counted(days, "business day")

    @property
    def key(self) -> StepKey:
        return ("business time", self.step)

    def after(self, steps: int) -> datetime:
        return _from_business(_business_time(self.last) + self.step * steps)


# By `str` the step: "1", "3 months" or "30 minutes".
Interval = NumberInterval | DateInterval


def same_step(one: Interval, other: Interval) -> bool:
    """Whether two steps are the same; numbers within the rounding of labels such as 0.33, 0.67."""
    if isinstance(one, NumberInterval) and isinstance(other, NumberInterval):
        return abs(one.step - other.step) <= max(one.step, other.step) / 50
    return one.key == other.key


@dataclass(frozen=True)
class Spacing:
    """The step of some rows, and at which step behind the first each of them is."""

    interval: Interval
    positions: Sequence[int]

    @property
    def gaps(self) -> int:
        """How many rows are missing."""
        return self.positions[-1] + 1 - len(self.positions)


def space_numbers(labels: Sequence[str]) -> Spacing:
    """Return the spacing of rising numbers, whose steps may differ by the labels' own rounding.

    That is 1 % of the step or one unit of the last decimal, but never more than a tenth of the
    step, so that 0.33, 0.67, 1.00 pass and a missing year never does.
    """
    instants = [Decimal(label.strip()) for label in labels]
    steps = [later - earlier for earlier, later in itertools.pairwise(instants)]
    decimals = [max(-int(instant.as_tuple().exponent), 0) for instant in instants]
    usual = median_low(steps)
    rounding = Decimal(10) ** -max(decimals)
    tolerance = min(max(usual / 100, rounding), usual / 10)
    counts = []
    for row, step in enumerate(steps, start=1):
        count = max(1, round(step / usual))
        if abs(step - count * usual) > tolerance:
            raise UnevenError(row, str(step), str(usual))
        counts.append(count)
    positions = list(itertools.accumulate(counts, initial=0))
    all_equal = min(steps) == max(steps)
    is_padded = any(re.match("0[0-9]", label) for label in labels)
    interval = NumberInterval(
        last=instants[-1],
        step=usual if all_equal else (instants[-1] - instants[0]) / positions[-1],
        decimals=(min(decimals), max(decimals)),
        width=len(labels[-1]) if is_padded else 0,
    )
    return Spacing(interval, positions)


def space_dates(instants: Sequence[datetime], zone: Zone) -> Spacing:
    """Return the spacing of rising dates: calendar months between the same days of months, else a
    duration, of business days where there are rows on all but weekends and fewer gaps by that.
    """
    day = max(instant.day for instant in instants)
    months = [_month_number(b) - _month_number(a) for a, b in itertools.pairwise(instants)]
    if min(months) > 0 and _share_day_and_clock(instants, day):
        usual_months = median_low(months)
        positions = _positions(months, usual_months, 0)
        return Spacing(MonthInterval(instants[-1], zone, usual_months, day), positions)
    business = _business_spacing(instants, zone)
    steps = [later - earlier for earlier, later in itertools.pairwise(instants)]
    usual = median_low(steps)
    try:
        clock = Spacing(
            ClockInterval(instants[-1], zone, usual), _positions(steps, usual, timedelta(0))
        )
    except UnevenError:
        if business is None:
            raise
        return business
    return business if business is not None and business.gaps < clock.gaps else clock


def _duration(step: timedelta) -> str:
    """A duration in the largest unit of which it is a whole number."""
    for unit, name in _UNITS.items():
        count, rest = divmod(step, unit)
        if not rest and (name == "day" or abs(count) <= _MOST_COUNTED):
            return counted(count, name)
    return str(step)


def _shown_step(step: Decimal | timedelta | int) -> str:
    """A step in words; one that is whole counts months."""
    if isinstance(step, timedelta):
        return _duration(step)
    return counted(step, "month") if isinstance(step, int) else str(step)


def _positions(steps: Sequence[Step], usual: Step, nothing: Step) -> list[int]:
    """Where each row is, in usual steps behind the first."""
    counts = [0]
    for row, step in enumerate(steps, start=1):
        # A clock that is set back repeats an hour.
        count, rest = (0, step) if usual <= nothing else divmod(step, usual)
        if rest != nothing or count < 1:
            raise UnevenError(row, _shown_step(step), _shown_step(usual))
        counts.append(counts[-1] + int(count))
    return counts


def _business_spacing(instants: Sequence[datetime], zone: Zone) -> Spacing | None:
    """The spacing by business time; None where there are rows on weekends, or none next to one."""
    if any(instant.weekday() >= 5 for instant in instants):
        return None
    times = [_business_time(instant) for instant in instants]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    usual = median_low(steps)
    if not timedelta(0) < usual <= _DAY:
        return None
    try:
        positions = _positions(steps, usual, timedelta(0))
    except UnevenError:
        return None
    if not any(
        after - before == 1 and later - earlier > usual
        for (before, after), (earlier, later) in zip(
            itertools.pairwise(positions), itertools.pairwise(instants), strict=True
        )
    ):
        return None
    return Spacing(BusinessInterval(instants[-1], zone, usual), positions)


def _business_time(instant: datetime) -> timedelta:
    """The time since a Monday, without weekends, of an instant on no weekend."""
    weeks, rest = divmod(instant - _MONDAY, 7 * _DAY)
    return weeks * 5 * _DAY + rest


def _from_business(time: timedelta) -> datetime:
    weeks, rest = divmod(time, 5 * _DAY)
    return _MONDAY + weeks * 7 * _DAY + rest


def _share_day_and_clock(instants: Sequence[datetime], day: int) -> bool:
    clock = instants[0].time()
    return all(
        instant.time() == clock
        and instant.day == min(day, monthrange(instant.year, instant.month)[1])
        for instant in instants
    )


def _month_number(instant: datetime) -> int:
    return instant.year * 12 + instant.month - 1
