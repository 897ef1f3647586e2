"""From the columns of a file to those beside the ones that are forecast, and rows ahead of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from search.errors import SeriesError
from search.series.arranging import Arranged
from search.series.covariates import (
    CalendarColumn,
    Covariates,
    usual_columns,
)
from search.series.filling import check_known, line
from search.series.formats import Cells
from search.series.numbers import is_missing
from search.series.source import FloatArray
from search.series.time_column import Times, read_times

_TRUTHS = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Beside:
    """Which columns stand beside those that are forecast.

    known: in advance. past: only in the past. calendar: made of the times; "usual" for those of
    `usual_columns`.
    """

    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    calendar: tuple[CalendarColumn, ...] | Literal["usual"] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that the file holds, in the order in which they stand behind the value columns."""
        return (*self.past, *self.known)


def with_future(cells: Cells, future: Cells, names: Sequence[str]) -> Cells:
    """The rows of a file, and behind them those of another one.

    names: of the columns that the other one has: time, id, and columns known in advance.
    """
    columns = []
    for own in cells.columns:
        more: Sequence[str] = [""] * len(future.places)
        if own.name in names:
            more = future.column(own.name).cells
        columns.append(replace(own, cells=[*own.cells, *more]))
    places = [*cells.places, *(f"{future.path}, {place}" for place in future.places)]
    return replace(cells, columns=columns, places=places)


def truths_as_numbers(texts: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Columns of true and false as 1 and 0, all others as they are."""
    found: dict[str, Sequence[str]] = {}
    for name, cells in texts.items():
        lower = [cell.strip().lower() for cell in cells]
        are_truths = all(cell in _TRUTHS or is_missing(cell) for cell in lower)
        found[name] = [_TRUTHS.get(cell, "") for cell in lower] if are_truths else cells
    return found


def of_each(ids: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """The names of columns of each series, those of the first one first; of one as they are."""
    if len(ids) == 1:
        return tuple(columns)
    return tuple(f"{name} {column}" for name in ids for column in columns)


@dataclass(frozen=True)
class Ahead:
    """Rows up to the last that has a value to forecast, and all rows of the known columns.

    known: `[row, known]`, of the first series first. is_filled: `[row, known]`, which values of the
    known columns were filled in.
    """

    rows: Arranged
    known: FloatArray
    is_filled: np.ndarray


def split_ahead(found: Arranged, targets: int, known: Sequence[str], *, fill: bool) -> Ahead:
    """Split rows that lie ahead from those of the table.

    found: whose columns are the value columns, then those of the past, then the known ones.
    targets: how many are to be forecast. fill: whether gaps in known columns are filled in on a
    straight line. A known value behind a gap is known before it, too, so that the line tells
    nothing that may not be known. Of rows ahead nothing is filled in, so that what a forecast lacks
    is asked for.

    Raises FillError where most of a known column would be filled in.
    """
    if not known:
        return Ahead(found, none := np.empty((len(found.labels), 0)), none.astype(bool))
    values = found.values.copy()
    with_target = np.flatnonzero(np.isfinite(values[:, :, :targets]).any(axis=(1, 2)))
    rows = int(with_target[-1]) + 1 if len(with_target) else len(values)
    first = values.shape[2] - len(known)
    own = values[:, :, first:].reshape(len(values), -1)
    was_known = np.isfinite(own)
    if fill:
        check_known(was_known[:rows], of_each(found.ids, known))
        for column, is_known in zip(own.T, was_known.T, strict=True):
            start = int(is_known.argmax())
            stop = min(rows, len(column) - int(is_known[::-1].argmax()))
            column[start:stop] = line(column, is_known)[start:stop]
        values[:, :, first:] = own.reshape(len(values), len(found.ids), -1)
    table = replace(
        found,
        labels=found.labels[:rows],
        values=values[:rows],
        rows=found.rows[:rows],
        is_gap=found.is_gap[:rows],
    )
    return Ahead(table, own, np.isfinite(own) & ~was_known)


def covariates_of(
    beside: Beside,
    times: Times | None,
    labels: Sequence[str],
    known: FloatArray,
    past: FloatArray,
    series: int = 1,
) -> Covariates:
    """The columns beside of a table with the times `labels`; SeriesError for no real calendar.

    known: `[row, known]`, of its rows and of those ahead. past: `[row, past]`. series: how many
    there are, each with such columns of its own.
    """
    calendar = beside.calendar
    if calendar:
        if times is None or times.written is None:
            raise SeriesError(
                "calendar must be made of dates, but the times are numbers; leave calendar out, or "
                'write how they are written in [series], for example time_format = "seconds"'
            )
        if calendar == "usual":
            calendar = usual_columns(read_times(labels, times.name, times.zone))
            if not calendar:
                raise SeriesError(
                    "calendar = true must have a column that varies from row to row, but hour and "
                    "weekday are the same in all rows, and the month is left out of less than a "
                    "year; leave calendar out, or name its columns"
                )
    # A calendar alone is that of all series.
    own = series if beside.columns else 1
    return Covariates(beside.known, beside.past, calendar, known, past, own)
