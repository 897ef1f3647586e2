"""Whether a training span is free of noise: smooth, and coming back to where it was.

Differences of a high order take away what is smooth and leave what is not: of white noise with the
standard deviation s, the differences of order k have the variance s^2 (2k over k). Hall, Kay &
Titterington (1990), "Asymptotically optimal difference-based estimation of variance in
nonparametric regression", estimate the variance of noise so, by squares; here a quantile is taken,
which a few jumps of a relaxation oscillator do not decide.
"""

import math

import numpy as np

from models.diagnostics.scores import FloatArray

# Noise of less than this share of the standard deviation is none. Of 45 chaotic systems with 20 to
# 100 points per period, the largest estimate is 0.004; of 25 real series the least is 0.015.
LARGEST_SHARE = 0.01
# Of few orders, those that leave the least of what is smooth; beyond the last, rounding grows.
ORDERS = range(2, 9)
# The quantile of absolute differences, and where a normal variable has it.
QUANTILE, NORMAL_QUANTILE = 0.9, 1.6449
# A span below is too short to tell; and what crosses its mean less often does not come back: a sum
# of sums of noise is smooth, too, but nothing in it repeats.
LEAST_STEPS, LEAST_CROSSINGS = 64, 3


def is_noise_free(values: FloatArray) -> bool:
    """Whether each channel of a span `[time, channel]` is smooth and crosses its mean often."""
    if len(values) < LEAST_STEPS:
        return False
    centred = values - values.mean(axis=0)
    crossings = (centred[1:] * centred[:-1] < 0.0).sum(axis=0)
    return bool(noise_share(values) < LARGEST_SHARE and crossings.min() >= LEAST_CROSSINGS)


def noise_share(values: FloatArray) -> float:
    """The estimated standard deviation of noise over that of the values, of the noisiest channel.

    values: `[time, channel]`, more of them than the largest of `ORDERS`. A channel that does not
    vary counts as noise.
    """
    shares = [
        np.quantile(np.abs(np.diff(values, n=order, axis=0)), QUANTILE, axis=0)
        / math.sqrt(math.comb(2 * order, order))
        for order in ORDERS
    ]
    std = values.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.min(shares, axis=0) / (NORMAL_QUANTILE * std)
    return float(np.where(std > 0.0, found, np.inf).max())
