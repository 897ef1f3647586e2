"""Long tables: the rows of many series one below the other, made one table with a channel each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.errors import SeriesError
from search.series.time_column import is_number, time_order

_REMEDY = "give all ids the same times: fill in rows, or cut the table to times that all have"


@dataclass(frozen=True)
class Pivot:
    """Which row of a long table is which time of which id.

    ids: the names, sorted. times: the labels, in their order. rows: `[id][time]`, positions in the
    file.
    """

    ids: tuple[str, ...]
    times: tuple[str, ...]
    rows: Sequence[Sequence[int]]


def pivot(where: str, places: Sequence[str], ids: Sequence[str], times: Sequence[str]) -> Pivot:
    """Find the rows of each id in the order of time, whatever their order in the file is.

    where: the file, for messages; places: where each row stands in it. ids, times: of each row.
    Raises SeriesError for an empty id, a time that an id has twice or lacks, and TimeLabelError for
    a time that can't be read, with the number of its row.
    """
    order = time_order(times)
    ranks = {label: rank for rank, label in enumerate(order)}
    rows_of: dict[str, dict[int, int]] = {}
    for row, (name, label) in enumerate(zip(ids, times, strict=True)):
        name = name.strip()
        if not name:
            raise SeriesError(f"{where}, {places[row]}: the id is empty; fill it in")
        own = rows_of.setdefault(name, {})
        other = own.setdefault(ranks[label], row)
        if other != row:
            raise SeriesError(
                f"{where}, {places[row]}: the id '{name}' must have each time once, but has "
                f"'{label}' here and in {places[other]}; remove one of the rows"
            )
    names = sorted(rows_of, key=_natural)
    _check_equal(where, rows_of, names, order)
    rows = [[rows_of[name][rank] for rank in range(len(order))] for name in names]
    return Pivot(tuple(names), tuple(order), rows)


def _check_equal(
    where: str,
    rows_of: Mapping[str, Mapping[int, int]],
    names: Sequence[str],
    order: Sequence[str],
) -> None:
    """Every time that one id has, all must have."""
    for name in names:
        own = rows_of[name]
        if len(own) < len(order):
            missing = next(rank for rank in range(len(order)) if rank not in own)
            other = next(each for each in names if missing in rows_of[each])
            raise SeriesError(
                f"{where}: all ids must have the same times, but '{name}' has {len(own)} of "
                f"{len(order)} and none at '{order[missing]}', which '{other}' has; {_REMEDY}"
            )


def _natural(name: str) -> tuple[bool, float, str]:
    """Numbers by their size, before all else."""
    return (False, float(name), name) if is_number(name) else (True, 0.0, name)
