"""Values that lie far off their neighbours, such as errors of typing."""

import numpy as np

from models.diagnostics.scores import FloatArray

# A value is far off where it differs from the median of its neighbours by so many standard
# deviations of such differences, estimated by their median: Hampel's identifier (Davies & Gather
# 1993, "The identification of multiple outliers"). In a series of spikes many do: that is its
# shape.
NEIGHBOURS, FAR, MOST_SHARE = 5, 12.0, 0.01
_MAD_OF_NORMAL = 1.4826


def outliers(values: FloatArray) -> list[int]:
    """Return the rows of a series `[time]` that lie far off their neighbours, the furthest first.

    None where there are so many that they are the shape of the series.
    """
    if len(values) < 4 * NEIGHBOURS:
        return []
    beside = _beside(values)
    distance = np.abs(values - np.median(beside, axis=1))
    # Most of them may be zero, where values stay as they are for a while.
    moved = distance[distance > 0]
    if not len(moved):
        return []
    # The first and last values have neighbours on one side: what rises is beyond their median.
    beyond = np.maximum(values - beside.max(axis=1), beside.min(axis=1) - values)
    ends = [*range(NEIGHBOURS), *range(-NEIGHBOURS, 0)]
    distance[ends] = np.minimum(distance, np.maximum(beyond, 0.0))[ends]
    far = np.flatnonzero(distance > FAR * _MAD_OF_NORMAL * np.median(moved))
    if len(far) > max(1, MOST_SHARE * len(values)):
        return []
    return [int(row) for row in far[np.argsort(-distance[far], kind="stable")]]


def without_outliers(values: FloatArray) -> FloatArray:
    """Return a series `[time, channel]` with the median of the neighbours in place of outliers.

    The array itself where there are none.
    """
    far = [outliers(channel) for channel in values.T]
    if not any(far):
        return values
    calm = values.copy()
    for channel, rows in enumerate(far):
        if rows:
            calm[rows, channel] = np.median(_beside(values[:, channel])[rows], axis=1)
    return calm


def _beside(values: FloatArray) -> FloatArray:
    """The neighbours of each value, `[time, neighbour]`; at the ends those of one side twice."""
    padded = np.pad(values, NEIGHBOURS, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1)
    return np.delete(windows, NEIGHBOURS, axis=1)
