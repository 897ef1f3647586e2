"""The next-generation reservoir: nonlinear vector autoregression on polynomial features."""

from functools import cached_property
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from models.closed_form.ar import AR
from models.closed_form.closed_form import FloatArray


class NVAR(AR):
    """x_(t+1) = w' (1, v, all monomials of v up to a degree), v the values at some delays.

    Gauthier et al. (2021), "Next generation reservoir computing", eqs. 5 to 10: `units` delays,
    `delay_stride` steps apart, the latest value first among them; their increments x_(t+1) - x_t
    are the residual output. Without `Strategy.offset` there is no constant feature.
    """

    @property
    def features(self) -> int:
        # As many as there are monomials of so many variables up to a degree.
        variables, degree = self.architecture.units * self.channels, self.architecture.degree
        return comb(variables + degree, degree)

    @property
    def latest(self) -> slice:
        variables = self.architecture.units * self.channels
        return slice(1 + variables - self.channels, 1 + variables)

    def expand(self, values: FloatArray, constant: float) -> FloatArray:
        rows, stride = len(values), self.architecture.delay_stride
        delays = values.reshape(rows, self.lags, self.channels)[:, ::stride].reshape(rows, -1)
        monomials = [np.full((rows, 1), constant), delays]
        for factors in self._factors:
            product = delays[:, factors[0]]
            for factor in factors[1:]:
                product = product * delays[:, factor]
            monomials.append(product)
        return np.concatenate(monomials, axis=1)

    @cached_property
    def _factors(self) -> list[np.ndarray]:
        """For each degree from 2 on, the variables in its monomials `[factor, monomial]`."""
        variables = range(self.architecture.units * self.channels)
        return [
            np.array(list(combinations_with_replacement(variables, degree))).T
            for degree in range(2, self.architecture.degree + 1)
        ]
