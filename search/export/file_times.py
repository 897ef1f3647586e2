"""Times and ids of a forecast in a file, of the type that they have in the file of the series.

What has no types, a CSV or a workbook, gives dates, instants and whole numbers in Parquet as well,
as far as its labels name whole days: quarters and months stay text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import time
from typing import TYPE_CHECKING, Any

from search.series import Table
from search.series.time_column import Times, is_number, read_times
from search.series.time_format import IsoFormat, TimePattern

if TYPE_CHECKING:
    from polars import Series

_TEXT = "String"
_NO_FRACTION = re.compile(r"\.0+(?=Z|[+-][0-9:]+$|$)")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DAY_CHARACTERS = 10


def csv_times(table: Table, labels: Sequence[str]) -> list[str]:
    """Return times for text: of instants of a Parquet file without the zeros of their fractions."""
    is_instant = (table.time_type or "").startswith("Datetime")
    if is_instant and all(map(_NO_FRACTION.search, labels)):
        return [_NO_FRACTION.sub("", label) for label in labels]
    return list(labels)


def typed_times(table: Table) -> Series:
    """Return the times of a table as a column of polars."""
    import polars

    name, kind = table.time_column, table.time_type
    if kind == _TEXT:
        return polars.Series(name, table.times, polars.String)
    if all(map(is_number, table.times)):
        return _numbers(name, table.times, kind)
    times = read_times(table.times, table.time_format, table.zone)
    if kind is None:
        kind = _kind_of(times)
    if kind == "Date":
        return polars.Series(name, [own.date() for own in times.locals])
    if kind.startswith("Datetime"):
        return _instants(name, times, kind)
    return polars.Series(name, table.times, polars.String)


def typed_ids(table: Table) -> Series:
    """Return the ids of a long table, each once, as a column of polars."""
    import polars

    assert table.long is not None
    name, ids, kind = table.long.id_column, table.long.ids, table.id_type
    if kind != _TEXT and all(map(_WHOLE.fullmatch, ids)):
        return _numbers(name, ids, kind)
    return polars.Series(name, ids, polars.String)


def _numbers(name: str, labels: Sequence[str], kind: str | None) -> Series:
    import polars

    if kind is None or not kind.startswith(("Int", "UInt", "Float")):
        kind = "Int64" if all(map(_WHOLE.fullmatch, labels)) else "Float64"
    number: Any = float if kind.startswith("Float") else int
    try:
        return polars.Series(name, [number(label) for label in labels], getattr(polars, kind))
    # Of a range that ends at the last row, or steps that are no whole numbers.
    except (ValueError, TypeError, OverflowError):
        return polars.Series(name, list(map(float, labels)), polars.Float64)


def _kind_of(times: Times) -> str:
    """The type for times of a file without types."""
    written = times.written
    if isinstance(written, IsoFormat) and written.length < _DAY_CHARACTERS:
        return _TEXT
    if isinstance(written, TimePattern) and not re.search(r"%-?d", written.name):
        return _TEXT
    is_days = times.offsets is None and all(own.time() == time() for own in times.locals)
    if isinstance(written, IsoFormat):
        is_days = written.length == _DAY_CHARACTERS
    return "Date" if is_days else "Datetime[us]"


def _instants(name: str, times: Times, kind: str) -> Series:
    import polars

    unit: Any = kind.removeprefix("Datetime[").removesuffix("]")
    if times.offsets is None:
        return polars.Series(name, list(times.locals), polars.Datetime(unit))
    utc = [own - offset for own, offset in zip(times.locals, times.offsets, strict=True)]
    made = polars.Series(name, utc, polars.Datetime(unit)).dt.replace_time_zone("UTC")
    return made.dt.convert_time_zone(times.zone or "UTC")
