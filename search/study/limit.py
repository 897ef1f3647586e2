"""The attainable score of a noisy sine: the least mean NMSE with so many samples seen.

The forecaster knows amplitude, frequency and noise; the phase is uniform on the circle. Its best
forecast in the mean is that of the Bayes posterior, and the squared error which that one is left
with is the posterior variance of the signal. docs/limit.md derives what is computed here.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from search.errors import UsageError
from search.series import FloatArray, SineSeries
from search.study.cramer_rao import cramer_rao_nmse
from search.study.definition import StudyDefinition

DEFAULT_SAMPLES = (4, 16, 64, 256)
# With fewer draws, a mean of these long-tailed errors says little.
FEWEST_DRAWS = 100
# By so many standard errors a leak lies below the floor. A forecaster that reaches the floor has
# errors like the square of a normal number, and 0.3 % of its means over 100 draws are so low
# (1.2 % with 3 standard errors).
LEAK_STANDARD_ERRORS = 4.0

Comparison = Literal["leak", "within error", "above", "not comparable"]

# Shifts of one set of points: their spread gives the standard error (Cranley and Patterson 1976).
_SHIFTS = 16
_POINTS = 512
_SEED = 0
# Draws at a time: arrays that fit into a processor's cache.
_BLOCK = 64
# Noise below the rounding of the signal itself is none.
_LEAST_NOISE_RATIO = 1e-15


# True phases on the rising half circle, unit Gaussian noises of level and slope, `[draw, 1]` each.
_Draws = tuple[FloatArray, FloatArray, FloatArray]
# The distance in radians up to which nodes on 0..1 stay even; nodes and weights, `[node]` each.
_Quadrature = tuple[float, FloatArray, FloatArray]


@dataclass(frozen=True)
class ContextLimit:
    """The least mean NMSE with so many samples seen, and the standard error of its estimate."""

    samples: int
    nmse: float
    standard_error: float


@dataclass(frozen=True)
class Limit:
    """What is attainable on a study's sine, against the signal, over `horizon_steps`.

    contexts: for forecasters whose weights do not depend on the draw, by samples seen. floor: for
    all samples of the training span, which binds trained weights as well. reference: Cramér-Rao
    with amplitude, frequency and phase unknown; None where the span can't tell the three apart.
    reason: why the figures are 0, or "" where they are not.
    """

    horizon_steps: int
    contexts: tuple[ContextLimit, ...]
    floor: ContextLimit
    reference: float | None
    reason: str


def sine_limit(
    series: SineSeries, *, train_steps: int, horizon_steps: int, samples: Sequence[int] = ()
) -> Limit:
    """Compute the limits of a sine for a training span and a free run right behind it.

    samples: numbers of samples seen; none for 4, 16, 64, 256 and train_steps, as far as the
    training span has them. Raises UsageError for a number that it has not.
    """
    contexts = checked_samples(samples, train_steps)
    limits = {n: context_limit(series, n, horizon_steps) for n in {*contexts, train_steps}}
    return Limit(
        horizon_steps=horizon_steps,
        contexts=tuple(limits[n] for n in contexts),
        floor=limits[train_steps],
        reference=cramer_rao_nmse(series, train_steps, horizon_steps),
        reason=_reason(series),
    )


def checked_samples(samples: Sequence[int], train_steps: int) -> list[int]:
    """Return the numbers of samples to compute for, ascending; see `sine_limit`."""
    for number in samples:
        if not 1 <= number <= train_steps:
            raise UsageError(
                f"--samples must be from 1 to train_steps = {train_steps}, but got {number}; "
                "name samples of the training span"
            )
    default = (n for n in (*DEFAULT_SAMPLES, train_steps) if n <= train_steps)
    return sorted(set(samples or default))


# A fifth of a second each, and a study has a handful of contexts for thousands of trials.
@cache
def context_limit(series: SineSeries, samples: int, horizon_steps: int) -> ContextLimit:
    """Return the least mean NMSE of free runs over `horizon_steps` after `samples` noisy samples.

    The mean is over phases, noise and the steps of the horizon; the squared error is divided by
    the signal's variance. A fixed phase has the limit 0, since weights may know it.
    """
    if series.phase != "random":
        return ContextLimit(samples, 0.0, 0.0)
    noise_ratio = series.noise_std / series.amplitude
    # Time is counted from the middle of the samples, so that level and slope are uncorrelated.
    seen = series.angular_frequency * (np.arange(samples) - (samples - 1) / 2)
    ahead = series.angular_frequency * ((samples - 1) / 2 + np.arange(1, horizon_steps + 1))
    tilt = float(np.mean(np.cos(2 * ahead)))
    if noise_ratio < _LEAST_NOISE_RATIO:
        # One exact sample gives the level, but rising and falling are left; two tell them apart.
        return ContextLimit(samples, (1 - tilt) / 2 if samples == 1 else 0.0, 0.0)
    level_axis = float(np.sqrt(np.sum(np.cos(seen) ** 2))) / noise_ratio
    slope_axis = float(np.sqrt(np.sum(np.sin(seen) ** 2))) / noise_ratio
    # Which of the two is called level only matters to the grid, which is laid along the longer.
    if slope_axis > level_axis:
        level_axis, slope_axis, tilt = slope_axis, level_axis, -tilt
    quadrature = _quadrature(level_axis)
    losses = [
        _posterior_nmse(level_axis, slope_axis, tilt, draws, quadrature) for draws in _draws()
    ]
    means = np.concatenate(losses).reshape(_SHIFTS, _POINTS).mean(axis=1)
    error = float(np.std(means, ddof=1)) / math.sqrt(_SHIFTS)
    return ContextLimit(samples, float(np.mean(means)), error)


def compared_with_floor(
    mean: float, standard_error: float, draws: int, floor: float | None
) -> Comparison:
    """Say whether a mean NMSE against the signal is lower than it can be.

    mean, standard_error: over `draws` draws, never a median. floor: of all samples that training
    and warm-up saw, over the same horizon; None where no limit is known. Returns "leak" below the
    floor by more than LEAK_STANDARD_ERRORS, "within error" elsewhere below it, and "not
    comparable" without a floor, below FEWEST_DRAWS draws or for numbers that are not finite.
    """
    if floor is None or draws < FEWEST_DRAWS or not math.isfinite(mean + standard_error):
        return "not comparable"
    if mean >= floor:
        return "above"
    return "leak" if mean + LEAK_STANDARD_ERRORS * standard_error < floor else "within error"


def _reason(series: SineSeries) -> str:
    if series.phase != "random":
        return (
            f"The phase is fixed at {series.phase:g}, so that weights may know it: a network can "
            "learn the answer by heart, and the limit is 0."
        )
    if series.noise_std / series.amplitude < _LEAST_NOISE_RATIO:
        return "The series has no noise: two samples tell the phase, and the limit is 0."
    return ""


def _draws() -> Iterator[_Draws]:
    """All draws, block by block: independent shifts of the same evenly spread points.

    Multiples of square roots of primes (Richtmyer 1951) bring the error of a mean far below that
    of independent draws. By symmetry the falling half circle would add nothing.
    """
    multiples = np.arange(_POINTS)[:, np.newaxis] * np.sqrt([2.0, 3.0, 5.0])
    shifts = np.random.Generator(np.random.PCG64(_SEED)).random((_SHIFTS, 1, 3))
    spread = ((multiples + shifts) % 1).reshape(-1, 3)
    for first in range(0, len(spread), _BLOCK):
        block = spread[first : first + _BLOCK]
        # Box and Muller (1958)
        radius, angle = np.sqrt(-2 * np.log1p(-block[:, 1:2])), 2 * math.pi * block[:, 2:]
        yield (block[:, :1] - 0.5) * math.pi, radius * np.cos(angle), radius * np.sin(angle)


def _quadrature(axis: float) -> _Quadrature:
    """Gauss-Legendre nodes on 0..1 for a half ellipse whose longer axis has this length."""
    inner = 4 / axis
    # As many that more of them change no limit by more than 1e-6 of it.
    nodes, weights = np.polynomial.legendre.leggauss(
        math.ceil(10 * math.asinh(math.pi / inner)) + 16
    )
    return inner, (nodes + 1) / 2, weights / 2


def _posterior_nmse(
    level_axis: float, slope_axis: float, tilt: float, draws: _Draws, quadrature: _Quadrature
) -> FloatArray:
    """NMSE that the posterior leaves, `[draw]`.

    The samples say where on the ellipse (level_axis * sin q, slope_axis * cos q) the phase q lies,
    through Gaussian noise of variance 1; level_axis is the longer one. tilt: the mean of cos(2 w
    t) over the horizon, by which level counts 1 + tilt there and slope 1 - tilt. Their covariance
    is left out: it has the mean 0 over both halves of the ellipse.
    """
    phase, level_noise, slope_noise = draws
    offset, weight = _phase_grid(phase, quadrature)
    # Differences of sines as products, exact where the offsets are tiny.
    chord, half = 2 * np.sin(offset / 2), phase + offset / 2
    level_misfit = (level_axis * chord * np.cos(half) - level_noise) ** 2
    misfit = level_misfit + (slope_axis * chord * np.sin(half) + slope_noise) ** 2
    level, slope = np.sin(phase + offset), np.cos(phase + offset)
    # The other half of the ellipse has the same levels and the opposite slopes.
    opposite = level_misfit + (slope_axis * (slope + np.cos(phase)) + slope_noise) ** 2
    least = np.minimum(misfit.min(axis=1), opposite.min(axis=1))[:, np.newaxis]
    # Held above exp(-300): products of numbers near the smallest that a float holds are slow.
    own, other = (
        weight * np.exp(np.maximum((least - each) / 2, -300.0)) for each in (misfit, opposite)
    )
    either, difference = own + other, own - other
    total = either.sum(axis=1, keepdims=True)
    mean_level = np.sum(either * level, axis=1, keepdims=True) / total
    mean_slope = np.sum(difference * slope, axis=1, keepdims=True) / total
    level_square = either * (level - mean_level) ** 2
    slope_square = own * (slope - mean_slope) ** 2 + other * (slope + mean_slope) ** 2
    left = (1 + tilt) * level_square + (1 - tilt) * slope_square
    return np.asarray(np.sum(left, axis=1) / total[:, 0])


def _phase_grid(phase: FloatArray, quadrature: _Quadrature) -> tuple[FloatArray, FloatArray]:
    """Offsets from each true phase to the ends of its half circle, and weights, `[draw, node]`.

    The nodes are stretched by a hyperbolic sine: evenly spaced up to `inner`, since a posterior
    can be that narrow at the truth, and further apart in proportion to the distance from it.
    """
    inner, nodes, weights = quadrature
    lengths = np.stack([math.pi / 2 - phase, -math.pi / 2 - phase], axis=1)  # [draw, side, 1]
    # Not 0, where a phase lies at an end and its side has no length.
    stretch = np.arcsinh(np.abs(lengths) / inner) + 1e-9
    scale = lengths / np.sinh(stretch)
    offset = scale * np.sinh(stretch * nodes)
    slope = np.abs(scale) * stretch * np.cosh(stretch * nodes)
    return offset.reshape(len(phase), -1), (slope * weights).reshape(len(phase), -1)


def attainable_nmse(
    definition: StudyDefinition, context_steps: int, horizon_steps: int | None = None
) -> float | None:
    """The least mean NMSE of forecasters that read so many values, None if unknown.

    horizon_steps: of the free run; those of validation where None.
    It binds the mean over many draws of a forecaster whose weights do not depend on the draw (see
    docs/limit.md): one score, or a median of a few, may well be below it.
    """
    series, task = definition.series, definition.task
    if not isinstance(series, SineSeries) or task.score_against != "signal":
        return None
    return context_limit(series, context_steps, horizon_steps or task.horizon_steps).nmse
