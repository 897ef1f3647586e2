"""Series and data frames of polars."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars

from freerun.frames.ahead import Ahead
from freerun.frames.labels import (
    labels_of_numbers,
    labels_of_times,
    numbers_of_labels,
    times_of_labels,
    utc_of_labels,
    zoned_times,
)
from freerun.frames.rows import Column, Rows

# Makes the time column of a forecast from its times.
Continue = Callable[[Sequence[str]], polars.Series]


def read(series: polars.Series | polars.DataFrame, time: str | None) -> Rows:
    """Return the rows of a polars series or data frame; see `read_rows`."""
    if isinstance(series, polars.Series):
        return _read_series(series, time or "row")
    return _read_frame(series, time)


def _read_series(series: polars.Series, time: str) -> Rows:
    def like(ahead: Ahead) -> polars.Series | polars.DataFrame:
        (own,) = ahead.columns
        made = [
            polars.Series(f"{series.name}{name.removeprefix(own)}", values)
            for name, values in ahead.by_name()
        ]
        return polars.DataFrame(made) if ahead.levels else made[0]

    labels = labels_of_numbers(np.arange(len(series)))
    return Rows({time: labels, "value": _column(series)}, time, named=False, like=like)


def _read_frame(frame: polars.DataFrame, time: str | None) -> Rows:
    dates = [name for name, dtype in frame.schema.items() if dtype.is_temporal()]
    found = time if time in frame.columns else dates[0] if len(dates) == 1 else None
    values = {name: _column(frame[name]) for name in frame.columns if name != found}
    if found is None:
        rows = {} if time is None else {time: labels_of_numbers(np.arange(frame.height))}
        return Rows({**rows, **values}, time, named=True, like=lambda ahead: _frame_like(ahead, []))
    labels, continued = _read_times(frame[found])
    return Rows(
        {found: labels, **values},
        found,
        named=True,
        like=lambda ahead: _frame_like(ahead, [continued(ahead.times)]),
    )


def _frame_like(ahead: Ahead, times: list[polars.Series]) -> polars.DataFrame:
    ids = [] if ahead.ids is None else [polars.Series(ahead.id_column, ahead.ids)]
    values = [polars.Series(name, values) for name, values in ahead.by_name()]
    return polars.DataFrame([*ids, *times, *values])


def _column(column: polars.Series) -> Column:
    """Numbers as they are, all else as text."""
    dtype = column.dtype
    if dtype.is_numeric() or dtype == polars.Boolean:
        return column.cast(polars.Float64).to_numpy()
    if dtype.is_temporal():
        return _read_times(column)[0]
    texts: list[str | None] = column.cast(polars.String).to_list()
    return texts


def _read_times(column: polars.Series) -> tuple[Column, Continue]:
    """The labels of a time column, and what makes a column of the same kind from later ones."""
    name, dtype = column.name, column.dtype
    if dtype == polars.Date or isinstance(dtype, polars.Datetime):
        zone: Any = getattr(dtype, "time_zone", None)
        if zone is not None:
            # As it is: the days and months of its clock are the steps, not those of UTC.
            return (
                column,
                lambda later: zoned_times(utc_of_labels(later), zone).alias(name).cast(dtype),
            )
        times = column.cast(polars.Datetime("us")).to_numpy()
        return labels_of_times(times), lambda later: polars.Series(
            name, times_of_labels(later)
        ).cast(dtype)
    if dtype.is_numeric():
        labels = labels_of_numbers(column.to_numpy())
        return labels, lambda later: polars.Series(name, numbers_of_labels(later))
    texts = [text or "" for text in column.cast(polars.String).to_list()]
    return texts, lambda later: polars.Series(name, list(later))
