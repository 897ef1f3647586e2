"""Times as the text that a table holds, and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_SECOND = np.timedelta64(1, "s")
_UTC = "Z"


def labels_of_times(times: Times, *, is_utc: bool) -> list[str]:
    """Return instants `[time]` in ISO 8601, all as short as the finest of them; "" for no time.

    is_utc: they are in UTC, and are written so; else without a time zone.
    """
    known = times[~np.isnat(times)]
    clock = known - known.astype("datetime64[D]")
    if not is_utc and not clock.astype(np.int64).any():
        unit = "D"
    else:
        unit = "s" if not (clock % _SECOND).astype(np.int64).any() else "us"
    zone = _UTC if is_utc else ""
    texts = np.datetime_as_string(times.astype(f"datetime64[{unit}]"))
    return [
        "" if missing else f"{text}{zone}"
        for text, missing in zip(texts.tolist(), np.isnat(times).tolist(), strict=True)
    ]


def times_of_labels(labels: Sequence[str]) -> Times:
    """Return the instants `[time]` of such labels, in microseconds."""
    return np.array([label.removesuffix(_UTC) for label in labels], dtype="datetime64[us]")


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
