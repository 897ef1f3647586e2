"""Weights of an ensemble by stacking: the least squared error of all weighted means."""

from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# All subsets of members are tried, two to the power of their number.
MOST_MEMBERS = 12
# Added to the diagonal, as a share of its mean: of members with equal errors, all get as much.
RIDGE = 1e-9


def simplex_weights(products: FloatArray) -> FloatArray:
    """Weights `[member]`, at least 0 and with the sum 1, of the least squared error.

    products: `[member, member]`, the sums of the products of the members' errors. As weights sum to
    1, the error of a weighted mean is the weighted mean of the errors, so that w' P w is to be
    minimised. The minimum lies where some members have no weight and the others are free: of each
    subset the free minimum is P^-1 1 / (1' P^-1 1), and of those without a negative weight the best
    one is taken, which is exact (the problem is convex).

    Source: Breiman (1996), "Stacked regressions", whose weights are not negative; van der Laan,
    Polley & Hubbard (2007), "Super learner", whose weights also sum to 1.

    Raises ValueError for products that are not square or not finite, or for more than
    `MOST_MEMBERS`.
    """
    members = len(products)
    if products.shape != (members, members) or not 1 <= members <= MOST_MEMBERS:
        raise ValueError(
            f"products must be square, of 1 to {MOST_MEMBERS} members, but have the shape "
            f"{list(products.shape)}"
        )
    if not np.isfinite(products).all():
        raise ValueError("products of errors must be finite, but hold NaN or infinity")
    scale = float(np.trace(products)) / members
    if scale == 0.0:  # no member errs
        return np.full(members, 1.0 / members)
    ridged = products / scale + RIDGE * np.eye(members)
    best, least = np.zeros(members), np.inf
    subsets = (combinations(range(members), size) for size in range(1, members + 1))
    for subset in chain.from_iterable(subsets):
        rows = list(subset)
        free = np.linalg.solve(ridged[np.ix_(rows, rows)], np.ones(len(rows)))
        if free.min() < 0.0:
            continue
        weights = np.zeros(members)
        weights[rows] = free / free.sum()
        error = float(weights @ ridged @ weights)
        if error < least:
            best, least = weights, error
    return best
