"""The rows of a table in the order of time, one row a step, those of several ids side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from search.errors import SeriesError
from search.names import cut
from search.series.intervals import Interval
from search.series.source import FloatArray
from search.series.time_column import Times, is_number

Duplicates = Literal["mean", "last"]

# Greater numbers of steps are not written out, and of longer times the beginning.
_MOST_SHOWN, _SHOWN_CHARACTERS = 10**15, 60


class DuplicateError(ValueError):
    """Some times are there twice. row, other: two rows of one time; times, rows: how many."""

    def __init__(self, row: int, other: int, times: int, rows: int) -> None:
        super().__init__(row, other)
        self.row, self.other, self.times, self.rows = row, other, times, rows


@dataclass(frozen=True)
class Arranged:
    """Rows in the order of time.

    ids: of the series, ("",) for one. labels: of each step. values: `[step, id, column]`, NaN where
    there is none. rows: `[step, id]`, a row of the file, -1 where there is none. is_gap: `[step]`,
    whether no id has a row. unsorted: the first row that stands before an earlier time, None where
    none does. merged: how many rows were merged into others. interval: the step of the times, None
    where rows are numbered.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    values: FloatArray
    rows: np.ndarray
    is_gap: np.ndarray
    unsorted: int | None
    merged: int
    interval: Interval | None


def arrange(
    values: FloatArray,
    times: Times | None,
    ids: Sequence[str] | None,
    duplicates: Duplicates | None,
) -> Arranged:
    """Arrange the values `[row, column]` of a file.

    times: of the rows; None to number them, within each id. ids: of the rows, None for one series.
    duplicates: what becomes of several rows of one time; None to refuse them.

    Raises TimeLabelError for uneven steps, DuplicateError, and SeriesError where the rows between
    the first and the last time would be too many.
    """
    names, series = _numbered(ids, len(values))
    ranks = _running(series) if times is None else _ranks(times)
    unsorted = None if times is None else _first_back(series, ranks)
    order = np.lexsort((np.arange(len(values)), series, ranks))
    keys = np.column_stack([ranks, series])[order]
    is_again = np.concatenate([[False], (keys[1:] == keys[:-1]).all(axis=1)])
    if is_again.any() and duplicates is None:
        raise _duplicate(order, is_again)
    firsts = np.flatnonzero(~is_again)
    merged = _merged(values, order, firsts, duplicates)
    kept = order[firsts]
    steps = _steps(times, ranks, kept)
    labels, positions = steps.labels, steps.positions
    shape = (len(labels), len(names))
    grid = np.full((*shape, values.shape[1]), np.nan)
    rows = np.full(shape, -1)
    places = (positions[ranks[kept]], series[kept])
    grid[places], rows[places] = merged, kept
    return Arranged(
        names, labels, grid, rows, steps.is_gap, unsorted, int(is_again.sum()), steps.interval
    )


def _numbered(ids: Sequence[str] | None, rows: int) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the series, sorted, and the number of each row's."""
    if ids is None:
        return ("",), np.zeros(rows, dtype=int)
    names = sorted(set(ids), key=_natural)
    numbers = {name: number for number, name in enumerate(names)}
    return tuple(names), np.array([numbers[name] for name in ids])


def _natural(name: str) -> tuple[bool, float, str]:
    """Numbers by their size, before all else."""
    return (False, float(name), name) if is_number(name) else (True, 0.0, name)


def _running(series: np.ndarray) -> np.ndarray:
    """The place of each row among those of its series."""
    ranks = np.empty(len(series), dtype=int)
    for number in np.unique(series):
        own = series == number
        ranks[own] = np.arange(own.sum())
    return ranks


def _ranks(times: Times) -> np.ndarray:
    ordered = sorted(set(times.instants))  # type: ignore[type-var]
    rank: Mapping[object, int] = {instant: number for number, instant in enumerate(ordered)}
    return np.array([rank[instant] for instant in times.instants])


def _first_back(series: np.ndarray, ranks: np.ndarray) -> int | None:
    """The first row that stands below a later one of its series."""
    latest: dict[int, int] = {}
    for row, (own, rank) in enumerate(zip(series.tolist(), ranks.tolist(), strict=True)):
        if rank < latest.get(own, -1):
            return row
        latest[own] = rank
    return None


def _duplicate(order: np.ndarray, is_again: np.ndarray) -> DuplicateError:
    """The first row in the file whose time another one has."""
    places = np.flatnonzero(is_again)
    later = [max(order[place - 1], order[place]) for place in places]
    first = int(np.argmin(later))
    pair = sorted((int(order[places[first] - 1]), int(order[places[first]])))
    distinct = int((~is_again[1:] & is_again[:-1]).sum() + is_again[-1])
    return DuplicateError(pair[1], pair[0], distinct, int(is_again.sum()) + distinct)


def _merged(
    values: FloatArray, order: np.ndarray, firsts: np.ndarray, duplicates: Duplicates | None
) -> FloatArray:
    """One row of values for each group of rows of one time and series."""
    ends = np.append(firsts[1:], len(order))
    # The last in the file, whose order the sorting keeps.
    found: FloatArray = values[order[ends - 1]]
    if len(firsts) == len(order) or duplicates == "last":
        return found
    for place, (first, end) in enumerate(zip(firsts.tolist(), ends.tolist(), strict=True)):
        group = values[order[first:end]]
        counts = np.isfinite(group).sum(axis=0)
        sums = np.nansum(group, axis=0)
        found[place] = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return found


class _Steps(NamedTuple):
    """At which step each time is; the labels of all steps; which of them no row has."""

    positions: np.ndarray
    labels: tuple[str, ...]
    is_gap: np.ndarray
    interval: Interval | None


def _steps(times: Times | None, ranks: np.ndarray, kept: np.ndarray) -> _Steps:
    count = int(ranks.max()) + 1
    if times is None or count == 1:
        labels = [str(number + 1) for number in range(count)]
        if times is not None:
            labels = [times.labels[int(kept[0])]]
        return _Steps(np.arange(count), tuple(labels), np.zeros(count, dtype=bool), None)
    examples = np.empty(count, dtype=int)
    examples[ranks[kept[::-1]]] = kept[::-1]  # of the first id, where several have the time
    spacing = times.spaced(examples.tolist())
    steps = spacing.positions[-1] + 1
    if steps > 2 * count + 1:
        # Reached before a gap is refused, too: nobody could fill in so much.
        steps_of = np.diff(spacing.positions)
        at = int(steps_of.argmax())
        before, after = (
            cut(times.labels[int(examples[i])], _SHOWN_CHARACTERS) for i in (at, at + 1)
        )
        raise SeriesError(
            f"at least half of the times must be there, but of {_counted(steps)} steps of "
            f"{spacing.interval} there are {count}; the largest gap is from '{before}' to "
            f"'{after}'; cut the table there, resample it to longer steps, or leave out time in "
            "[series], so that the rows are numbered"
        )
    positions = np.array(spacing.positions)
    known = dict(zip(spacing.positions, examples.tolist(), strict=True))
    behind = positions[-1]
    made = [
        times.labels[known[step]] if step in known else spacing.interval.label(int(step - behind))
        for step in range(steps)
    ]
    is_gap = np.array([step not in known for step in range(steps)])
    return _Steps(positions, tuple(made), is_gap, spacing.interval)


def _counted(steps: int) -> str:
    """A number of steps; Python writes none of thousands of digits."""
    return str(steps) if steps < _MOST_SHOWN else f"more than {_MOST_SHOWN:,}"
