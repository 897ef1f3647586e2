"""Averages that are the same, bit for bit, alone and in company."""

import numpy as np

from models.closed_form.closed_form import FloatArray


def mean_in_order(values: FloatArray, axis: int = 0) -> FloatArray:
    """The mean over an axis, added one value after the other.

    The order in which numpy adds values otherwise depends on the other axes.
    """
    total = np.cumsum(values, axis=axis).take([-1], axis=axis).squeeze(axis)
    mean: FloatArray = total / values.shape[axis]
    return mean
