"""Means over what is known: values that nobody observed are NaN, and count in none of them."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def known_mean(values: FloatArray, axis: int | tuple[int, ...] | None = None) -> FloatArray:
    """The mean over some axes of what is not NaN; NaN where nothing is known.

    Of values that are all known it is NumPy's mean, bit for bit.
    """
    is_known = ~np.isnan(values)
    if is_known.all():
        return np.asarray(values.mean(axis=axis))
    counts = is_known.sum(axis=axis)
    sums = np.where(is_known, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))


def known_median(values: FloatArray) -> FloatArray:
    """The median over the first axis of what is not NaN; NaN where nothing is known."""
    is_known = ~np.isnan(values)
    if is_known.all():
        return np.asarray(np.median(values, axis=0))
    found = np.full(values.shape[1:], np.nan)
    some = is_known.any(axis=0)
    found[some] = np.nanmedian(values[:, some], axis=0)
    return found
