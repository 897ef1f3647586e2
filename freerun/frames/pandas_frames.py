"""Series and data frames of pandas."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas
from pandas.api import types
from polars.exceptions import ComputeError

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
from search.errors import SeriesError

# Makes the index of a forecast from its times.
Continue = Callable[[Sequence[str]], pandas.Index]


def read(series: Any, time: str | None) -> Rows:
    """Return the rows of a pandas series or data frame; see `read_rows`."""
    if isinstance(series.index, pandas.MultiIndex):
        raise SeriesError(
            "the index of a data frame must have one level, the time, but has "
            f"{series.index.nlevels}; make columns of them by reset_index(), and name the one that "
            "tells the series apart"
        )
    if isinstance(series, pandas.Series):
        return _read_series(series, time)
    return _read_frame(series, time)


def _read_series(series: Any, time: str | None) -> Rows:
    named = time or _name_of(series.index) or "time"
    labels, index_of = _read_index(series.index)
    name = "value" if series.name is None else str(series.name)

    def like(ahead: Ahead) -> Any:
        index = index_of(ahead.times)
        if not ahead.levels:
            return pandas.Series(ahead.values[:, 0, 0], index, name=series.name)
        return pandas.DataFrame(dict(_renamed(ahead, name)), index)

    own = name if name != named else f"{name} value"
    return Rows({named: labels, own: _column(series)}, named, named=False, like=like)


def _renamed(ahead: Ahead, name: str) -> list[tuple[str, Any]]:
    """The columns of one channel, under the name that the series has."""
    (own,) = ahead.columns
    return [(f"{name}{of.removeprefix(own)}", values) for of, values in ahead.by_name()]


def _read_frame(frame: Any, time: str | None) -> Rows:
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise SeriesError(f"a data frame must name each column once, but has {', '.join(names)}")
    by_name = {name: frame.iloc[:, place] for place, name in enumerate(names)}
    labelled = dict(zip(names, frame.columns, strict=True))
    time_column = _time_column(by_name, frame.index, time)
    if time_column is not None:
        found = pandas.Index(by_name[time_column])
    elif _is_row_numbers(frame.index) and time is None:
        return Rows(
            {name: _column(column) for name, column in by_name.items()},
            None,
            named=True,
            like=lambda ahead: _frame_like(ahead, labelled, {}),
        )
    else:
        found = frame.index
    labels, index_of = _read_index(found)
    named = time_column or time or _name_of(frame.index) or "time"

    def like(ahead: Ahead) -> Any:
        times = index_of(ahead.times)
        if time_column is None:
            return _frame_like(ahead, labelled, {}).set_index(times)
        return _frame_like(ahead, labelled, {labelled[time_column]: times})

    values = {name: _column(by_name[name]) for name in names if name != time_column}
    if named in values:
        raise SeriesError(
            f"the time must have a name of its own, but a column is {named!r}, too; rename the "
            "index, or name the time column"
        )
    return Rows({named: labels, **values}, named, named=True, like=like)


def _frame_like(ahead: Ahead, labelled: dict[str, Any], times: dict[Any, Any]) -> Any:
    columns = {labelled.get(name, name): values for name, values in ahead.by_name()}
    ids: dict[Any, Any] = {}
    if ahead.id_column is not None:
        ids = {labelled.get(ahead.id_column, ahead.id_column): ahead.ids}
    return pandas.DataFrame({**ids, **times, **columns})


def _time_column(by_name: dict[str, Any], index: Any, time: str | None) -> str | None:
    """The column that holds the time, None where it is the index or not known."""
    if time in by_name:
        return time
    if not _is_row_numbers(index):
        return None
    dates = [name for name, column in by_name.items() if _is_date(column.dtype)]
    return dates[0] if len(dates) == 1 else None


def _is_row_numbers(index: Any) -> bool:
    is_counter = isinstance(index, pandas.RangeIndex) and index.name is None
    return is_counter and index.start == 0 and index.step == 1


def _is_date(dtype: Any) -> bool:
    return types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pandas.PeriodDtype)


def _name_of(index: Any) -> str | None:
    return None if index.name is None else str(index.name)


def _column(column: Any) -> Column:
    """Numbers as they are, all else as text."""
    if types.is_bool_dtype(column.dtype) or types.is_numeric_dtype(column.dtype):
        numbers: Column = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    if _is_date(column.dtype):
        return _read_index(pandas.Index(column))[0]
    return [None if pandas.isna(value) else str(value) for value in column]


def _read_index(index: Any) -> tuple[Column, Continue]:
    """The labels of an index, and what makes an index of the same kind from later ones."""
    if isinstance(index, pandas.PeriodIndex):
        labels = labels_of_times(index.to_timestamp().to_numpy())
        return labels, lambda later: pandas.PeriodIndex(
            pandas.DatetimeIndex(times_of_labels(later)), freq=index.freq, name=index.name
        )
    if isinstance(index, pandas.DatetimeIndex):
        return _read_dates(index)
    if types.is_numeric_dtype(index.dtype):
        return labels_of_numbers(index.to_numpy()), lambda later: _numbers(later, index)
    return [str(label) for label in index], lambda later: pandas.Index(later, name=index.name)


def _read_dates(index: Any) -> tuple[Column, Continue]:
    def later(labels: Sequence[str]) -> Any:
        times = times_of_labels(labels) if index.tz is None else utc_of_labels(labels)
        made = pandas.DatetimeIndex(times, name=index.name).as_unit(index.unit)
        if index.tz is not None:
            made = made.tz_localize("UTC").tz_convert(index.tz)
        try:
            return pandas.DatetimeIndex(made, freq=index.freq)
        except ValueError:  # a frequency that the rows do not keep
            return made

    return labels_of_times(index.to_numpy()) if index.tz is None else _zoned(index), later


def _zoned(index: Any) -> Column:
    """Times on the clock of their zone: its days and months are the steps, not those of UTC."""
    # The name of zoneinfo's zones, and of those of pytz; of datetime.UTC the text.
    name = getattr(index.tz, "key", None) or getattr(index.tz, "zone", None) or str(index.tz)
    try:
        return zoned_times(index.tz_convert("UTC").tz_localize(None).to_numpy(), name)
    except ComputeError:  # a fixed offset, or a zone of this machine alone
        missing = pandas.isna(index)
        return [
            "" if gone else time.isoformat(timespec="microseconds")
            for time, gone in zip(index, missing, strict=True)
        ]


def _numbers(labels: Sequence[str], index: Any) -> Any:
    numbers = numbers_of_labels(labels)
    if isinstance(index, pandas.RangeIndex):
        first = int(numbers[0])
        stop = first + index.step * len(numbers)
        return pandas.RangeIndex(first, stop, index.step, name=index.name)
    return pandas.Index(numbers, name=index.name)
