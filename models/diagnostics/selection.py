"""By how much errors are flattered by having chosen the best of several forecasters on them."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Errors are chosen by on one half of the units and looked at on the other, and the reverse.
HALVES = 2
# No choice among a handful flatters by more; beyond, one forecaster diverges in one half.
MOST_WIDENING = 1.5
_LEAST_ERROR = 1e-12


def selection_widening(errors: FloatArray, chosen: int) -> float:
    """By what factor the size of errors of the chosen one is to be widened, from 1 on.

    errors: squared, `[forecaster, unit]`, units in the order of time. chosen: the row of the one
    that was chosen on all units.

    Tibshirani & Tibshirani (2009), "A bias correction for the minimum error rate in
    cross-validation", eq. 4, as a ratio: what is the best on one half has an error on the other
    half that was not chosen by; that over the error there of the chosen one, the geometric mean
    over both halves, its root since errors are squared. 1 where there are no two units.
    """
    units = np.arange(errors.shape[1])
    if len(units) < HALVES:
        return 1.0
    ratios = []
    for half in np.array_split(units, HALVES):
        others = np.setdiff1d(units, half)
        best = int(errors[:, others].mean(axis=1).argmin())
        of_best, of_chosen = (max(errors[i, half].mean(), _LEAST_ERROR) for i in (best, chosen))
        ratios.append(np.log(of_best / of_chosen))
    return float(np.clip(np.exp(np.mean(ratios) / 2.0), 1.0, MOST_WIDENING))
