"""Hyperbolic tangent and logistic function of vectors."""

import math

from numba import types
from numba.extending import overload

from models.network.kernels.compiled import inlined
from models.network.kernels.vectors import LANES, clamp, filled, fma, lane, with_lane


def tanh(x):  # type: ignore[no-untyped-def]
    """tanh of a vector: in single precision by a rational function, within 5e-7.

    x (a_1 + a_3 x^2 + ... + a_13 x^12) / (b_0 + b_2 x^2 + b_4 x^4 + b_6 x^6), the fit of Eigen
    (Eigen/src/Core/MathFunctionsImpl.h), for x held within +-7.9, beyond which tanh is 1 in single
    precision. Double precision, which only tests use, takes the function of the C library.
    """
    raise NotImplementedError("compiled code only")


@inlined
def _rational(x):  # type: ignore[no-untyped-def]
    x = clamp(x, filled(x, -7.90531110763549805), filled(x, 7.90531110763549805))
    y = x * x
    p = fma(y, filled(x, -2.76076847742355e-16), filled(x, 2.00018790482477e-13))
    p = fma(y, p, filled(x, -8.60467152213735e-11))
    p = fma(y, p, filled(x, 5.12229709037114e-08))
    p = fma(y, p, filled(x, 1.48572235717979e-05))
    p = fma(y, p, filled(x, 6.37261928875436e-04))
    p = fma(y, p, filled(x, 4.89352455891786e-03))
    q = fma(y, filled(x, 1.19825839466702e-06), filled(x, 1.18534705686654e-04))
    q = fma(y, q, filled(x, 2.26843463243900e-03))
    q = fma(y, q, filled(x, 4.89352518554385e-03))
    return x * p / q


@inlined
def _by_lane(x):  # type: ignore[no-untyped-def]
    for i in range(LANES):
        x = with_lane(x, i, math.tanh(lane(x, i)))
    return x


@overload(tanh)
def _tanh(x):  # type: ignore[no-untyped-def]
    if x.dtype == types.float32:
        return lambda x: _rational(x)
    return lambda x: _by_lane(x)


@inlined
def logistic(x):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-x)) of a vector, as 0.5 tanh(x / 2) + 0.5."""
    half = filled(x, 0.5)
    return fma(half, tanh(half * x), half)
