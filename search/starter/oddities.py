"""What a user may want to know of values before anything is trained on them."""

from collections.abc import Iterator

import numpy as np

from models.methods import counted
from search.series import FloatArray, Table

# A value is far off where it differs from the median of its neighbours by so many standard
# deviations of such differences, estimated by their median: Hampel's identifier (Davies & Gather
# 1993, "The identification of multiple outliers"). In a series of spikes many do: that is its
# shape.
NEIGHBOURS, FAR, MOST_SHARE = 5, 12.0, 0.01
_MAD_OF_NORMAL = 1.4826
# A column is nearly constant where one value is in so many of its rows.
NEARLY_SHARE = 0.95


def outliers(values: FloatArray) -> list[int]:
    """Return the rows of a series `[time]` that lie far off their neighbours, the furthest first.

    None where there are so many that they are the shape of the series.
    """
    if len(values) < 4 * NEIGHBOURS:
        return []
    padded = np.pad(values, NEIGHBOURS, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1)
    beside = np.delete(windows, NEIGHBOURS, axis=1)
    distance = np.abs(values - np.median(beside, axis=1))
    # Most of them may be zero, where values stay as they are for a while.
    moved = distance[distance > 0]
    if not len(moved):
        return []
    far = np.flatnonzero(distance > FAR * _MAD_OF_NORMAL * np.median(moved))
    if len(far) > max(1, MOST_SHARE * len(values)):
        return []
    return [int(row) for row in far[np.argsort(-distance[far], kind="stable")]]


def oddity_lines(table: Table) -> Iterator[str]:
    """Columns that are nearly constant and values that lie far off, in plain words."""
    for name, values in zip(table.columns, table.values.T, strict=True):
        kinds, counts = np.unique(values, return_counts=True)
        most = int(counts.argmax())
        share = counts[most] / table.rows
        if share >= NEARLY_SHARE:
            others = table.rows - int(counts[most])
            yield (
                f"'{name}' is {kinds[most]:.6g} in all but {others:,} of its "
                f"{counted(table.rows, 'row')}: nearly constant"
            )
            continue
        rows = outliers(values)
        if rows:
            worst = rows[0]
            yield (
                f"'{name}' has {counted(len(rows), 'value')} far off the neighbours, the furthest "
                f"{values[worst]:.6g} at {table.times[worst]}; correct it if it is an error"
            )
