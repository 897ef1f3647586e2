"""Times and ids of a forecast in a file, of the type that they have in the file of the series.

What has no types, a CSV or a workbook, gives dates, instants and whole numbers in Parquet as well,
as far as its labels name whole days: quarters and months stay text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import time
from typing import TYPE_CHECKING, Any

from search.outputs import NO_FRACTION
from search.series import Table
from search.series.time_column import Times, is_number, read_times
from search.series.time_format import IsoFormat, TimePattern

if TYPE_CHECKING:
    from polars import Series

_TEXT, _CATEGORY = "String", "Categorical"
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_DAY_CHARACTERS = 10


def csv_times(table: Table) -> list[str]:
    """Return times for text: of instants of a Parquet file without the zeros of their fractions."""
    is_instant = (table.time_type or "").startswith("Datetime")
    if is_instant and all(map(NO_FRACTION.search, table.times)):
        return [NO_FRACTION.sub("", label) for label in table.times]
    return list(table.times)


def typed_times(table: Table) -> Series:
    """Return the times of a table as a column of polars."""
    import polars

    name, kind = table.time_column, table.time_type
    if kind in (_TEXT, _CATEGORY):
        return _of_first(name, table.times, kind)
    if all(map(is_number, table.times)):
        # An Int8 ends soon, and steps of whole numbers may be none.
        return _of_first(name, table.times, kind, "Int64", "Float64")
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

    assert table.long is not None
    name, ids, kind = table.long.id_column, table.long.ids, table.id_type
    # With a zero before it, a number of a text file is a code.
    if kind is None and all(map(_WHOLE.fullmatch, ids)):
        kind = "Int64"
    return _of_first(name, ids, kind)


def _of_first(name: str, labels: Sequence[str], *kinds: str | None) -> Series:
    """Labels as a column of the first of some types that holds them all, else as text."""
    import polars
    from polars.exceptions import PolarsError

    texts = polars.Series(name, labels, polars.String)
    for kind in kinds:
        if kind == "Boolean":  # which polars does not read from text
            return texts == "true"
        if kind is not None and (dtype := getattr(polars, kind, None)) is not None:
            with suppress(PolarsError):
                return texts.cast(dtype)
    return texts


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
