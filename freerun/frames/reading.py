"""What kind of series was given, and its rows."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freerun.frames.ahead import Ahead
from freerun.frames.labels import labels_of_numbers
from freerun.frames.rows import Rows
from search.errors import SeriesError

_KINDS = "a NumPy array, a pandas or polars series or data frame, or a list of numbers"


def read_rows(series: Any, time: str | None = None) -> Rows:
    """Return the rows of a series.

    series: an array or list `[time]` or `[time, channel]`, or a series or data frame of pandas or
    polars. time: the name of its time column; a frame may lack it, then an index that is not just
    row numbers is the time, or else its only column of dates.

    Raises SeriesError for anything else.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(series, pandas.Series | pandas.DataFrame):
        from freerun.frames import pandas_frames

        return pandas_frames.read(series, time)
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(series, polars.Series | polars.DataFrame):
        from freerun.frames import polars_frames

        return polars_frames.read(series, time)
    return _read_array(series, time or "row")


def row_numbers(rows: int) -> list[str]:
    """The times of a series that has none."""
    return labels_of_numbers(np.arange(rows))


def _read_array(series: Any, time: str) -> Rows:
    if isinstance(series, str | bytes | dict | set) or not hasattr(series, "__len__"):
        raise SeriesError(f"a series must be {_KINDS}, but got {type(series).__name__}")
    try:
        values = np.asarray(series, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SeriesError(f"a series must be {_KINDS}, but this holds others ({error})") from error
    if values.ndim not in (1, 2) or values.size == 0:
        raise SeriesError(
            f"an array must have the axes [time] or [time, channel], but its shape is "
            f"{values.shape}; give at least two rows"
        )
    channels: NDArray[np.float64] = values.reshape(len(values), -1)
    names = ["value"] if channels.shape[1] == 1 else [f"value_{n}" for n in range(values.shape[1])]
    columns = dict(zip(names, channels.T, strict=True))

    def like(ahead: Ahead) -> NDArray[np.float64]:
        made = ahead.values if ahead.levels else ahead.values[:, :, 0]
        return made[:, 0] if values.ndim == 1 else made

    return Rows({time: row_numbers(len(values)), **columns}, time, named=False, like=like)
