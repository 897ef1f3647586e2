"""How much of a free run is shown: how far back, and up to which values.

Apart from the figures, so that a worker, which makes pictures without plotly, need not import it.
"""

import numpy as np

from search.evaluation import Example

# How far beyond the range of the true values a free run is followed, in units of that range.
_MARGIN = 0.75
# Observed values that are shown before a free run, in horizons; at least so many steps.
_SHOWN_HORIZONS, _SHOWN_STEPS = 2, 60


def shown_context(example: Example) -> int:
    """How many of the observed values to show, so that the free run is not dwarfed."""
    wanted = max(_SHOWN_HORIZONS * len(example.truth), _SHOWN_STEPS)
    return min(len(example.observed), wanted)


def value_range(example: Example) -> tuple[float, float]:
    """The range of true values, and of the free run as far as it is near them."""
    hidden = len(example.observed) - shown_context(example)
    true = np.concatenate([example.observed[hidden:], example.truth])
    low, high = float(true.min()), float(true.max())
    span = (high - low) or 1.0
    reach = np.clip(example.forecast, low - _MARGIN * span, high + _MARGIN * span)
    low, high = min(low, float(reach.min())), max(high, float(reach.max()))
    return low - 0.05 * span, high + 0.05 * span
