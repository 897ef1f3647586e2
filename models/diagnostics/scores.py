"""Scores of free runs: normalised squared errors by horizon step, and how long a run stays valid.

All arrays are numpy float64 in the series' own units. `[start, time, channel]` holds one free run
per start point; `time` counts forecast steps, the first one is horizon step 1. Truth that nobody
knows is NaN, and counts in nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.diagnostics.known import known_mean
from models.diagnostics.reach import held

FloatArray = NDArray[np.float64]
PerChannel = FloatArray | float  # [channel], or one number for all channels

# Horizon steps at which the error of a trial is recorded, where a task names no others.
ERROR_HORIZONS = (1, 4, 16, 64, 256, 1000)
# A forecast is valid until its error first exceeds this share of the series' standard deviation.
VALID_ERROR = 0.4
# Added to each NMSE before its logarithm, so that one free run without an error does not decide.
NEGLIGIBLE_NMSE = 1e-8

# How the replicas of a candidate become one score. A median ignores the replicas that fail; a mean
# weighs squared errors as a test over as many free runs would; a geometric mean lets one bad start
# of a chaotic series count as much as a good one.
Averaging = Literal["median", "mean", "geometric mean"]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a set of free runs of one forecaster is worth; every number is finite.

    nmse: the mean over start points, steps and channels, which is that of the curve where all truth
    is known. curve: `[time]`, NMSE by horizon step, the mean over start points and channels; NaN at
    a step of which no truth is known, the one exception. valid_prediction_steps: mean over start
    points. errors_at: NMSE at chosen horizon steps, those within the horizon of which truth is
    known. by_start: NMSE of each start point.
    """

    nmse: float
    curve: FloatArray
    valid_prediction_steps: float
    errors_at: Mapping[int, float]
    by_start: tuple[float, ...]


def score(
    forecast: FloatArray,
    truth: FloatArray,
    variance: PerChannel,
    mean: PerChannel,
    std: PerChannel,
    error_horizons: Sequence[int] = ERROR_HORIZONS,
) -> Scores:
    """Score free runs, as they are; only what is far beyond the truth is drawn in, see `held`.

    forecast, truth: `[start, time, channel]`. variance: what squared errors are divided by. mean,
    std: of the training span. error_horizons: the steps whose errors are recorded.

    Raises ValueError where shapes differ, there is nothing to score from some start, or the truth,
    the mean, the variance or the standard deviation can't normalise an error.
    """
    if forecast.shape != truth.shape or forecast.ndim != 3 or forecast.size == 0:
        raise ValueError(
            "forecast and truth must have one shape [start, time, channel] without an empty axis, "
            f"but got {forecast.shape} and {truth.shape}"
        )
    is_known = ~np.isnan(truth)
    if np.any(np.isinf(truth)) or not np.all(np.isfinite(mean)):
        raise ValueError("the truth and the training mean must be finite, but hold infinity or NaN")
    if not is_known.any(axis=(1, 2)).all():
        raise ValueError("some truth must be known from each start, but from one there is none")
    for name, value in (("variance", variance), ("standard deviation", std)):
        if not (np.all(np.isfinite(value)) and np.all(np.greater(value, 0.0))):
            raise ValueError(f"the {name} must be finite and above 0, but got {value}")
    near = held(forecast, truth, mean, std)
    curve = nmse_curve(near, truth, variance)
    return Scores(
        nmse=nmse(curve) if is_known.all() else nmse((near - truth) ** 2 / variance),
        curve=curve,
        valid_prediction_steps=valid_prediction_steps(near, truth, variance),
        errors_at=MappingProxyType(errors_at(curve, error_horizons)),
        by_start=tuple(known_mean((near - truth) ** 2 / variance, axis=(1, 2)).tolist()),
    )


def nmse_curve(forecast: FloatArray, truth: FloatArray, variance: PerChannel) -> FloatArray:
    """Squared error over variance by horizon step, `[time]`: mean over start points, channels."""
    squared_error = (forecast - truth) ** 2
    if np.isnan(squared_error).any():
        return known_mean(squared_error / variance, axis=(0, 2))
    return np.asarray(np.mean(np.mean(squared_error, axis=0) / variance, axis=1))


def nmse(curve: FloatArray) -> float:
    """Normalised mean squared error of a free run: the mean of its curve over the horizon."""
    return float(known_mean(curve))


def geometric_mean(scores: Sequence[float]) -> float:
    """The exponential of the mean logarithm of some NMSE; 0 where one of them is.

    One draw on which a forecaster fails counts as much as one on which it does a hundred times
    better than usual: unlike the median it sees a failure, unlike the mean it sees little else.
    Racca & Magri (2021) choose echo state networks by the mean logarithm of closed-loop errors.
    """
    with np.errstate(divide="ignore"):
        return float(np.exp(np.mean(np.log(scores))))


def replica_score(scores: Scores, averaging: Averaging) -> float:
    """What one replica brings to the score: its NMSE over all start points.

    With the geometric mean that over its start points, of NMSE + NEGLIGIBLE_NMSE, so that replicas
    and start points are averaged as one.
    """
    if averaging == "geometric mean":
        return geometric_mean([nmse + NEGLIGIBLE_NMSE for nmse in scores.by_start])
    return scores.nmse


def averaged(replica_scores: Sequence[float], averaging: Averaging) -> float:
    """The score of a candidate or a baseline from those of its replicas, see `replica_score`."""
    match averaging:
        case "median":
            return float(np.median(replica_scores))
        case "mean":
            return float(np.mean(replica_scores))
        case "geometric mean":
            return geometric_mean(replica_scores)


def valid_prediction_steps(forecast: FloatArray, truth: FloatArray, variance: PerChannel) -> float:
    """Steps before the normalised error first exceeds VALID_ERROR, the mean over start points.

    The error of a step is the root mean square over channels of the error over the standard
    deviation (the square root of `variance`). A run that never exceeds it counts its horizon, and
    a step of which no truth is known does not exceed it.
    """
    error = np.sqrt(known_mean((forecast - truth) ** 2 / variance, axis=2))
    is_exceeded = error > VALID_ERROR
    steps = np.where(is_exceeded.any(axis=1), is_exceeded.argmax(axis=1), error.shape[1])
    return float(np.mean(steps))


def errors_at(curve: FloatArray, horizons: Sequence[int] = ERROR_HORIZONS) -> dict[int, float]:
    """NMSE at the given horizon steps (the first forecast is step 1), those the curve knows."""
    known = {horizon: float(curve[horizon - 1]) for horizon in horizons if horizon <= len(curve)}
    return {horizon: error for horizon, error in known.items() if not math.isnan(error)}
