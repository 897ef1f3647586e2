"""From where, and how far, a form forecasts within its training span when it is fitted."""

import numpy as np
from numpy.typing import NDArray

IndexArray = NDArray[np.intp]

# Over so many seasons, or so many steps, if longer.
REACHED_SEASONS = 2
LEAST_REACH = 16
# From so many starts in each stretch, at so many horizons, at most, both spread evenly.
MOST_STARTS = 1000
MOST_HORIZONS = 96


def horizons(season_steps: int) -> IndexArray:
    """The steps ahead at which errors count, from the first to two seasons."""
    return 1 + evenly(max(REACHED_SEASONS * season_steps, LEAST_REACH), MOST_HORIZONS)


def start_places(steps: int, known: int) -> IndexArray:
    """Where forecasts start in a stretch of so many steps, with so many known before each."""
    return known + evenly(max(steps - known, 0), MOST_STARTS)


def evenly(count: int, most: int) -> IndexArray:
    """At most so many of the numbers below `count`, spread evenly from the first to the last."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).round().astype(np.intp)
