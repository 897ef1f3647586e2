"""Errors of free runs in the units of the series, and beside seasonal naive."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.diagnostics.known import known_mean

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """How far forecasts are from the truth, the mean over start points, steps and channels.

    mae: mean absolute error, and rmse: root mean squared error, in the units of the series; None
    over channels of different units, of which the one with the largest numbers would decide. mase:
    mean absolute scaled error, the absolute error over that of one-step seasonal naive forecasts
    within the training span (Hyndman & Koehler 2006); None where these have no error.
    """

    mae: float | None
    rmse: float | None
    mase: float | None


def errors_of(
    forecast: FloatArray,
    truth: FloatArray,
    pieces: Sequence[FloatArray],
    season_steps: int = 1,
    *,
    has_one_unit: bool = True,
) -> Errors:
    """The errors of free runs `[start, time, channel]`, over the truth that is known (not NaN).

    pieces: the stretches `[time, channel]` of the training span. season_steps: the season of the
    naive forecasts that errors are scaled by; 1 for the last value, which also serves where no
    piece is longer than a season. Each channel has its own scale. has_one_unit: whether all
    channels are in the same unit.
    """
    distance = np.abs(forecast - truth)
    scale = naive_error(pieces, season_steps)
    mase = None
    if scale is not None and np.all(scale > 0.0):
        mase = float(known_mean(distance / scale))
    if not has_one_unit:
        return Errors(None, None, mase)
    return Errors(float(known_mean(distance)), float(np.sqrt(known_mean(distance**2))), mase)


def errors_by_channel(
    forecast: FloatArray, truth: FloatArray, pieces: Sequence[FloatArray], season_steps: int = 1
) -> tuple[Errors, ...]:
    """The errors of each channel of free runs, see `errors_of`."""
    return tuple(
        errors_of(
            forecast[:, :, own], truth[:, :, own], [piece[:, own] for piece in pieces], season_steps
        )
        for own in (slice(channel, channel + 1) for channel in range(truth.shape[2]))
    )


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
    return Errors(
        mae=_median([own.mae for own in errors]),
        rmse=_median([own.rmse for own in errors]),
        mase=_median([own.mase for own in errors]),
    )


def _median(errors: Sequence[float | None]) -> float | None:
    """The median, None where one of them is not known."""
    known = [error for error in errors if error is not None]
    return float(np.median(known)) if len(known) == len(errors) else None
