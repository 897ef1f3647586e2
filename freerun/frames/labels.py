"""Times as a table holds them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars

Times = NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_SECOND = np.timedelta64(1, "s")


def labels_of_times(times: Times) -> list[str]:
    """Return instants `[time]` in ISO 8601, all as short as the finest of them; "" for no time."""
    known = times[~np.isnat(times)]
    clock = known - known.astype("datetime64[D]")
    if not clock.astype(np.int64).any():
        unit = "D"
    else:
        unit = "s" if not (clock % _SECOND).astype(np.int64).any() else "us"
    texts = np.datetime_as_string(times.astype(f"datetime64[{unit}]"))
    return [
        "" if missing else text
        for text, missing in zip(texts.tolist(), np.isnat(times).tolist(), strict=True)
    ]


def times_of_labels(labels: Sequence[str]) -> Times:
    """Return the instants `[time]` of such labels, in microseconds."""
    return np.array(labels, dtype="datetime64[us]")


def zoned_times(utc: Times, zone: str) -> polars.Series:
    """Return instants of UTC `[time]` on the clock of a time zone, whose name a table keeps.

    Raises polars.exceptions.ComputeError for a zone that polars does not know.
    """
    import polars

    naive = polars.Series(utc.astype("datetime64[us]"))
    return naive.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


def utc_of_labels(labels: Sequence[str]) -> Times:
    """Return the instants of UTC `[time]` of labels with an offset, in microseconds."""
    instants = [datetime.fromisoformat(label).astimezone(UTC) for label in labels]
    return np.array([own.replace(tzinfo=None) for own in instants], dtype="datetime64[us]")


def labels_of_numbers(numbers: NDArray[Any]) -> list[str]:
    """Return numbers `[time]` as text that reads as the same numbers."""
    if np.issubdtype(numbers.dtype, np.integer):
        return [str(number) for number in numbers.tolist()]
    return [repr(float(number)) for number in numbers.tolist()]


def numbers_of_labels(labels: Sequence[str]) -> NDArray[Any]:
    """Return the numbers `[time]` of such labels, whole ones as integers."""
    try:
        return np.array([int(label) for label in labels], dtype=np.int64)
    except ValueError:
        return np.array([float(label) for label in labels])
