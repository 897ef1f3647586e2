"""Columns of a table beside those that are forecast: known in advance, or only in the past."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self

import numpy as np

from search.series.source import FloatArray
from search.series.time_column import Times, read_times

CalendarColumn = Literal["hour", "weekday", "day", "month"]
CALENDAR: tuple[CalendarColumn, ...] = ("hour", "weekday", "day", "month")
# What `calendar = true` stands for, where it varies: most days of a month are like all others.
USUAL: tuple[CalendarColumn, ...] = ("hour", "weekday", "month")
# So long a table has each month, those of monthly rows from January to December among them.
YEAR = timedelta(days=330)

_MADE: Mapping[CalendarColumn, Callable[[datetime], float]] = {
    "hour": lambda time: time.hour + time.minute / 60 + time.second / 3600,
    "weekday": lambda time: time.weekday(),
    "day": lambda time: time.day,
    "month": lambda time: time.month,
}


@dataclass(frozen=True, eq=False)
class Covariates:
    """Columns beside those that are forecast.

    known: names of columns known in advance that the file holds; calendar: of those that are made
    from the times. past: names of columns known only in the past. known_values: `[row, known]`,
    first of the rows of the table, then of rows that are ahead of it, NaN where a file lacks one of
    these. past_values: `[row, past]`. series: how many there are in a long table; each has the
    columns of the file for itself, those of the first one first.
    """

    known: tuple[str, ...]
    past: tuple[str, ...]
    calendar: tuple[CalendarColumn, ...]
    known_values: FloatArray
    past_values: FloatArray
    series: int = 1

    def __post_init__(self) -> None:
        assert self.known_values.shape[1] == self.series * len(self.known)
        assert self.past_values.shape[1] == self.series * len(self.past)
        for name in ("known_values", "past_values"):
            values = np.array(getattr(self, name), dtype=np.float64, order="C")
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @property
    def known_names(self) -> tuple[str, ...]:
        """The names of all columns known in advance, those of the calendar last."""
        return (*self.known, *self.calendar)

    @property
    def groups(self) -> int:
        """How many groups of channels have known columns of their own."""
        return self.series if self.known else 1

    def known_with(self, made: FloatArray, rows: int) -> FloatArray:
        """The first rows of the known columns with those of the calendar, `[row, known]`.

        made: of the calendar, `[row, calendar]`. Where series have known columns of their own, each
        has those of the calendar behind them.
        """
        own = self.known_values[:rows].reshape(rows, self.groups, len(self.known))
        every = np.broadcast_to(made[:, np.newaxis], (rows, self.groups, made.shape[1]))
        return np.concatenate([own, every], axis=2).reshape(rows, -1)

    def to_plain(self) -> dict[str, Any]:
        """The names as JSON values, and how many rows of known columns there are."""
        plain = {
            "known": self.known,
            "past": self.past,
            "calendar": self.calendar,
            "known_rows": len(self.known_values),
        }
        return plain if self.series == 1 else {**plain, "series": self.series}

    def to_bytes(self) -> bytes:
        """The numbers."""
        arrays = (self.known_values, self.past_values)
        return b"".join(own.astype("<f8").tobytes() for own in arrays)

    @classmethod
    def of_parts(cls, plain: Mapping[str, Any], rows: int, numbers: FloatArray) -> Self:
        """Rebuild from `to_plain` and the numbers of `to_bytes` of a table of so many rows.

        Raises ValueError where they do not fit.
        """
        known, past, calendar = (tuple(plain[key]) for key in ("known", "past", "calendar"))
        if not set(calendar) <= set(CALENDAR):
            raise ValueError(f"the columns of its calendar must be of {CALENDAR}, not {calendar}")
        series = plain.get("series", 1)
        split = plain["known_rows"] * series * len(known)
        known_values = numbers[:split].reshape(plain["known_rows"], series * len(known))
        past_values = numbers[split:].reshape(rows, series * len(past))
        is_finite = np.isfinite(known_values[:rows]).all() and np.isfinite(past_values).all()
        if len(known_values) < rows or not is_finite:
            raise ValueError("its columns beside the others must have a number in each row")
        return cls(known, past, calendar, known_values, past_values, series)


def calendar_values(times: Times, columns: Sequence[CalendarColumn]) -> FloatArray:
    """What the calendar says of times on the clock of their place, `[row, column]`.

    hour: of the day, with its minutes and seconds as a fraction. weekday: 0 for Monday. day: of the
    month, from 1. month: of the year, from 1.
    """
    values = [[_MADE[name](instant) for name in columns] for instant in times.locals]
    return np.array(values, dtype=np.float64).reshape(len(times.locals), len(columns))


def usual_columns(times: Times) -> tuple[CalendarColumn, ...]:
    """The columns of `USUAL` that vary, without the month where a table has less than a year."""
    made = calendar_values(times, USUAL)
    is_year = max(times.locals) - min(times.locals) >= YEAR
    return tuple(
        name
        for name, column in zip(USUAL, made.T, strict=True)
        if np.ptp(column) > 0 and (is_year or name != "month")
    )


def calendar_of_labels(
    labels: Sequence[str],
    time_format: str | None,
    zone: str | None,
    columns: Sequence[CalendarColumn],
) -> FloatArray:
    """The same of time labels."""
    return calendar_values(read_times(labels, time_format, zone), columns)
