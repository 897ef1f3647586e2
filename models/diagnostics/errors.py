"""Errors of free runs in the units of the series, and beside seasonal naive."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """How far forecasts are from the truth, the mean over start points, steps and channels.

    mae: mean absolute error, and rmse: root mean squared error, in the units of the series. mase:
    mean absolute scaled error, the absolute error over that of one-step seasonal naive forecasts
    within the training span (Hyndman & Koehler 2006); None where these have no error.
    """

    mae: float
    rmse: float
    mase: float | None


def errors_of(
    forecast: FloatArray, truth: FloatArray, pieces: Sequence[FloatArray], season_steps: int = 1
) -> Errors:
    """The errors of free runs `[start, time, channel]`.

    pieces: the stretches `[time, channel]` of the training span. season_steps: the season of the
    naive forecasts that errors are scaled by; 1 for the last value, which also serves where no
    piece is longer than a season. Each channel has its own scale.
    """
    distance = np.abs(forecast - truth)
    scale = naive_error(pieces, season_steps)
    mase = None
    if scale is not None and np.all(scale > 0.0):
        mase = float(np.mean(distance / scale))
    return Errors(float(distance.mean()), float(np.sqrt(np.mean(distance**2))), mase)


def naive_error(pieces: Sequence[FloatArray], season_steps: int) -> FloatArray | None:
    """The mean absolute error `[channel]` of the value a season before, in the training span.

    None where no piece holds two values.
    """
    for lag in (season_steps, 1):
        changes = [np.abs(piece[lag:] - piece[:-lag]) for piece in pieces if len(piece) > lag]
        if changes:
            return np.asarray(np.concatenate(changes).mean(axis=0))
    return None


def median_errors(errors: Sequence[Errors]) -> Errors | None:
    """The median of each error over replicas; None without any."""
    if not errors:
        return None
    scaled = [own.mase for own in errors if own.mase is not None]
    return Errors(
        mae=float(np.median([own.mae for own in errors])),
        rmse=float(np.median([own.rmse for own in errors])),
        mase=float(np.median(scaled)) if len(scaled) == len(errors) else None,
    )
