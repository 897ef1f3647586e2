"""Tables: read from CSV and Parquet files, and kept as bytes beside a study."""

import csv
import hashlib
import io
import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.methods.values import nearest
from search.errors import SeriesError
from search.files import TABLE_FILE, expand, read_file, read_json
from search.names import cut
from search.series.long_tables import pivot
from search.series.source import FloatArray
from search.series.time_column import Interval, TimeLabelError, read_interval

MAX_TABLE_BYTES = 16 * 2**20  # compressed; what every worker fetches from the study's database

MAX_EXPANDED_BYTES = 256 * 2**20  # what each of them then holds in memory

_FORMAT = 1


@dataclass(frozen=True)
class LongForm:
    """How the channels of a table were rows of a long one: ids, each with the value columns."""

    id_column: str
    ids: tuple[str, ...]
    value_columns: tuple[str, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels: the ids; where there are several columns, with their names."""
        if len(self.value_columns) == 1:
            return self.ids
        return tuple(f"{name} {column}" for name in self.ids for column in self.value_columns)

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {"id": self.id_column, "ids": self.ids, "columns": self.value_columns}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild what `to_plain` gave."""
        return cls(plain["id"], tuple(plain["ids"]), tuple(plain["columns"]))


@dataclass(frozen=True, eq=False)
class Table:
    """Equally spaced rows of finite numbers.

    time_column: its name. times: one label a row, exactly as in the file. columns: names of the
    value channels. values: [time, channel], read-only. long: what made the channels of a long
    table, None for one with a column each.
    """

    time_column: str
    times: tuple[str, ...]
    columns: tuple[str, ...]
    values: FloatArray
    long: "LongForm | None" = None

    def __post_init__(self) -> None:
        assert self.values.shape == (len(self.times), len(self.columns))
        assert self.long is None or self.long.channels == self.columns
        values = np.array(self.values, dtype=np.float64, order="C")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.times)

    @cached_property
    def interval(self) -> Interval:
        """The step of the time column."""
        return read_interval(self.times)

    def continue_time(self, steps: int) -> list[str]:
        """Return the `steps` time labels after the last row, in the format of the column."""
        return self.interval.continue_time(steps)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of names, time labels and values: equal tables in other files agree."""
        return hashlib.sha256(self._content()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the table compressed; SeriesError above MAX_TABLE_BYTES."""
        content = self._content()
        if len(content) > MAX_EXPANDED_BYTES:
            raise SeriesError(
                f"a table must be at most {MAX_EXPANDED_BYTES / 2**20:g} MiB to be kept with its "
                f"study, but {self.rows} rows of {len(self.columns)} columns are "
                f"{len(content) / 2**20:.1f} MiB; give fewer rows, or resample to longer steps"
            )
        compressed = zlib.compress(content)
        if len(compressed) > MAX_TABLE_BYTES:
            raise SeriesError(
                f"a table must be at most {MAX_TABLE_BYTES / 2**20:g} MiB compressed to be kept "
                f"with its study, but {self.rows} rows are {len(compressed) / 2**20:.1f} MiB; "
                "give fewer rows, or resample to longer steps"
            )
        return compressed

    @classmethod
    def from_bytes(cls, compressed: bytes) -> "Table":
        """Rebuild what `to_bytes` wrote; SeriesError where the bytes are damaged or newer."""
        try:
            content = expand(compressed, MAX_EXPANDED_BYTES)
            end = content.find(b"\n")
            header = read_json(content[:end])
            if header["format"] == _FORMAT:
                return cls._of_parts(header, content, end + 1)
        except (ValueError, KeyError, TypeError) as error:
            raise SeriesError(
                f"the stored table is damaged ({error}); start a new study from the study file"
            ) from error
        raise SeriesError(
            f"the stored table has format {header['format']}, but this version of freerun reads "
            f"format {_FORMAT}; update freerun"
        )

    @classmethod
    def _of_parts(cls, header: Mapping[str, Any], content: bytes, begin: int) -> "Table":
        """A table of its header and of the numbers from a byte of the content on."""
        times, columns = tuple(header["times"]), tuple(header["columns"])
        long = LongForm.from_plain(header["long"]) if "long" in header else None
        names = [header["time_column"], *times, *columns]
        if not columns or not all(isinstance(name, str) for name in names):
            raise ValueError("its columns and times must be texts, one column at least")
        if long is not None and long.channels != columns:
            raise ValueError("its columns must be those of its ids")
        values = np.frombuffer(content, dtype="<f8", offset=begin)
        if not np.isfinite(values).all():
            raise ValueError("its numbers must be finite")
        return cls(
            header["time_column"], times, columns, values.reshape(len(times), len(columns)), long
        )

    def _content(self) -> bytes:
        header: dict[str, Any] = {
            "format": _FORMAT,
            "time_column": self.time_column,
            "columns": self.columns,
            "times": self.times,
        }
        if self.long is not None:
            header["long"] = self.long.to_plain()
        return json.dumps(header).encode() + b"\n" + self.values.astype("<f8").tobytes()


# float() alone would also take "nan", "infinity" and "1_000".
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

# Where each row stands ("line 7", "row 6"), and the wanted columns as text.
_Cells = tuple[Sequence[str], Mapping[str, Sequence[str]]]


def read_table(
    path: Path, time: str, columns: Sequence[str], id_column: str | None = None
) -> Table:
    """Return the named columns of a CSV or Parquet file, in the order of its rows.

    path: CSV with commas, a header line and UTF-8 text, or a file that ends in .parquet.
    time: the time column; columns: the value columns. id_column: of a long table, in which the rows
    of each id are one series; they may stand in any order.
    Raises SeriesError, which names the file, the line, the value and the remedy, for a file that
    is missing or unreadable, a column that is missing, constant or holds anything but finite
    numbers, fewer than two rows, and times that repeat, go back or leave gaps; of a long table also
    where ids differ in their times.
    """
    content = read_file(path, TABLE_FILE)
    wanted = [time, *columns] if id_column is None else [time, id_column, *columns]
    read = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
    places, cells = read(path, content, wanted)
    if len(places) < 2:
        raise SeriesError(
            f"{path}: a table must have at least 2 rows of data, but has {len(places)}"
        )
    values = np.column_stack([_numbers(path, places, name, cells[name]) for name in columns])
    try:
        if id_column is None:
            table = Table(time, tuple(cells[time]), tuple(columns), values)
        else:
            found = pivot(str(path), places, cells[id_column], cells[time])
            long = LongForm(id_column, found.ids, tuple(columns))
            by_id = values[np.array(found.rows).T].reshape(len(found.times), -1)
            table = Table(time, found.times, long.channels, by_id, long)
            places = [places[row] for row in found.rows[0]]
        _check_channels(path, table)
        _ = table.interval  # is computed here, where the lines are known
    except TimeLabelError as problem:
        raise SeriesError(f"{path}, {places[problem.row]}: {problem.rule}") from None
    return table


def _check_channels(path: Path, table: Table) -> None:
    if table.rows < 2:
        raise SeriesError(f"{path}: each id must have at least 2 rows, but has {table.rows}")
    is_constant = np.ptp(table.values, axis=0) == 0
    if is_constant.any():
        worst = int(np.argmax(is_constant))
        what, remedy = "column", "name another column"
        if table.long is not None:
            what, remedy = table.long.id_column, "leave its rows out"
        raise SeriesError(
            f"{path}: the {what} '{table.columns[worst]}' is constant "
            f"({table.values[0, worst]:g} in every row), so there is nothing to forecast; {remedy}"
        )
    if len(set(table.columns)) < len(table.columns):
        raise SeriesError(
            f"{path}: ids with the names of columns must be different names, but some are equal, "
            f"such as '{max(table.columns, key=table.columns.count)}'; rename some ids"
        )


def _read_csv(path: Path, content: bytes, wanted: Sequence[str]) -> _Cells:
    places: list[str] = []
    rows: list[list[str]] = []
    # The csv module, not polars: it knows the line of a row whatever is quoted or blank before it.
    with io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="") as file:
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
    return places, dict(zip(wanted, columns, strict=True))


def _read_parquet(path: Path, content: bytes, wanted: Sequence[str]) -> _Cells:
    # Imported here: it costs a fifth of a second that no study without Parquet should wait for.
    import polars
    from polars.exceptions import PanicException, PolarsError

    names = list(dict.fromkeys(wanted))
    try:
        _positions(path, list(polars.read_parquet_schema(io.BytesIO(content))), wanted)
        # By the file's own count, before anything of it is expanded: a few bytes may repeat a value
        # a thousand million times.
        rows = polars.scan_parquet(io.BytesIO(content)).select(polars.len()).collect().item()
        _check_expanded(path, rows * len(names))
        frame = polars.read_parquet(io.BytesIO(content), columns=names)
        texts = frame.select(polars.all().cast(polars.String).fill_null(""))
        for name in names:
            _check_expanded(path, int(texts[name].str.len_bytes().sum()))
    # A panic is what the reader makes of some damaged files.
    except (PolarsError, PanicException) as error:
        raise SeriesError(
            f"{path} can't be read as Parquet ({cut(str(error))}); write plain columns, or save it "
            "as CSV"
        ) from error
    places = [f"row {row}" for row in range(1, texts.height + 1)]
    return places, {name: texts[name].to_list() for name in wanted}


def _check_expanded(path: Path, size: int) -> None:
    """Raise SeriesError for more bytes, of the cells as text, than a table may be read with."""
    if size > TABLE_FILE.most_bytes:
        raise SeriesError(
            f"a table must be at most {TABLE_FILE.most_bytes / 2**20:g} MiB, but {path} expands to "
            "more; give fewer rows, or resample to longer steps"
        )


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


def _numbers(path: Path, places: Sequence[str], name: str, cells: Sequence[str]) -> FloatArray:
    texts = [text.strip() for text in cells]
    for place, text in zip(places, texts, strict=True):
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            got = f"'{text}'" if text else "an empty cell"
            raise SeriesError(
                f"{path}, {place}: the column '{name}' must hold finite numbers, but has {got}; "
                "fill it in, or cut the table there (freerun fills no gaps)"
            )
    return np.array([float(text) for text in texts], dtype=np.float64)
