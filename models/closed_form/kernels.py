"""Kernels between points: a stationary one plus a multiple of the linear one, optionally odd.

Rasmussen & Williams (2006), "Gaussian processes for machine learning", section 4.2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


# Each may overwrite its argument: temporary arrays of a whole Gram matrix cost as much as sums.
def _matern_3_2(squares: FloatArray) -> FloatArray:
    squares *= 3.0
    distance = np.sqrt(squares, out=squares)
    decay: FloatArray = np.exp(-distance)
    distance += 1.0
    decay *= distance
    return decay


def _matern_5_2(squares: FloatArray) -> FloatArray:
    squares *= 5.0
    distance = np.sqrt(squares)
    decay: FloatArray = np.exp(-distance)
    distance += 1.0
    squares /= 3.0
    distance += squares
    decay *= distance
    return decay


def _gaussian(squares: FloatArray) -> FloatArray:
    squares *= -0.5
    values: FloatArray = np.exp(squares, out=squares)
    return values


def _rational_quadratic(squares: FloatArray) -> FloatArray:
    # With a shape of 1, which has the heaviest tails of the common ones.
    squares *= 0.5
    squares += 1.0
    values: FloatArray = np.reciprocal(squares, out=squares)
    return values


# Functions of the squared distance in units of the squared length, 1 at a distance of 0: eqs. 4.17,
# 4.9 and 4.19.
STATIONARY: dict[str, Callable[[FloatArray], FloatArray]] = {
    "matern-3/2": _matern_3_2,
    "matern-5/2": _matern_5_2,
    "gaussian": _gaussian,
    "rational-quadratic": _rational_quadratic,
}


@dataclass(frozen=True)
class Kernel:
    """k(x, y) = r(|x - y| / length) + linear_weight (constant + x'y), r a stationary function.

    is_odd: k(x, y) - k(x, -y) instead, with which every forecast is an odd function of x.
    """

    stationary: str
    length: float
    linear_weight: float
    constant: float
    is_odd: bool

    def of(self, products: FloatArray, squares: FloatArray, others: FloatArray) -> FloatArray:
        """The kernel `[row, point]` of rows and points.

        products: x'y `[row, point]`. squares: |x|^2 `[row]`. others: |y|^2 `[point]`.
        """
        both = squares[:, np.newaxis] + others
        values = self._stationary(both - 2.0 * products)
        if self.is_odd:
            both += 2.0 * products
            values -= self._stationary(both)
            values += 2.0 * self.linear_weight * products
            return values
        values += self.linear_weight * self.constant
        values += self.linear_weight * products
        return values

    def _stationary(self, squared_distances: FloatArray) -> FloatArray:
        # Rounding leaves a little below zero where two points are the same.
        squares = np.maximum(squared_distances, 0.0, out=squared_distances)
        squares /= self.length**2
        return STATIONARY[self.stationary](squares)
