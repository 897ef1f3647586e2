"""The Cramér-Rao reference of a noisy sine: amplitude, frequency and phase unknown."""

import math

import numpy as np

from search.series import FloatArray, SineSeries

_PHASES = 256
# Above it three parameters can't be distinguished in float64, and the bound would be rounding.
_WORST_CONDITION = 1e10


def cramer_rao_nmse(series: SineSeries, train_steps: int, horizon_steps: int) -> float | None:
    """Return the mean NMSE over a free run at which an efficient unbiased estimator would be.

    The training span's samples give the Fisher information I = JᵀJ / σ² in (A, p, w), and a
    forecast has the variance g(t)ᵀ I⁻¹ g(t), g the gradient of the signal (Kay 1993, section 3.8).
    It is averaged over the horizon, and over phases unless one is fixed, and divided by the
    signal's variance. No floor: a biased estimator may pass it. None for fewer than 4 samples and
    where too small a part of a period is seen to tell the three apart.
    """
    if train_steps < 4:
        return None
    middle = (train_steps + 1) / 2
    if series.phase == "random":
        phases = (np.arange(_PHASES) + 0.5) * math.pi / _PHASES  # all has the period pi
    else:
        phases = np.array([series.phase + series.angular_frequency * middle])
    # A frequency's unit that moves the ends of the span by one radian keeps the columns alike.
    frequency, unit = series.angular_frequency, train_steps / 2
    seen = np.arange(1, train_steps + 1, dtype=np.float64) - middle
    ahead = np.arange(1, horizon_steps + 1, dtype=np.float64) + train_steps - middle
    information = _gradient_products(frequency, seen, unit, phases)
    if np.linalg.cond(information).max() > _WORST_CONDITION:
        return None
    gradients = _gradient_products(frequency, ahead, unit, phases) / horizon_steps
    variances = np.trace(np.linalg.solve(information, gradients), axis1=1, axis2=2)
    return 2 * (series.noise_std / series.amplitude) ** 2 * float(np.mean(variances))


def _gradient_products(
    frequency: float, time: FloatArray, unit: float, phases: FloatArray
) -> FloatArray:
    """Sum over time of g gᵀ, `[phase, 3, 3]`, with g = (sin, cos, time / unit * cos) of w t + q.

    That is the gradient in (A, A q, A unit w). Products of sines are sines of the double angle,
    so that no array has both a time and a phase axis.
    """
    powers = np.stack([np.ones_like(time), time / unit, (time / unit) ** 2])
    double = np.exp(2j * phases) * (powers @ np.exp(2j * frequency * time))[:, np.newaxis]
    sine_cosine = double.imag / 2
    cosine_square = (powers.sum(axis=1)[:, np.newaxis] + double.real) / 2
    sine_square = len(time) - cosine_square[0]
    rows = [
        [sine_square, sine_cosine[0], sine_cosine[1]],
        [sine_cosine[0], cosine_square[0], cosine_square[1]],
        [sine_cosine[1], cosine_square[1], cosine_square[2]],
    ]
    return np.moveaxis(np.array(rows), 2, 0)
