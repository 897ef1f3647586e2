"""Parquet files, with what pandas notes in them about the index of a frame."""

import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import SeriesError
from search.names import cut
from search.series.formats.cells import UNNAMED_INDEX, Cells, Column

if TYPE_CHECKING:
    from polars import DataFrame

# A file of a few kilobytes can claim any number of rows: no table of so many could be kept.
MAX_CELLS = 50_000_000


def read_parquet(path: Path, content: bytes, wanted: Collection[str] | None) -> Cells:
    """Return the columns of a Parquet file as text; wanted: those to keep, None for all.

    An index of pandas is a column: by its name, or as "index". Raises SeriesError for a file that
    is damaged, too large or has columns that are no text, numbers or times.
    """
    # Imported here: it costs a fifth of a second that no study without Parquet should wait for.
    import polars
    from polars.exceptions import PanicException, PolarsError

    try:
        schema = polars.read_parquet_schema(io.BytesIO(content))
        index = _pandas_index(content)
        names = {name: _shown(name, schema) for name in schema}
        kept = [name for name in schema if wanted is None or names[name] in wanted]
        rows = polars.scan_parquet(io.BytesIO(content)).select(polars.len()).collect().item()
        if rows * max(len(kept), 1) > MAX_CELLS:
            raise SeriesError(
                f"{path} must have at most {MAX_CELLS:,} cells in the columns that are read, but "
                f"has {rows:,} rows of {len(kept)}; give fewer rows or columns"
            )
        _check_types(path, schema, kept)
        texts = _texts(polars.read_parquet(io.BytesIO(content), columns=kept))
    # A panic is what the reader makes of some damaged files.
    except (PolarsError, PanicException) as error:
        raise SeriesError(
            f"{path} can't be read as Parquet ({cut(str(error))}); write plain columns, or save it "
            "as CSV"
        ) from error
    columns = [
        Column(
            names[name],
            texts[name].to_list() if name in kept else (),
            _zone(schema[name]),
            _kind(schema[name]),
        )
        for name in schema
    ]
    if index is not None and index[0] not in names.values():
        numbers = [str(index[1] + index[2] * row) for row in range(rows)]
        columns.insert(0, Column(index[0], numbers, kind="Int64"))
    return Cells(path, columns, [f"row {row}" for row in range(1, rows + 1)])


def _shown(name: str, schema: Mapping[str, Any]) -> str:
    is_unnamed = name == "__index_level_0__" and UNNAMED_INDEX not in schema
    return UNNAMED_INDEX if is_unnamed else name.strip()


def _texts(frame: "DataFrame") -> "DataFrame":
    import polars

    return frame.select(polars.all().cast(polars.String).fill_null(""))


def _zone(kind: Any) -> str | None:
    zone: str | None = getattr(kind, "time_zone", None)
    return zone


def _kind(kind: Any) -> str | None:
    """The type that new cells can have as well: decimals are of a width, and may outgrow it."""
    name = str(kind.base_type())
    if name == "Enum":  # which holds no other texts than its own
        return "String"
    if name == "Datetime":
        return f"{name}[{kind.time_unit}]"
    return None if name == "Decimal" else name


def _check_types(path: Path, schema: Mapping[str, Any], kept: Collection[str]) -> None:
    for name in kept:
        if str(schema[name]).startswith("ext["):
            raise SeriesError(
                f"{path}: the column '{name}' has a type of another program ({schema[name]}); "
                f"write it as text or as dates, in pandas with .astype(str)"
            )


def _pandas_index(content: bytes) -> tuple[str, int, int] | None:
    """Name, start and step of a range that pandas left out of the columns; None for none."""
    import polars

    try:
        noted = json.loads(polars.read_parquet_metadata(io.BytesIO(content)).get("pandas", "{}"))
        (found,) = noted["index_columns"]
        if found["kind"] == "range":
            return found["name"] or UNNAMED_INDEX, int(found["start"]), int(found["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # what another program noted may be anything, and the columns are there without it
    return None
