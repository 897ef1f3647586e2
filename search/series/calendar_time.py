"""Time columns that are dates, with or without a time of day (ISO 8601)."""

import itertools
import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low

from search.errors import SeriesError
from search.series.even_steps import TimeLabelError, check_even, check_increasing

_DATE = re.compile(
    r"(?P<year>[0-9]{4})(?P<dash>[-/])(?P<month>[0-9]{2})"
    r"((?P=dash)(?P<day>[0-9]{2})"
    r"((?P<between>[T ])(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(:(?P<second>[0-9]{2})(\.(?P<fraction>[0-9]{1,9}))?)?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
    r")?)?"
)


@dataclass(frozen=True)
class DateFormat:
    """How a column writes its dates.

    finest: the last part that is written, from "month" to "fraction". fraction_digits: digits of
    the seconds' fraction. zone: the offset from UTC as it is written, "" for none.
    """

    dash: str
    between: str
    finest: str
    fraction_digits: int
    zone: str

    def label(self, instant: datetime) -> str:
        """Write an instant in this format."""
        written = f"{instant.year:04d}{self.dash}{instant.month:02d}"
        if self.finest == "month":
            return written
        written += f"{self.dash}{instant.day:02d}"
        if self.finest == "day":
            return written
        written += f"{self.between}{instant.hour:02d}:{instant.minute:02d}"
        if self.finest != "minute":
            written += f":{instant.second:02d}"
        if self.finest == "fraction":
            written += f".{instant.microsecond:06d}000"[: 1 + self.fraction_digits]
        return written + self.zone


@dataclass(frozen=True)
class ClockInterval:
    """An equal duration between instants: seconds, hours, days, weeks."""

    last: datetime
    step: timedelta
    date_format: DateFormat

    def __str__(self) -> str:
        return str(self.step)

    def continue_time(self, steps: int) -> list[str]:
        """Return the next `steps` instants in the column's format."""
        try:
            instants = [self.last + self.step * ahead for ahead in range(1, steps + 1)]
        except OverflowError:
            raise _past_the_calendar(steps) from None
        return [self.date_format.label(instant) for instant in instants]


@dataclass(frozen=True)
class MonthInterval:
    """An equal number of calendar months between instants: months, quarters, years.

    day: the day of the month where the month has it, else its last day.
    """

    last: datetime
    months: int
    day: int
    date_format: DateFormat

    def __str__(self) -> str:
        count, unit = (
            (self.months // 12, "year") if self.months % 12 == 0 else (self.months, "month")
        )
        return f"{count} {unit}{'s' if count > 1 else ''}"

    def continue_time(self, steps: int) -> list[str]:
        """Return the next `steps` instants in the column's format."""
        first = _month_number(self.last) + self.months
        months = range(first, first + steps * self.months, self.months)
        try:
            instants = [self._instant(month) for month in months]
        except ValueError:
            raise _past_the_calendar(steps) from None
        return [self.date_format.label(instant) for instant in instants]

    def _instant(self, month_number: int) -> datetime:
        year, month = month_number // 12, month_number % 12 + 1
        return self.last.replace(
            year=year, month=month, day=min(self.day, monthrange(year, month)[1])
        )


def is_date(label: str) -> bool:
    """Whether a time label is written as a date, or as a date and a time of day."""
    return _DATE.fullmatch(label.strip()) is not None


def read_calendar_time(labels: Sequence[str]) -> ClockInterval | MonthInterval:
    """Return the interval of at least two labels, the first of them a date.

    Dates that fall on the same day of every n-th month step by calendar months, all others by an
    exact duration. Raises TimeLabelError where a rule is broken.
    """
    first = _DATE.fullmatch(labels[0].strip())
    assert first is not None  # see is_date
    date_format = _format_of(first)
    instants = [_instant(row, label, date_format, labels[0]) for row, label in enumerate(labels)]
    check_increasing(labels, instants)
    day = max(instant.day for instant in instants)
    month_numbers = [_month_number(instant) for instant in instants]
    months = [later - earlier for earlier, later in itertools.pairwise(month_numbers)]
    if min(months) > 0 and _share_day_and_clock(instants, day):
        usual_months = median_low(months)
        check_even(labels, months, usual_months, 0, unit=" month(s)")
        return MonthInterval(instants[-1], usual_months, day, date_format)
    steps = [later - earlier for earlier, later in itertools.pairwise(instants)]
    usual = median_low(steps)
    check_even(labels, steps, usual, timedelta(0))
    return ClockInterval(instants[-1], usual, date_format)


def _format_of(parts: re.Match[str]) -> DateFormat:
    written = [name for name in ("month", "day", "minute", "second", "fraction") if parts[name]]
    return DateFormat(
        dash=parts["dash"],
        between=parts["between"] or "",
        finest=written[-1],
        fraction_digits=len(parts["fraction"] or ""),
        zone=parts["zone"] or "",
    )


def _instant(row: int, label: str, date_format: DateFormat, first: str) -> datetime:
    parts = _DATE.fullmatch(label.strip())
    if parts is None or _format_of(parts) != date_format:
        raise TimeLabelError(
            row,
            f"the time '{label}' is not written like the first, '{first}'; "
            "write all times in one format and with one offset from UTC",
        )
    try:
        return datetime(
            int(parts["year"]),
            int(parts["month"]),
            int(parts["day"] or 1),
            int(parts["hour"] or 0),
            int(parts["minute"] or 0),
            int(parts["second"] or 0),
            _microseconds(row, label, parts["fraction"] or ""),
        )
    except ValueError as error:
        raise TimeLabelError(
            row, f"the time '{label}' is not in the calendar ({error}); correct it"
        ) from None


def _microseconds(row: int, label: str, fraction: str) -> int:
    digits = fraction.ljust(9, "0")
    if digits[6:] != "000":
        raise TimeLabelError(
            row, f"the time '{label}' is finer than a microsecond; write such times as numbers"
        )
    return int(digits[:6])


def _share_day_and_clock(instants: Sequence[datetime], day: int) -> bool:
    clock = instants[0].time()
    return all(
        instant.time() == clock
        and instant.day == min(day, monthrange(instant.year, instant.month)[1])
        for instant in instants
    )


def _month_number(instant: datetime) -> int:
    return instant.year * 12 + instant.month - 1


def _past_the_calendar(steps: int) -> SeriesError:
    return SeriesError(
        f"{steps} steps more would lead past the year 9999, where the calendar of freerun ends; "
        "forecast fewer steps"
    )
