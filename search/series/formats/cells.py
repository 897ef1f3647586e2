"""A table as its file has it: named columns of text, and where each row stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.methods.values import nearest
from search.errors import SeriesError
from search.names import cut
from search.series.numbers import is_amount, is_missing
from search.series.time_format import IsoFormat, patterns_of

# What pandas calls an index once it becomes a column.
UNNAMED_INDEX = "index"


@dataclass(frozen=True)
class Column:
    """The cells of one column, in the order of the file.

    zone: the time zone of its instants, such as "Europe/Berlin", where the file names one. kind:
    the type of its cells as polars calls it, such as "Int64" or "Datetime[us]", where the file has
    types.
    """

    name: str
    cells: Sequence[str]
    zone: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Cells:
    """The columns of a file as text, before anyone says which is the time and which are values.

    columns: in the order of the file; names may be empty or there twice. places: where each row
    stands, "line 7" or "row 6". notices: what was found that a user may want to know. separator: of
    a text file, None for another.
    """

    path: Path
    columns: Sequence[Column]
    places: Sequence[str]
    notices: tuple[str, ...] = ()
    separator: str | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns that have one."""
        return [column.name for column in self.columns if column.name]

    def column(self, name: str) -> Column:
        """Return the one column of a name; SeriesError where there is none, or several."""
        found = [column for column in self.columns if column.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise SeriesError(f"{self.path} has two columns '{name}'; rename one of them")
        raise SeriesError(
            f"{self.path} has no column '{name}'.{nearest(name, self.names)} {self._contents()}"
        )

    def _contents(self) -> str:
        if not self.columns:
            return "It is empty: write a header line and rows"
        header = ", ".join(self.names)
        if len(self.columns) == 1 and self.separator is not None:
            return f"It has one column, {header!r}: name its separator in [series], as separator"
        return f"It has: {header}"


def check_header(path: Path, header: Sequence[str]) -> None:
    """Raise SeriesError for a header of numbers and dates alone: it is the first row of data."""
    # Years and months may be names, beside that of an index, which may be empty.
    if any(map(_is_number_or_date, header)) and all(
        _is_number_or_date(cell) or (place > 0 and is_missing(cell))
        for place, cell in enumerate(header)
    ):
        raise SeriesError(
            f"{path} must begin with the names of its columns. Its first line is no header, but "
            f"data ({cut(', '.join(header))}): write one with names above"
        )


def _is_number_or_date(cell: str) -> bool:
    text = cell.strip()
    is_date = IsoFormat.of(text) is not None or bool(patterns_of(text))
    return is_date or is_amount(text)


def named(header: Sequence[str]) -> list[str]:
    """Return the names in a header line; a first column without a name is the index."""
    names = [name.strip() for name in header]
    if len(names) > 1 and not names[0] and UNNAMED_INDEX not in names:
        names[0] = UNNAMED_INDEX
    return names
