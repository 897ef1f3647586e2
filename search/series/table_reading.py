"""From a file to a table: equally spaced rows of finite numbers, or a message with the remedy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from models.methods.values import counted
from search.errors import SeriesError
from search.series.arranging import Arranged, DuplicateError, Duplicates, arrange
from search.series.beside import (
    Beside,
    covariates_of,
    of_each,
    split_ahead,
    truths_as_numbers,
    with_future,
)
from search.series.filling import Filled, FillError, Filling, Run, fill, runs_of
from search.series.formats import Cells, read_cells
from search.series.intervals import BusinessInterval
from search.series.numbers import CellError, DecimalSign, read_numbers
from search.series.source import FloatArray
from search.series.tables import LongForm, Table
from search.series.time_column import TimeLabelError, Times, read_times

# The name of the time of a table without a time column.
ROW_NUMBER = "row"

# The time of day in a label, without an offset from UTC.
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?!.*([+-][0-9]{2}:?[0-9]{2}|Z)$)")

_FILL = 'missing = "interpolate", missing = "seasonal" or missing = "mask"'


@dataclass(frozen=True)
class Reading:
    """How a file is read, where it does not show it by itself.

    separator, decimal, time_format: as the file has them, None to find them. missing: how gaps and
    missing values are filled in, or that they are masked; None to refuse them. duplicates: what
    becomes of rows of one time, None to refuse them. periods: of the season that fills in; None to
    look for them. like: the format of the times of an earlier table of the series, for where this
    one does not tell a day from a month.
    """

    separator: str | None = None
    decimal: DecimalSign | None = None
    time_format: str | None = None
    missing: Filling | None = None
    duplicates: Duplicates | None = None
    periods: tuple[float, ...] | None = None
    like: str | None = None


def read_table(
    path: Path,
    time: str | None,
    columns: Sequence[str],
    id_column: str | None = None,
    how: Reading | None = None,
    beside: Beside | None = None,
    future: Path | None = None,
) -> Table:
    """Return the named columns of a file, in the order of time.

    path: what `read_cells` reads. time: the time column, None to number the rows. columns: the
    value columns. id_column: of a long table, in which the rows of each id are one series. how:
    what the file does not show by itself. beside: further columns; where some of them are known
    in advance, rows behind the last one with a value are ahead of the table. future: a file of rows
    behind those of the first one, of which time and known columns are read. The table's `notices`
    say what was found.

    Raises SeriesError, which names the file, the line, the value and the remedy, for a file that
    is missing or unreadable, a column that is missing, constant or holds anything but finite
    numbers, fewer than two rows, and, unless `how` says what becomes of them, times that repeat or
    leave gaps, values that are missing, and ids that differ in their times.
    """
    how = how or Reading()
    beside = beside or Beside()
    named = (time, id_column, *columns, *beside.columns)
    wanted = [name for name in named if name is not None]
    cells = read_cells(path, wanted, how.separator)
    rows = len(cells.places)
    if future is not None:
        own = [name for name in (time, id_column, *beside.known) if name is not None]
        cells = with_future(cells, read_cells(future, own, how.separator), own)
    return _Reader(cells, time, tuple(columns), id_column, how, beside, rows).table()


@dataclass(frozen=True)
class _Reader:
    """One file that is read; its steps share what they need for a message."""

    cells: Cells
    time: str | None
    columns: tuple[str, ...]
    id_column: str | None
    how: Reading
    beside: Beside
    own_rows: int  # those behind them are of a file of later rows

    @property
    def all_columns(self) -> tuple[str, ...]:
        """The value columns, then those beside them."""
        return (*self.columns, *self.beside.columns)

    def table(self) -> Table:
        times_of = None if self.time is None else self.cells.column(self.time)
        ids = None if self.id_column is None else self._ids(self.id_column)
        texts = {name: self.cells.column(name).cells for name in self.all_columns}
        if self.beside.columns:
            own = {name: texts[name] for name in self.beside.columns}
            texts |= truths_as_numbers(own)
        rows = len(self.cells.places)
        if rows < 2:
            raise SeriesError(
                f"{self.cells.path}: a table must have at least 2 rows of data, but has {rows}"
            )
        try:
            numbers = read_numbers(
                texts, self.how.decimal, self.cells.separator, self.beside.columns, self.own_rows
            )
            times = None
            if times_of is not None:
                how = self.how
                times = read_times(times_of.cells, how.time_format, times_of.zone, how.like)
                self._check_later(times, ids)
            found = arrange(numbers.values, times, ids, self.how.duplicates)
        except (CellError, TimeLabelError) as problem:
            self._refuse(problem.row, problem.rule)
        except DuplicateError as problem:
            self._refuse(problem.row, self._duplicate_rule(problem))
        except SeriesError as problem:
            raise SeriesError(f"{self.cells.path}: {problem}") from None
        try:
            is_filled = self.how.missing is not None
            ahead = split_ahead(found, len(self.columns), self.beside.known, fill=is_filled)
        except FillError as problem:
            raise SeriesError(f"{self.cells.path}: {problem}") from None
        found, long = ahead.rows, None
        if self.id_column is not None:
            long = LongForm(self.id_column, found.ids, self.columns)
        names = self.columns if long is None else long.channels
        past, known = (of_each(found.ids, own) for own in (self.beside.past, self.beside.known))
        filled = self._filled(found, texts, (*names, *past, *known))
        kept, labels, channels = filled.kept, found.labels, len(names)
        covariates = None
        if self.beside != Beside():
            try:
                covariates = covariates_of(
                    self.beside,
                    times,
                    labels[kept.start : kept.stop],
                    ahead.known[kept.start :],
                    filled.values[:, channels : channels + len(past)],
                    len(found.ids),
                )
            except SeriesError as problem:
                raise SeriesError(f"{self.cells.path}: {problem}") from None
        table = Table(
            time_column=self.time or _row_number(self.columns),
            times=labels[kept.start : kept.stop],
            columns=names,
            values=filled.values[:, :channels],
            long=long,
            time_format=None if times is None else times.name,
            zone=None if times is None else times.zone,
            filled=filled.runs,
            is_masked=self.how.missing == "mask"
            and any(run.channel < channels for run in filled.runs),
            covariates=covariates,
            time_type=None if times_of is None else times_of.kind,
            id_type=None if self.id_column is None else self.cells.column(self.id_column).kind,
        )
        self._check(table)
        said = (*self.cells.notices, *numbers.notices)
        said += tuple(self._said(found, filled, times, table, len(known)))
        said += tuple(_known_said(ahead.is_filled[kept.start : kept.stop]))
        return replace(table, notices=said)

    def _refuse(self, row: int, rule: str) -> NoReturn:
        place = self.cells.places[row]
        if row < self.own_rows:  # later ones name their file themselves
            place = f"{self.cells.path}, {place}"
        raise SeriesError(f"{place}: {rule}") from None

    def _check_later(self, times: Times, ids: Sequence[str] | None) -> None:
        """Later rows are none of the series' own, whatever becomes of rows of one time."""
        own = list(zip(ids or [""] * len(times.instants), times.instants, strict=True))
        rows = {place: row for row, place in enumerate(own[: self.own_rows])}
        for row, place in enumerate(own[self.own_rows :], self.own_rows):
            if place in rows:
                raise DuplicateError(row, rows[place], 1, 2)

    def _ids(self, id_column: str) -> list[str]:
        ids = [name.strip() for name in self.cells.column(id_column).cells]
        if "" in ids:
            self._refuse(ids.index(""), "the id is empty; fill it in")
        own = set(ids[: self.own_rows])
        for row, name in enumerate(ids[self.own_rows :], self.own_rows):
            if name not in own:
                self._refuse(
                    row,
                    f"later rows must be of series of {self.cells.path}, but the {id_column} "
                    f"'{name}' is none of them; leave its rows out",
                )
        return ids

    def _duplicate_rule(self, problem: DuplicateError) -> str:
        """What is wrong with times that are there twice, which mostly are several series."""
        assert self.time is not None
        label = self.cells.column(self.time).cells[problem.row]
        other = self.cells.places[problem.other]
        if problem.row >= self.own_rows > problem.other:
            return (
                f"later rows must come after those of the series, but '{label}' is there, too, in "
                f"{other}; leave it out of one of them"
            )
        merge = (
            'write duplicates = "mean" or duplicates = "last" in [series] to make one row of them'
        )
        if self.id_column is not None:
            name = self.cells.column(self.id_column).cells[problem.row].strip()
            return (
                f"the id '{name}' must have each time once, but has '{label}' here and in {other}; "
                f"remove one of the rows, or {merge}"
            )
        several = f"the time '{label}' is there twice, also in {other}"
        if problem.times > 1:
            several += f", and {problem.times} times are in {problem.rows} rows"
        if names := self._id_columns():
            more = f" (or {', '.join(names[1:])})" if len(names) > 1 else ""
            return (
                f"{several}: the rows are several series one below the other, which the column "
                f"'{names[0]}'{more} tells apart; write id = \"{names[0]}\" in [series], or keep "
                "the rows of one"
            )
        # Two o'clock comes back in autumn, and an offset tells which is which.
        clock = ""
        if _CLOCK.search(label):
            clock = ", or if a clock was set back there, give times with their offset from UTC"
        return (
            f"{several}; {merge}{clock}, or if the rows are several series, name the column that "
            "tells them apart as id"
        )

    def _id_columns(self) -> list[str]:
        """The other columns that make the rows of each time different, those with few values first.

        Of a column of measurements each value is another one: at most half as many as rows count.
        """
        assert self.time is not None
        whole = read_cells(self.cells.path, None, self.how.separator)
        times = whole.column(self.time).cells
        found = []
        for column in whole.columns:
            if column.name in ("", self.time, *self.columns):
                continue
            values = len(set(column.cells))
            is_one = len(set(zip(times, column.cells, strict=True))) == len(times)
            if is_one and 2 <= values <= len(times) // 2:
                found.append((values, column.name))
        return [name for _, name in sorted(found)]

    def _filled(
        self, found: Arranged, texts: dict[str, Sequence[str]], names: Sequence[str]
    ) -> Filled:
        values = self._side_by_side(found.values)
        if np.isfinite(values).all():
            return Filled(values, range(len(values)), ())
        if self.how.missing is None:
            self._refuse_missing(found, texts)
        try:
            return fill(values, names, self.how.missing, self.how.periods)
        except FillError as problem:
            raise SeriesError(f"{self.cells.path}: {problem}") from None

    def _side_by_side(self, values: FloatArray) -> FloatArray:
        """Values `[step, id, column]` as `[step, channel]`: to forecast, of the past, and known."""
        ends = [len(self.columns), len(self.columns) + len(self.beside.past)]
        blocks = np.split(values, ends, axis=2)
        return np.concatenate([own.reshape(len(values), -1) for own in blocks], axis=1)

    def _refuse_missing(self, found: Arranged, texts: dict[str, Sequence[str]]) -> NoReturn:
        """Name the first value that is missing: of a cell, of all rows of a time, or of an id."""
        lacking = np.isnan(found.values)
        step, series, column = map(int, np.argwhere(lacking)[0])
        row = int(found.rows[step, series])
        remedy = f"write {_FILL} in [series]"
        count = f"{_of(int(lacking.sum()), lacking.size, 'value')} missing"
        if row >= 0:
            name = self.all_columns[column]
            cell = texts[name][row].strip()
            got = f"'{cell}', which stands for no value" if cell else "an empty cell"
            self._refuse(
                row,
                f"the column '{name}' must hold finite numbers, but has {got} ({count}); fill it "
                f"in, or {remedy} to have it filled in or left out",
            )
        if found.is_gap[step]:
            later = int(np.flatnonzero(~found.is_gap[step:])[0]) + step
            self._refuse(
                _row_of(found, later),
                f"times must have equal steps, but from '{found.labels[step - 1]}' to "
                f"'{found.labels[later]}' there are {later - step + 1}, where most steps are "
                f"{found.interval}: {_of(int(found.is_gap.sum()), len(found.labels), 'row')} "
                f"missing; {remedy} to fill them in or mask them, or leave out time, so that the "
                "rows are numbered",
            )
        name, has = found.ids[series], int((found.rows[:, series] >= 0).sum())
        other = found.ids[int(np.argmax(found.rows[step] >= 0))]
        raise SeriesError(
            f"{self.cells.path}: all ids must have the same times, but '{name}' has {has} of "
            f"{len(found.labels)} and none at '{found.labels[step]}', which '{other}' has; "
            f"{remedy} to fill them in or mask them, or give all ids the same times"
        )

    def _check(self, table: Table) -> None:
        path = self.cells.path
        if table.rows < 2:
            what = "each id" if table.long is not None else "a table"
            raise SeriesError(f"{path}: {what} must have at least 2 rows, but has {table.rows}")
        is_constant = np.ptp(table.values, axis=0) == 0
        if is_constant.any():
            worst = int(np.argmax(is_constant))
            what, remedy = "column", "name another column"
            if table.long is not None:
                what, remedy = table.long.id_column, "leave its rows out"
            raise SeriesError(
                f"{path}: the {what} '{table.columns[worst]}' is constant "
                f"({table.values[0, worst]:g} in every row), so there is nothing to forecast; "
                f"{remedy}"
            )
        if len(set(table.columns)) < len(table.columns):
            raise SeriesError(
                f"{path}: ids with the names of columns must be different names, but some are "
                f"equal, such as '{max(table.columns, key=table.columns.count)}'; rename some ids"
            )

    def _said(
        self, found: Arranged, filled: Filled, times: Times | None, table: Table, known: int
    ) -> list[str]:
        said = []
        if found.unsorted is not None:
            place = self.cells.places[found.unsorted]
            said.append(f"rows are sorted by time, since {place} is earlier than one above it")
        if times is not None and times.said:
            said.append(f"{times.said}, such as '{table.times[0]}' ({table.positions[0]})")
        if times is None:
            said.append("rows are numbered, since no time column is named")
        elif isinstance(found.interval, BusinessInterval):
            said.append("times are business days: weekends are no gaps")
        if found.merged:
            what = "their mean" if self.how.duplicates == "mean" else "the last of them"
            rows = counted(found.merged, "row")
            has = "has" if found.merged == 1 else "have"
            said.append(f"{rows} {has} the time of another one; of rows of one time, {what} counts")
        cut = len(found.labels) - len(filled.kept)
        if cut:
            said.append(_cut_said(filled.kept.start, cut - filled.kept.start))
        channels = len(table.columns)
        own = [run for run in filled.runs if run.channel < channels]
        past = filled.runs[len(own) :]
        if own:
            said.append(_filled_said(own, table.values.size, self.how.missing))
        if past:
            size = filled.values.size - len(filled.values) * (channels + known)
            counts = [run.stop - run.start for run in past]
            said.append(_beside_said(counts, size, "in the past", _means(past, self.how.missing)))
        return said


def _cut_said(first: int, last: int) -> str:
    """That rows are left out at the start, at the end, or both; not both are zero."""
    ends = [(first, "start"), (last, "end")]
    rows = " and ".join(f"{counted(number, 'row')} at the {end}" for number, end in ends if number)
    is_, them = ("is", "its") if first + last == 1 else ("are", "their")
    return f"{rows} {is_} left out, since some of {them} values are missing"


def _filled_said(runs: Sequence[Run], size: int, how: Filling | None) -> str:
    """What was done with values to forecast; size: how many there are of them."""
    counts = [run.stop - run.start for run in runs]
    count = sum(counts)
    if how == "mask":
        run = "" if count == 1 else f", at most {max(counts)} in a row"
        return (
            f"{_of(count, size, 'value')} masked{run}: no training and no score "
            "counts what is missing; where a free run reads it, a straight line stands for it"
        )
    them = "it is" if count == 1 else f"at most {max(counts)} in a row; they are"
    return (
        f"{_of(count, size, 'value')} filled in by {_means(runs, how)}"
        f"{';' if count == 1 else ','} {them} trained on and scored like the others"
    )


def _means(runs: Sequence[Run], how: Filling | None) -> str:
    season = f" and a season of {runs[0].season:g} steps" if how == "seasonal" else ""
    return f"a straight line{season}"


def _beside_said(counts: Sequence[int], size: int, known: str, means: str) -> str:
    """What was filled in of columns beside those to forecast: neighbours each, of so many."""
    count = sum(counts)
    run = "" if count == 1 else f", at most {max(counts)} in a row"
    what = f"value of columns known {known}" if size == 1 else f"values of columns known {known}"
    is_ = "is" if count == 1 else "are"
    return f"{count:,} of {size:,} {what} {is_} filled in by {means}{run}"


def _known_said(is_filled: np.ndarray) -> list[str]:
    """A line on values of known columns that were filled in, `[row, known]`, where some were."""
    counts = [run.stop - run.start for run in runs_of(is_filled, 0.0)]
    if not counts:
        return []
    return [_beside_said(counts, is_filled.size, "in advance", "a straight line")]


def _of(number: int, total: int, noun: str) -> str:
    """Such as "1 of 961 values is"."""
    return f"{number:,} of {counted(total, noun)} {'is' if number == 1 else 'are'}"


def _row_of(found: Arranged, step: int) -> int:
    """A row of the file of that step: of the first id that has one."""
    return int(found.rows[step][found.rows[step] >= 0][0])


def _row_number(columns: Sequence[str]) -> str:
    return ROW_NUMBER if ROW_NUMBER not in columns else f"{ROW_NUMBER} number"
