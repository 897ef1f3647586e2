"""Which column of a table is its time, which tells its series apart, and which hold values."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models.methods import counted, nearest
from search.errors import SeriesError
from search.names import cut
from search.series import read_cells
from search.series.formats.csv_text import find_separator
from search.series.numbers import TRUTHS, is_amount, is_missing, unit_of
from search.series.time_column import TimeLabelError, Times, read_times

Columns = Mapping[str, Sequence[str]]

_TIME_NAME = re.compile(
    r"ds|t|.*(time|date|stamp).*|year|quarter|month|week|day|hour|minute|second|step|period",
    re.IGNORECASE,
)
# Whole words of a name, also two of them joined as in "storeid": humidity, width and grid are none.
_ID_WORD = re.compile(
    r"(ids?|name|key|item|series|store|shop|product|station|sensor|region|country|city|group)+",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[\W\d_]+|(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Numbers as people write them, which the reader of tables then reads or refuses.
_NUMBER = re.compile(r"[+-]?[0-9.,'’ \u00a0\u202f]*[0-9][0-9.,'’ \u00a0\u202f]*([eE][+-]?[0-9]+)?")
_SHOWN_CELLS, _SHOWN_HEADER = 20, 60
# A column whose cells are numbers but for less than such a share is meant to hold numbers.
_FEW_ODD = 0.05
# A column of dates is one whose cells but a few can be read: so many are looked for.
_MOST_UNREADABLE = 5
_NOT_ASKED = "was not asked for"
_ROLES = {
    "time": "the time",
    "id": "the id",
    "known": "known in advance",
    "past": "known only in the past",
}
# Of several series, more rows than such a share have a time that was there before.
_FEW_AGAIN = 0.1


@dataclass(frozen=True)
class Roles:
    """The columns of a table by their roles; id: of a long table, else None.

    time: None where no column can be the time, and rows are numbered. left_out: other columns, each
    with the reason. notes: what else a user may want to know of the columns.
    """

    time: str | None
    values: tuple[str, ...]
    id: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def columns_of(path: Path, separator: str | None = None) -> dict[str, Sequence[str]]:
    """Return all columns of a table's file that have a name, as text, in the order of the file.

    separator: of text, None to find it. Raises SeriesError where it can't be read or has no rows.
    """
    found = read_cells(path, None, separator).columns
    columns = {column.name: column.cells for column in found if column.name}
    if separator is not None and len(found) == 1:
        _check_separator(path, found[0].name, separator)
    rows = len(next(iter(columns.values()), ()))
    if rows < 2:
        raise SeriesError(f"{path}: a table must have at least 2 rows of data, but has {rows}")
    return columns


def _check_separator(path: Path, header: str, separator: str) -> None:
    """Raise SeriesError where a separator that was named leaves the cells of a text together."""
    own = find_separator(header)
    if own != separator and own in header:
        raise SeriesError(
            f"{path} must have cells that the separator '{separator}' divides, but its first line "
            f"is one cell, '{cut(header, _SHOWN_HEADER)}'; name another separator, such as "
            f"'{own}', or leave it out, so that it is found"
        )


def roles_of(
    path: Path,
    columns: Columns,
    wanted: Sequence[str] = (),
    said: Mapping[str, Any] = MappingProxyType({}),
) -> Roles:
    """Return what the columns of a table are for.

    path: of the file, for messages. wanted: the value columns that the user named, else all that
    hold numbers are. said: keys of [series] that the user gave: `time` names the time column, or is
    None to number the rows, else it is the likeliest one; `time_format`, `id`, `duplicates`,
    `known` and `past` count as well. Raises SeriesError where no column or none of those that were
    named holds values, and where the rows of several series can't be told apart.
    """
    time, id_column = said.get("time"), said.get("id")
    if "time" not in said:
        time = _time_of(path, columns, said.get("time_format"))
    for name in (time, id_column):
        if name is not None and name not in columns:
            raise SeriesError(
                f"{path} has no column '{name}'.{nearest(name, columns)} It has: "
                f"{', '.join(columns)}"
            )
    is_repeated = time is not None and len(set(columns[time])) < len(columns[time])
    if time is not None and is_repeated and id_column is None and "duplicates" not in said:
        id_column = _id_of(path, columns, time, wanted)
    beside = {key: list(said.get(key) or ()) for key in ("known", "past")}
    for key, names in beside.items():
        if lacking := next((name for name in names if name not in columns), None):
            raise SeriesError(
                f"{path} has no column '{lacking}' to be in {key}.{nearest(lacking, columns)} It "
                f"has: {', '.join(columns)}"
            )
    taken = {name: key for key, names in beside.items() for name in names}
    taken |= {name: key for key, name in (("time", time), ("id", id_column)) if name is not None}
    others = {name: cells for name, cells in columns.items() if name not in taken}
    if beside["known"]:
        # Rows behind the last value are ahead of the table.
        rows = len(next(iter(columns.values()), ()))
        ids = [""] * rows if id_column is None else columns[id_column]
        others = {name: _without_tail(cells, ids) for name, cells in others.items()}
    if not wanted:
        _check_few_odd(path, others)
    if wanted:
        left_out = {name: _NOT_ASKED for name in others if name not in wanted}
    else:
        reasons = {name: _reason_against(name, cells) for name, cells in others.items()}
        left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    notes: dict[str, str] = {}
    if time is None and "time" not in said:
        unasked = {name: cells for name, cells in others.items() if name not in wanted}
        notes = _counters(unasked, left_out)
    if not wanted and len(notes) < len(others) - len(left_out):
        left_out |= dict.fromkeys(notes, "may be the time")
    values = [name for name in others if name not in left_out]
    if not values and not wanted:
        # With cells that are no numbers: the reader of tables says where, and what to do.
        values = [
            name for name, cells in others.items() if 0 < _not_numbers(cells) < len(cells) / 2
        ]
        left_out = {name: reason for name, reason in left_out.items() if name not in values}
    _check_wanted(path, wanted, others, taken)
    if not values:
        why = [f"'{name}' {reason}" for name, reason in left_out.items()]
        why += [f"'{name}' is {_ROLES[key]}" for name, key in taken.items() if key in beside]
        raise SeriesError(
            f"{path} must have a column of numbers to forecast"
            + (f" beside the time '{time}'" if time is not None else "")
            + ", but has none"
            + (f": {'; '.join(why)}" if why else "")
        )
    return Roles(time, tuple(values), id_column, left_out, tuple(notes.values()))


def _check_wanted(
    path: Path, wanted: Sequence[str], others: Columns, taken: Mapping[str, str]
) -> None:
    """Raise SeriesError where a column that is to be forecast is none, or has another role.

    others: columns without one. taken: the roles of all others.
    """
    for name in wanted:
        if name in taken:
            raise SeriesError(
                f"a column to forecast must have no other role, but '{name}' is "
                f"{_ROLES[taken[name]]}, too; name it once"
            )
        if name not in others:
            raise SeriesError(
                f"columns must be value columns of {path}, but '{name}' is no column; there are "
                f"{', '.join(others)}"
            )


def _time_of(path: Path, columns: Columns, time_format: str | None) -> str | None:
    """The column that is most like a time: dates, a telling name, equal steps, the first place.

    None where no column is. One of dates that can't be told apart, days from months, is the time
    all the same: the reader of tables says what to do. Raises SeriesError where a time_format is
    given and no column is written so, and where the only column of dates has a few cells that are
    none: without it, rows would be taken as they stand.
    """
    ranks = {}
    for place, (name, cells) in enumerate(columns.items()):
        is_named = _TIME_NAME.fullmatch(name.strip()) is not None
        try:
            times = read_times(cells, time_format)
        except TimeLabelError as error:
            # Of a format that was given, the reader of tables says where it does not fit.
            if is_named and (time_format is not None or "time_format" in error.rule):
                ranks[name] = (True, False, False, -place)
            continue
        # Of a long table each time comes back.
        first_rows = {times.instants[row]: row for row in reversed(range(len(cells)))}
        order = [first_rows[instant] for instant in sorted(first_rows)]
        is_date = times.written is not None
        is_even = _is_even(times, order)
        is_rising = order == list(range(len(cells)))
        # Of a long table, times come back; values of a few different sizes do so, too.
        if is_date or (is_even and (is_named or is_rising)) or (is_named and is_rising):
            ranks[name] = (is_date, is_named and is_even, is_even, -place)
    found = max(ranks, key=ranks.__getitem__) if ranks else None
    if found is None or not ranks[found][0]:
        for name, cells in columns.items():
            _check_dates(path, name, cells, time_format)
    if time_format is not None and found is None:
        raise SeriesError(
            f"{path} must have a column of times that are written as '{time_format}', but none of "
            f"{', '.join(columns)} is; correct the format, or leave it out"
        )
    return found


def _check_dates(path: Path, name: str, cells: Sequence[str], time_format: str | None) -> None:
    """Raise SeriesError where a column holds dates but for a few cells."""
    rows = list(range(len(cells)))
    bad: list[int] = []
    while len(bad) <= min(_MOST_UNREADABLE, len(cells) // 4):
        try:
            times = read_times([cells[row] for row in rows], time_format)
        except TimeLabelError as error:
            bad.append(rows.pop(error.row))
            continue
        if bad and times.written is not None:
            cell = cells[bad[0]].strip()[:_SHOWN_CELLS]
            raise SeriesError(
                f"{path}: the time column '{name}' must hold a date in each row, but row "
                f"{bad[0] + 1} of {len(cells)} has {repr(cell) if cell else 'an empty cell'}; "
                "correct it, or leave the row out"
            )
        return


def _is_even(times: Times, order: Sequence[int]) -> bool:
    """Whether rows, which rise in time, lie a step apart."""
    try:
        return len(order) > 1 and times.spaced(order).gaps == 0
    except TimeLabelError:
        return False


def _id_of(path: Path, columns: Columns, time: str, wanted: Sequence[str]) -> str | None:
    """The column with which each time is there once; None where a time is there twice anyway.

    None as well where few times are there again: a clock was set back, or rows were written twice.
    """
    rows = len(columns[time])
    if rows - len(set(columns[time])) <= _FEW_AGAIN * rows:
        return None
    found = []
    for place, (name, cells) in enumerate(columns.items()):
        if name == time or name in wanted:
            continue
        is_text = not all(_NUMBER.fullmatch(cell.strip()) for cell in cells)
        is_named = any(_ID_WORD.fullmatch(word) for word in _WORDS.split(name))
        pairs = set(zip(cells, columns[time], strict=True))
        if len(pairs) == len(cells) and (is_text or is_named) and len(set(cells)) < len(cells):
            found.append((is_text, is_named, -len(set(cells)), -place, name))
    if found:
        return max(found)[-1]
    texts = [
        name
        for name, cells in columns.items()
        if name != time and not all(_NUMBER.fullmatch(cell.strip()) for cell in cells)
    ]
    if len(texts) > 1:
        raise SeriesError(
            f"{path} has each time of '{time}' several times, and must have one column that tells "
            f"its series apart, but none of {', '.join(texts)} does alone; join them to one column"
        )
    return None


def _without_tail(cells: Sequence[str], ids: Sequence[str]) -> Sequence[str]:
    """The cells of a column up to the last one with a value, of each id."""
    last = {own: row for row, own in enumerate(ids) if not is_missing(cells[row])}
    kept = [cells[row] for row, own in enumerate(ids) if row <= last.get(own, -1)]
    return kept or cells


def _not_numbers(cells: Sequence[str]) -> int:
    return sum(not _NUMBER.fullmatch(cell.strip()) for cell in cells)


def _text_in_words(cells: Sequence[str]) -> str:
    """What a column of these cells holds, which are no numbers, and how they become some."""
    filled = [cell for cell in cells if cell]
    shown = f"('{filled[0][:_SHOWN_CELLS]}')"
    if {cell.lower() for cell in filled} <= TRUTHS:
        return f"is true or false {shown}: write 1 and 0"
    units = Counter(unit_of(cell) for cell in filled)
    unit, count = units.most_common(1)[0]
    if unit is not None and 2 * count > len(filled):
        return f"is numbers with a unit {shown}: remove '{unit}'"
    return f"is text {shown}"


def _reason_against(name: str, cells: Sequence[str]) -> str | None:
    """Why a column holds no values, None where it may."""
    stripped = [cell.strip() for cell in cells]
    others = [cell for cell in stripped if not _NUMBER.fullmatch(cell)]
    if 2 * len(others) > len(stripped):
        return _text_in_words(others) if any(others) else "is empty"
    odd = list(filter(_is_odd, others))
    if odd:
        of, got = counted(len(odd), "cell"), odd[0][:_SHOWN_CELLS]
        return f"has {of} without a number, such as '{got}'; name it as a column to see where"
    there = {cell for cell in stripped if not is_missing(cell)}
    if len(there) == 1:
        return f"is constant ({there.pop()[:_SHOWN_CELLS]})"
    # An index that was saved with the table.
    numbers = [] if name.strip().lower().startswith("value") else _whole(stripped)
    if numbers and all(later == earlier + 1 for earlier, later in pairwise(numbers)):
        return "counts the rows"
    return None


def _check_few_odd(path: Path, columns: Columns) -> None:
    """Raise SeriesError for the first column that would be left out for a few cells alone.

    A forecast of the other columns is not what its user wants.
    """
    for name, cells in columns.items():
        odd = [row for row, cell in enumerate(cells) if _is_odd(cell.strip())]
        if not 0 < len(odd) < _FEW_ODD * len(cells) or is_amount(cells[odd[0]].strip()):
            continue
        got = cells[odd[0]].strip()[:_SHOWN_CELLS]
        raise SeriesError(
            f"{path}: the column '{name}' must hold a number in each row, but row {odd[0] + 1} of "
            f"{len(cells)} has '{got}'"
            + (f" ({counted(len(odd), 'such cell')})" if len(odd) > 1 else "")
            + "; correct it, leave the cell empty, or name the columns to forecast without this one"
        )


def _is_odd(cell: str) -> bool:
    """Whether a cell holds something that is no number."""
    return not _NUMBER.fullmatch(cell) and not is_missing(cell)


def _whole(cells: Sequence[str]) -> list[int]:
    """Cells as whole numbers; none where some are no such numbers."""
    whole = [cell for cell in cells if re.fullmatch(r"[0-9]{1,15}", cell)]
    return list(map(int, whole)) if len(whole) == len(cells) else []


def _lacking(numbers: Sequence[int]) -> int:
    """How many are missing where numbers count rows by one, in any order; 0 where they do not.

    Some are missing where rows were dropped; most steps are one all the same.
    """
    steps = [later - earlier for earlier, later in pairwise(sorted(numbers))]
    is_counter = steps and min(steps) > 0 and 2 * sum(own == 1 for own in steps) > len(steps)
    return sum(steps) - len(steps) if is_counter else 0


def _counters(columns: Columns, left_out: Mapping[str, str]) -> dict[str, str]:
    """Columns that may be times with gaps, of rows that are numbered: what is to be said of each.

    left_out: see `Roles`; those that were only not asked for may be times, too.
    """
    notes = {}
    for name, cells in columns.items():
        lacking = _lacking(_whole([cell.strip() for cell in cells]))
        if lacking and left_out.get(name, _NOT_ASKED) == _NOT_ASKED:
            notes[name] = (
                f"'{name}' counts the rows, with {counted(lacking, 'number')} missing, but the "
                "rows are numbered without a gap; name it as the time if it is one"
            )
    return notes
