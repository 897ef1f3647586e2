"""Members of an ensemble that run away by themselves, and what stands in their place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# A member runs away that goes so many times as far from its context's mean as the context does and
# as the other members do.
RUNAWAY_RATIO = 5.0
LEAST_MEMBERS = 3


def without_runaways(runs: Sequence[FloatArray], contexts: FloatArray) -> list[FloatArray]:
    """Free runs of the members, where one runs away from all others the median of the others.

    runs: `[..., time, channel]` each, of equal shapes. contexts: the true values before them,
    `[..., context time, channel]`. Each run of a channel is looked at by itself. No truth of what
    is forecast is needed, so that a forecast and a score do the same. A fit that was stable on the
    rows of validation may be unstable once it has seen all rows, and a weighted mean would go with
    it. Of two members it can't be told which one is right, so that both stay.
    """
    if len(runs) < LEAST_MEMBERS:
        return list(runs)
    greatest = np.finfo(np.float64).max / 4
    centre = contexts.mean(axis=-2, keepdims=True)
    seen = np.abs(contexts - centre).max(axis=-2, keepdims=True)
    with np.errstate(over="ignore"):
        away = np.nan_to_num(
            np.stack(runs) - centre, nan=greatest, posinf=greatest, neginf=-greatest
        )
    furthest = np.abs(away).max(axis=-2, keepdims=True)
    kept = []
    for member, run in enumerate(runs):
        others = np.median(np.delete(away, member, axis=0), axis=0)
        limit = np.maximum(seen, np.abs(others).max(axis=-2, keepdims=True))
        # Divided, since five times the greatest number would be infinite.
        is_runaway = furthest[member] / RUNAWAY_RATIO > limit
        kept.append(np.where(is_runaway, centre + others, run) if is_runaway.any() else run)
    return kept
