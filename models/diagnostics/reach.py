"""How far a forecast may go from the training span before it counts as one that diverges.

Both bounds grow with the truth: of a series that grows, no forecast diverges that grows with it.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
PerChannel = FloatArray | float  # [channel], or one number for all channels

# A forecast diverges that goes this far from the training mean, in training standard deviations,
# and this many times as far as the truth.
DIVERGED_STD, DIVERGED_RATIO = 10.0, 2.0
# Errors count as they are up to this many times the truth's distance from the training mean, which
# is taken to be a training standard deviation at least.
EXACT_RATIO = 100.0


def diverges(forecast: FloatArray, truth: FloatArray) -> bool:
    """Whether a free run `[time, channel]` runs away, or is no number somewhere.

    Both are in training standard deviations from the training mean.
    """
    furthest = max(DIVERGED_STD, DIVERGED_RATIO * float(np.abs(truth).max()))
    return not bool(np.all(np.abs(forecast) < furthest))


def held(forecast: FloatArray, truth: FloatArray, mean: PerChannel, std: PerChannel) -> FloatArray:
    """Forecasts with a finite squared error, in the same order of their distances from the mean.

    forecast, truth: `[..., channel]`, in the units of the series. mean, std: of the training span.
    A distance d from the mean stays as it is up to a limit, see EXACT_RATIO; beyond it becomes
    limit * (1 + log(d / limit)), so that of two runs that diverge the slower one has the smaller
    error. What is no number counts as the largest one, above the mean. Truth that nobody knows is
    NaN.
    """
    axes = tuple(range(truth.ndim - 1))
    # fmax passes over NaN.
    limit = EXACT_RATIO * np.fmax(std, np.fmax.reduce(np.abs(truth - mean), axis=axes))
    greatest = np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        signed = np.nan_to_num(forecast - mean, nan=greatest)
    distance = np.abs(signed)
    if np.all(distance <= limit):
        return forecast
    drawn_in = limit * (1.0 + np.log(np.maximum(distance, limit)) - np.log(limit))
    return np.where(distance <= limit, forecast, mean + np.sign(signed) * drawn_in)
