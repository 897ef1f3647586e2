"""Which finished trials of a large study its sampler sees.

TPE looks at every trial for every parameter, so that on thousands of them a proposal would take a
second. It models the at most 25 best, and all others by their density: so the best are shown, and a
random part of the others, which has that density too.
"""

import math
from collections.abc import Sequence

import numpy as np

from search.storage import ScoredTrial

# Above so many trials a view is thinned; it then grows until it is that large again.
LARGEST_VIEW = 1000
THINNED_VIEW = 500
BEST_TRIALS = 100


def thinned(trials: Sequence[ScoredTrial], generator: np.random.Generator) -> list[int]:
    """Return the ids of the best complete and pruned trials, and of a random part of the others.

    trials: more than THINNED_VIEW. The ids are in the order in which the trials were made.
    """
    ranked = sorted(trials, key=_rank)
    best, others = ranked[:BEST_TRIALS], ranked[BEST_TRIALS:]
    part = generator.choice(len(others), THINNED_VIEW - BEST_TRIALS, replace=False)
    return sorted([*(t.trial_id for t in best), *(others[i].trial_id for i in part)])


def _rank(trial: ScoredTrial) -> tuple[bool, int, float]:
    """As TPE ranks: complete trials by their values, then pruned ones, those that got far first."""
    is_complete = trial.state == "complete"
    value = math.inf if trial.value is None else trial.value
    return not is_complete, 0 if is_complete else -max(trial.reports, default=0), value
