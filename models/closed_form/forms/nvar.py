"""The next-generation reservoir: nonlinear vector autoregression on polynomial features."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from models.closed_form.closed_form import FittedForm, FloatArray, LaggedRidge, half_of_span
from models.closed_form.ridge import Block
from models.methods import Choices, Domain, SettingError, Whole, counted, largest, setting
from models.network.options.learning import sign_flag

# Features are factorised in their third power.
MOST_FEATURES = 2000


def _longest_stride(train_steps: int, space: Mapping[str, Domain]) -> int:
    delays = int(largest(space["nvar_delays"]))
    return (half_of_span(train_steps, space) - 1) // max(1, delays - 1)


class NVAR(
    LaggedRidge,
    name="nvar",
    label="next-generation reservoir",
    source="Gauthier et al. (2021), eqs. 5 to 10",
    rank=12,
    searched=True,
):
    """The next-generation reservoir: ridge regression on monomials of values at some delays.

    x_(t+1) = w' (1, v, all monomials of v up to a degree), v the values at some delays, the latest
    one among them. The paper's increments x_(t+1) - x_t are the residual output. Without an offset
    there is no constant feature. Sign augmentation fits the series upside down as well, and so
    leaves the monomials of even degrees out.
    """

    suits_noise_free = True

    nvar_delays: int = setting(
        Whole(1, 4096),
        Choices((2, 4, 8)),
        "Delayed values that a next-generation reservoir reads.",
        shared=True,
        most=half_of_span,
    )
    delay_stride: int = setting(
        Whole(1, 4096),
        Choices((1, 2, 4, 8)),
        "Steps from one delayed value to the next.",
        neutral=1,
        shared=True,
        most=_longest_stride,
    )
    degree: int = setting(
        Whole(1, 8),
        Choices((1, 2, 3)),
        "The highest degree of the monomials.",
        neutral=1,
        shared=True,
        without="linear features alone",
    )

    sign_augmentation: bool = sign_flag()

    @classmethod
    def check_domains(cls, space: Mapping[str, Domain]) -> None:
        delays, degree = int(largest(space["nvar_delays"])), int(largest(space["degree"]))
        features = comb(delays + degree, degree)  # for one channel
        if features > MOST_FEATURES:
            raise SettingError(
                "degree",
                f"and nvar_delays must make at most {MOST_FEATURES} monomials, but {delays} delays "
                f"make {features} up to degree {degree}; take fewer delays or a lower degree",
            )

    @property
    def context_steps(self) -> int:
        return (self.nvar_delays - 1) * self.delay_stride + 1

    def features(self, channels: int) -> int:
        # As many as there are monomials of so many variables up to a degree.
        return comb(self.nvar_delays * channels + self.degree, self.degree)

    def latest(self, channels: int) -> slice:
        variables = self.nvar_delays * channels
        return slice(1 + variables - channels, 1 + variables)

    def expand(self, values: FloatArray, channels: int, constant: float) -> FloatArray:
        rows = len(values)
        lags = values.reshape(rows, self.lags, channels)
        delayed = lags[:, :: self.delay_stride].reshape(rows, -1)
        monomials = [np.full((rows, 1), constant), delayed]
        for factors in _factors(self.nvar_delays * channels, self.degree):
            product = delayed[:, factors[0]]
            for factor in factors[1:]:
                product = product * delayed[:, factor]
            monomials.append(product)
        return np.concatenate(monomials, axis=1)

    def blocks(self, pieces: Sequence[FloatArray], candidate: FittedForm) -> Iterator[Block]:
        yield from super().blocks(pieces, candidate)
        if self.sign_augmentation:
            yield from super().blocks([-piece for piece in pieces], candidate)

    def size(self) -> str:
        stride = counted(self.delay_stride, "step")
        return f"{counted(self.nvar_delays, 'delay')} of {stride}, degree {self.degree}"


@cache
def _factors(variables: int, degree: int) -> list[np.ndarray]:
    """For each degree from 2 on, the variables in its monomials `[factor, monomial]`."""
    return [
        np.array(list(combinations_with_replacement(range(variables), d))).T
        for d in range(2, degree + 1)
    ]
