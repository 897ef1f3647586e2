"""The rows of a series that was given in memory, and how they become a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from freerun.frames.ahead import Ahead
from freerun.frames.labels import labels_of_numbers
from search.errors import SeriesError
from search.series import Table, TableSeries
from search.series.time_column import is_number

if TYPE_CHECKING:
    import polars

# What messages say instead of the temporary file.
_NAMED = "the series"

Column: TypeAlias = Union[NDArray[Any], Sequence[str | None], "polars.Series"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Columns of equal length.

    columns: by name: numbers as arrays `[row]`, times of a zone as polars has them, all else as
    text. time: the name of the time column, None where no column is known to be it. named: whether
    the value columns have the user's own names. like: gives a forecast the form that the series
    has.
    """

    columns: Mapping[str, Column]
    time: str | None
    named: bool
    like: Callable[[Ahead], Any]

    @property
    def value_columns(self) -> list[str]:
        """The names of all columns but the time."""
        return [name for name in self.columns if name != self.time]

    @property
    def is_numbered(self) -> bool:
        """Whether the times only count the rows, from 0."""
        if self.time is None:
            return True
        labels = list(self.columns[self.time])
        return labels == labels_of_numbers(np.arange(len(labels)))

    @property
    def has_number_times(self) -> bool:
        """Whether the times are numbers, which those of later rows may go on from."""
        return self.time is not None and is_number(str(self.columns[self.time][0]))

    def renamed(self, names: Sequence[str]) -> "Rows":
        """Return the same rows with other names of the value columns, in their order."""
        new = dict(zip(self.value_columns, names, strict=True))
        columns = {new.get(name, name): column for name, column in self.columns.items()}
        return Rows(columns, self.time, self.named, self.like)

    def counted_from(self, first: int, time: str | None) -> "Rows":
        """Return the same rows, whose times are their numbers from `first` on, in column `time`."""
        columns = {n: own for n, own in self.columns.items() if n in self.value_columns}
        if time is None:
            return Rows(columns, None, self.named, self.like)
        count = len(next(iter(columns.values())))
        numbers = labels_of_numbers(np.arange(first, first + count))
        return Rows({time: numbers, **columns}, time, self.named, self.like)


@contextmanager
def as_parquet(rows: Rows, name: str, called: str = _NAMED) -> Iterator[Path]:
    """Write rows to a Parquet file of a name, which is gone after the block.

    called: what a SeriesError of the block names in the place of the file.
    """
    import polars

    frame = polars.DataFrame(
        [
            polars.Series(of, column).fill_nan(None)
            if isinstance(column, np.ndarray) and np.issubdtype(column.dtype, np.floating)
            else polars.Series(of, column)
            for of, column in rows.columns.items()
        ]
    )
    with TemporaryDirectory(prefix="freerun-") as folder:
        path = Path(folder) / name
        frame.write_parquet(path)
        try:
            yield path
        except SeriesError as error:
            raise SeriesError(str(error).replace(str(path), called)) from error


def read_as_table(
    rows: Rows, series: TableSeries, earlier: Table | None = None, future: Rows | None = None
) -> Table:
    """Return rows as the table that a [series] section describes; its path does not matter.

    earlier: see `TableSeries.read_file`. future: later rows of the columns known in advance. Raises
    SeriesError as reading a file does.
    """
    with as_parquet(rows, "series.parquet") as path:
        if future is None:
            return series.read_file(path, earlier)
        with as_parquet(future, "future.parquet", "the future") as later:
            return series.read_file(path, earlier, later)
