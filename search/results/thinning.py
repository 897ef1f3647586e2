"""Fewer points that look the same: what is drawn is bounded, whatever was computed."""

from itertools import pairwise

import numpy as np

from search.series import FloatArray

MOST_POINTS = 1500


def visible(values: FloatArray, at_most: int = MOST_POINTS) -> list[int]:
    """Return the indices to draw of a line `[time]`: first, last, and each bucket's extremes."""
    if len(values) <= at_most:
        return list(range(len(values)))
    edges = np.linspace(0, len(values), at_most // 2, dtype=int)
    kept = {0, len(values) - 1}
    for start, end in pairwise(edges):
        bucket = values[start:end]
        kept |= {int(start + bucket.argmin()), int(start + bucket.argmax())}
    return sorted(kept)


def logarithmic_means(values: FloatArray, per_decade: int = 40) -> tuple[FloatArray, FloatArray]:
    """Return (step, mean) of `values[0]` at step 1 and so on, over steps that a logarithmic axis
    can't tell apart: at most `per_decade` points each decade, whole steps where there are fewer.
    """
    steps = np.arange(1, len(values) + 1)
    bins = np.floor(np.log10(steps) * per_decade + 1e-9).astype(int)
    _, first, count = np.unique(bins, return_index=True, return_counts=True)
    means = np.add.reduceat(values, first) / count
    # The geometric middle is where the bin lies on the axis.
    return np.sqrt(steps[first] * steps[first + count - 1]), means
