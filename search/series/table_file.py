"""Tables from files: CSV, where every complaint names the line, and Parquet."""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.methods.words import nearest
from search.errors import SeriesError
from search.series.draw import FloatArray
from search.series.even_steps import TimeLabelError
from search.series.table_content import Table

# float() alone would also take "nan", "infinity" and "1_000".
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class _Cells:
    """The wanted columns of a file as text, and where each row stands ("line 7", "row 6")."""

    places: Sequence[str]
    columns: Mapping[str, Sequence[str]]


def read_table(path: Path, time: str, columns: Sequence[str]) -> Table:
    """Return the named columns of a CSV or Parquet file, in the order of its rows.

    path: CSV with commas, a header line and UTF-8 text, or a file that ends in .parquet.
    time: the time column; columns: the value columns.
    Raises SeriesError, which names the file, the line, the value and the remedy, for a file that
    is missing or unreadable, a column that is missing, constant or holds anything but finite
    numbers, fewer than two rows, and times that repeat, go back or leave gaps.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SeriesError(f"the table {path} {what}; name a CSV or Parquet file")
    wanted = [time, *columns]
    try:
        is_parquet = path.suffix.lower() == ".parquet"
        cells = _read_parquet(path, wanted) if is_parquet else _read_csv(path, wanted)
    except OSError as error:
        raise SeriesError(f"the table {path} can't be read: {error.strerror or error}") from error
    if len(cells.places) < 2:
        raise SeriesError(
            f"{path}: a table must have at least 2 rows of data, but has {len(cells.places)}"
        )
    table = Table(
        time_column=time,
        times=tuple(cells.columns[time]),
        columns=tuple(columns),
        values=np.column_stack([_numbers(path, cells, name) for name in columns]),
    )
    try:
        _ = table.interval  # is computed here, where the lines are known
    except TimeLabelError as problem:
        raise SeriesError(f"{path}, {cells.places[problem.row]}: {problem.rule}") from None
    return table


def _read_csv(path: Path, wanted: Sequence[str]) -> _Cells:
    places: list[str] = []
    rows: list[list[str]] = []
    # The csv module, not polars: it knows the line of a row whatever is quoted or blank before it.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next((row for row in reader if row), [])]
            positions = _positions(path, header, wanted)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise SeriesError(
                        f"{path}, line {reader.line_num}: every line must have {len(header)} cells "
                        f"as the header has, but this one has {len(row)}; correct the line"
                    )
                places.append(f"line {reader.line_num}")
                rows.append([row[position] for position in positions])
        except UnicodeDecodeError as error:
            raise SeriesError(f"{path} must be UTF-8 text ({error.reason}); save it so") from error
        except csv.Error as error:
            raise SeriesError(
                f"{path}, line {reader.line_num}: not CSV ({error}); correct the quotes there"
            ) from error
    columns = zip(*rows, strict=True) if rows else ([] for _ in wanted)
    return _Cells(places, dict(zip(wanted, columns, strict=True)))


def _read_parquet(path: Path, wanted: Sequence[str]) -> _Cells:
    # Imported here: it costs a fifth of a second that no study without Parquet should wait for.
    import polars
    from polars.exceptions import PolarsError

    try:
        _positions(path, list(polars.read_parquet_schema(path)), wanted)
        frame = polars.read_parquet(path, columns=list(dict.fromkeys(wanted)))
        texts = frame.select(polars.all().cast(polars.String).fill_null(""))
    except PolarsError as error:
        raise SeriesError(
            f"{path} can't be read as Parquet ({error}); write plain columns, or save it as CSV"
        ) from error
    places = [f"row {row}" for row in range(1, texts.height + 1)]
    return _Cells(places, {name: texts[name].to_list() for name in wanted})


def _positions(path: Path, header: Sequence[str], wanted: Sequence[str]) -> list[int]:
    for name in wanted:
        if name not in header:
            raise SeriesError(
                f"{path} has no column '{name}'.{nearest(name, header)} {_contents(header)}"
            )
        if header.count(name) > 1:
            raise SeriesError(f"{path} has two columns '{name}'; rename one of them")
    return [header.index(name) for name in wanted]


def _contents(header: Sequence[str]) -> str:
    if not header:
        return "It is empty: write a header line and rows"
    separators = [sign for sign in ";\t|" if sign in header[0]]
    if len(header) == 1 and separators:
        return f"Its header is split by {separators[0]!r}: save the file with commas"
    return "It has: " + ", ".join(header)


def _numbers(path: Path, cells: _Cells, name: str) -> FloatArray:
    texts = [text.strip() for text in cells.columns[name]]
    for place, text in zip(cells.places, texts, strict=True):
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            got = f"'{text}'" if text else "an empty cell"
            raise SeriesError(
                f"{path}, {place}: the column '{name}' must hold finite numbers, but has {got}; "
                "fill it in, or cut the table there (freerun fills no gaps)"
            )
    numbers = np.array([float(text) for text in texts], dtype=np.float64)
    if numbers.min() == numbers.max():
        raise SeriesError(
            f"{path}: the column '{name}' is constant ({texts[0]} in every row), so there is "
            "nothing to forecast; name another column"
        )
    return numbers
