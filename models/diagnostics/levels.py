"""Whether a series ends at a level that it did not have before."""

import numpy as np

from models.diagnostics.scores import FloatArray

# A level is the mean over this share of the record, or over a horizon or a season, if longer; what
# is said of a record has to rest on so many levels in a row at least.
LEVELS, LEAST_LEVELS = 16, 8
# The last level is a new one that is further outside all earlier ones than so many of their
# standard deviations. A stationary record seldom ends there, one that has shifted does.
NEW_LEVEL_SIGMAS = 1.0


def has_new_level(values: FloatArray, least_steps: int) -> bool:
    """Whether some channel of `[time, channel]` ends at a level that it did not have before.

    least_steps: of what a level is the mean of. False where the record is too short to tell.
    """
    steps = max(len(values) // LEVELS, least_steps, 1)
    if len(values) < LEAST_LEVELS * steps:
        return False
    sums = np.cumsum(np.concatenate([np.zeros_like(values[:1]), values - values.mean(axis=0)]), 0)
    means = (sums[steps:] - sums[:-steps]) / steps
    # A shift may take as long as a level does.
    last, earlier = means[-1], means[: -2 * steps]
    outside = np.maximum(last - earlier.max(axis=0), earlier.min(axis=0) - last)
    return bool(np.any(outside > NEW_LEVEL_SIGMAS * earlier.std(axis=0)))
