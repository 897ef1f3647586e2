"""The time column of a table: numbers, or dates with or without a time of day (ISO 8601)."""

import itertools
import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median_low
from typing import TypeVar

from search.errors import SeriesError

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
_DATE = re.compile(
    r"(?P<year>[0-9]{4})(?P<dash>[-/])(?P<month>[0-9]{2})"
    r"((?P=dash)(?P<day>[0-9]{2})"
    r"((?P<between>[T ])(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(:(?P<second>[0-9]{2})(\.(?P<fraction>[0-9]{1,9}))?)?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
    r")?)?"
)

_LONG = "or name the column that tells several series apart as id in [series]"
_EMPTY = "the time is empty; fill it in, or remove the row"

Instant = TypeVar("Instant", Decimal, datetime)
Step = TypeVar("Step", Decimal, timedelta, int)


class TimeLabelError(ValueError):
    """A time label breaks a rule.

    row: index of the offending row, 0 for the first row of data.
    rule: what is wrong and how to put it right; the caller knows the row's place in the file.
    """

    def __init__(self, row: int, rule: str) -> None:
        super().__init__(rule)
        self.row = row
        self.rule = rule


@dataclass(frozen=True)
class NumberInterval:
    """An equal step between numbers: years, counters, seconds.

    decimals: (least, most) digits after the point in the column. width: digits to which whole
    numbers are padded with zeros, 0 for none.
    """

    last: Decimal
    step: Decimal
    decimals: tuple[int, int]
    width: int

    def __str__(self) -> str:
        return f"{self.step.normalize():f}"

    def continue_time(self, steps: int) -> list[str]:
        """Return the next `steps` numbers, with as many decimals as the column has."""
        return [self._label(self.last + self.step * ahead) for ahead in range(1, steps + 1)]

    def _label(self, number: Decimal) -> str:
        least, most = self.decimals
        text = f"{number:.{most}f}"
        while most > least and text.endswith("0"):
            text, most = text[:-1], most - 1
        return text.removesuffix(".").zfill(self.width)


@dataclass(frozen=True)
class DateFormat:
    """How a column writes its dates.

    between: what separates date and time of day. length: characters without the offset from UTC,
    by which the month, the day, the minute or a part of the second is the last that is written.
    zone: the offset as it is written, "" for none.
    """

    dash: str
    between: str
    length: int
    zone: str

    def label(self, instant: datetime) -> str:
        """Write an instant in this format."""
        written = instant.isoformat(self.between, "microseconds") + "000"
        return written[: self.length].replace("-", self.dash) + self.zone


@dataclass(frozen=True)
class DateInterval:
    """An equal step between instants."""

    last: datetime
    date_format: DateFormat

    def after(self, steps: int) -> datetime:
        """Return the instant so many steps behind the last; an error where the calendar ends."""
        raise NotImplementedError

    def continue_time(self, steps: int) -> list[str]:
        """Return the next `steps` instants; SeriesError where they leave the calendar."""
        try:
            return [self.date_format.label(self.after(ahead)) for ahead in range(1, steps + 1)]
        except (OverflowError, ValueError):
            raise SeriesError(
                f"{steps} steps more would lead past the year 9999, where the calendar of freerun "
                "ends; forecast fewer steps"
            ) from None


@dataclass(frozen=True)
class ClockInterval(DateInterval):
    """An equal duration: seconds, hours, days, weeks."""

    step: timedelta

    def __str__(self) -> str:
        return str(self.step)

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
        return f"{count} {unit}{'s' if count > 1 else ''}"

    def after(self, steps: int) -> datetime:
        year, month = divmod(_month_number(self.last) + self.months * steps, 12)
        day = min(self.day, monthrange(year, month + 1)[1])
        return self.last.replace(year=year, month=month + 1, day=day)


# By `str` the step: "1", "3 months" or "1 day, 0:00:00".
Interval = NumberInterval | DateInterval


def read_interval(labels: Sequence[str]) -> Interval:
    """Return the interval of a time column of at least two labels, in the order of the file.

    Raises TimeLabelError for the first label that is no number or date, is written differently from
    the first, repeats, goes back, or breaks the equal step.
    """
    for row, label in enumerate(labels):
        if not label.strip():
            raise TimeLabelError(row, _EMPTY)
    if _NUMBER.fullmatch(labels[0].strip()):
        return _read_numbers(labels)
    if first := _DATE.fullmatch(labels[0].strip()):
        return _read_dates(labels, _format_of(first))
    raise TimeLabelError(0, _neither(labels[0]))


def is_number(text: str) -> bool:
    """Whether a text is a plain number, as a time or an id may be."""
    return _NUMBER.fullmatch(text.strip()) is not None


def time_order(labels: Sequence[str]) -> list[str]:
    """Return the different labels of a time column in the order of time.

    Raises TimeLabelError for the first that is no number or date, or is written differently from
    the first.
    """
    places: dict[str, int] = {}
    for row, label in enumerate(labels):
        places.setdefault(label, row)
    for label, row in places.items():
        if not label.strip():
            raise TimeLabelError(row, _EMPTY)
    first = labels[0]
    if is_number(first):
        numbers = {label: _number(row, label, first) for label, row in places.items()}
        return sorted(numbers, key=numbers.__getitem__)
    if parts := _DATE.fullmatch(first.strip()):
        written = _format_of(parts)
        instants = {label: _instant(row, label, written, first) for label, row in places.items()}
        return sorted(instants, key=instants.__getitem__)
    raise TimeLabelError(0, _neither(first))


def _neither(label: str) -> str:
    return (
        f"the time '{label}' is neither a number nor a date; "
        "write times as 1, 2, 3 or as 2024-01-31 or as 2024-01-31 18:00:00"
    )


def _check_increasing(labels: Sequence[str], instants: Sequence[Instant]) -> None:
    for row in range(1, len(labels)):
        if instants[row] == instants[row - 1]:
            raise TimeLabelError(
                row,
                f"the time '{labels[row]}' is there twice; keep one row for each time, {_LONG}",
            )
        if instants[row] < instants[row - 1]:
            raise TimeLabelError(
                row,
                f"times must increase, but '{labels[row]}' comes after '{labels[row - 1]}'; "
                f"sort the rows by time, {_LONG}",
            )


def _check_even(
    labels: Sequence[str], steps: Sequence[Step], usual: Step, tolerance: Step, unit: str = ""
) -> None:
    for row, step in enumerate(steps, start=1):
        if abs(step - usual) > tolerance:
            raise TimeLabelError(
                row,
                f"times must have equal steps, but from '{labels[row - 1]}' to '{labels[row]}' "
                f"it is {step}{unit}, where most steps are {usual}{unit}; "
                "add the missing rows, or resample the table to equal steps",
            )


def _read_numbers(labels: Sequence[str]) -> NumberInterval:
    """The interval of numbers, whose steps may differ by the labels' own rounding.

    That is 1 % of the step or one unit of the last decimal, but never more than a tenth of the
    step, so that 0.33, 0.67, 1.00 pass and a missing year never does.
    """
    instants = [_number(row, label, labels[0]) for row, label in enumerate(labels)]
    _check_increasing(labels, instants)
    steps = [later - earlier for earlier, later in itertools.pairwise(instants)]
    decimals = [max(-int(instant.as_tuple().exponent), 0) for instant in instants]
    usual = median_low(steps)
    rounding = Decimal(10) ** -max(decimals)
    _check_even(labels, steps, usual, min(max(usual / 100, rounding), usual / 10))
    all_equal = min(steps) == max(steps)
    is_padded = any(re.match("0[0-9]", label) for label in labels)
    return NumberInterval(
        last=instants[-1],
        step=usual if all_equal else (instants[-1] - instants[0]) / len(steps),
        decimals=(min(decimals), max(decimals)),
        width=len(labels[-1]) if is_padded else 0,
    )


def _number(row: int, label: str, first: str) -> Decimal:
    if not is_number(label):
        raise TimeLabelError(
            row,
            f"the time '{label}' is no number, but the first time is ('{first}'); "
            "write all times in one format",
        )
    return Decimal(label.strip())  # exact, unlike a float


def _read_dates(labels: Sequence[str], written: DateFormat) -> DateInterval:
    """The interval of dates: calendar months between the same days of months, else a duration."""
    instants = [_instant(row, label, written, labels[0]) for row, label in enumerate(labels)]
    _check_increasing(labels, instants)
    day = max(instant.day for instant in instants)
    months = [_month_number(b) - _month_number(a) for a, b in itertools.pairwise(instants)]
    if min(months) > 0 and _share_day_and_clock(instants, day):
        usual_months = median_low(months)
        _check_even(labels, months, usual_months, 0, unit=" month(s)")
        return MonthInterval(instants[-1], written, usual_months, day)
    steps = [later - earlier for earlier, later in itertools.pairwise(instants)]
    usual = median_low(steps)
    _check_even(labels, steps, usual, timedelta(0))
    return ClockInterval(instants[-1], written, usual)


def _format_of(parts: re.Match[str]) -> DateFormat:
    zone = parts["zone"] or ""
    return DateFormat(parts["dash"], parts["between"] or "T", len(parts[0]) - len(zone), zone)


def _instant(row: int, label: str, written: DateFormat, first: str) -> datetime:
    parts = _DATE.fullmatch(label.strip())
    if parts is None or _format_of(parts) != written:
        raise TimeLabelError(
            row,
            f"the time '{label}' is not written like the first, '{first}'; "
            "write all times in one format and with one offset from UTC",
        )
    nanoseconds = (parts["fraction"] or "").ljust(9, "0")
    if nanoseconds[6:] != "000":
        raise TimeLabelError(
            row, f"the time '{label}' is finer than a microsecond; write such times as numbers"
        )
    year, month = int(parts["year"]), int(parts["month"])
    day, hour = int(parts["day"] or 1), int(parts["hour"] or 0)
    minute, second = int(parts["minute"] or 0), int(parts["second"] or 0)
    try:
        return datetime(year, month, day, hour, minute, second, int(nanoseconds[:6]))
    except ValueError as error:
        raise TimeLabelError(
            row, f"the time '{label}' is not in the calendar ({error}); correct it"
        ) from None


def _share_day_and_clock(instants: Sequence[datetime], day: int) -> bool:
    clock = instants[0].time()
    return all(
        instant.time() == clock
        and instant.day == min(day, monthrange(instant.year, instant.month)[1])
        for instant in instants
    )


def _month_number(instant: datetime) -> int:
    return instant.year * 12 + instant.month - 1
