"""Weights of an ensemble by stacking: the least squared error of all weighted means."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Added to the diagonal, as a share of it: of members that err nearly alike, all get nearly as much,
# and weights depend less on the noise of the few rows that they are fitted to.
RIDGE = 0.05
# How much of the weights that follow each member's own error alone goes into the shrunk ones.
SHRINKAGE = 0.5
# A gradient above is positive, for a problem whose products are about 1.
_TOLERANCE = 1e-10


def simplex_weights(products: FloatArray, ridge: float = RIDGE) -> FloatArray:
    """Weights `[member]`, at least 0 and with the sum 1, of the least squared error.

    products: `[member, member]`, the sums of the products of the members' errors. As weights sum to
    1, the error of a weighted mean is the weighted mean of the errors, so that w' P w is to be
    minimised. Without the sum, v' P v - 2 sum(v) has the same minimum up to a factor: it is found
    by the active set method of Lawson & Hanson (1974, chapter 23), and is exact, since the problem
    is convex. ridge: what is added to the diagonal of P, as a share of it.

    Source: Breiman (1996), "Stacked regressions", whose weights are not negative; van der Laan,
    Polley & Hubbard (2007), "Super learner", whose weights also sum to 1.

    Raises ValueError for products that are not square or not finite.
    """
    members = len(products)
    if products.shape != (members, members) or members == 0:
        raise ValueError(f"products must be square, but have the shape {list(products.shape)}")
    if not np.isfinite(products).all():
        raise ValueError("products of errors must be finite, but hold NaN or infinity")
    scale = float(np.trace(products)) / members
    if scale == 0.0:  # no member errs
        return np.full(members, 1.0 / members)
    own = products / scale
    own[np.diag_indices(members)] = (1.0 + ridge) * np.diag(own) + RIDGE * _TOLERANCE
    weights = np.zeros(members)
    is_free = np.zeros(members, dtype=bool)
    while True:
        gradient = np.where(is_free, -np.inf, 1.0 - own @ weights)
        entering = int(np.argmax(gradient))
        if gradient[entering] <= _TOLERANCE:
            return np.asarray(weights / weights.sum())
        is_free[entering] = True
        while True:
            solution = np.zeros(members)
            rows = np.flatnonzero(is_free)
            solution[rows] = np.linalg.solve(own[np.ix_(rows, rows)], np.ones(len(rows)))
            leaving = rows[solution[rows] <= 0.0]
            if not len(leaving):
                break
            steps = weights[leaving] / (weights[leaving] - solution[leaving])
            weights += steps.min() * (solution - weights)
            is_free[leaving[steps <= steps.min()]] = False
            weights[~is_free] = 0.0
        weights = solution


def shrunk(weights: FloatArray, products: FloatArray) -> FloatArray:
    """Weights half-way to those that are as the inverse squares of the members' squared errors.

    products: as for `simplex_weights`. Weights that know nothing of how errors go together are hard
    to beat where there are few errors to fit others to (Bates & Granger 1969, "The combination of
    forecasts"; Smith & Wallis 2009). The square, a choice by measurement, leaves members that are
    worse with less: see docs/decisions/0105.
    """
    errors = np.diag(products)
    if not errors.min() > 0.0:
        return weights
    inverse = (errors.min() / errors) ** 2
    return np.asarray((1.0 - SHRINKAGE) * weights + SHRINKAGE * inverse / inverse.sum())
