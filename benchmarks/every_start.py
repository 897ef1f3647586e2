"""Squared errors of free runs from every start point of a test."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.ensemble.ensemble_checkpoint import AnyCheckpoint
from search.evaluation.ensembles import run_any
from search.series import FloatArray

# Numbers that the free runs of a batch may be, about a sixteenth of a gigabyte.
BATCH_NUMBERS, MOST_BATCH = 2**23, 256


def squared_error(
    checkpoint: AnyCheckpoint, values: FloatArray, starts: Sequence[int], horizon_steps: int
) -> float:
    """Mean squared error of forecasts from all starts in rows `[time, channel]`.

    A forecast is the median over networks, step by step, as that of `freerun forecast` is.
    """
    steps, total = checkpoint.shown_steps, 0.0
    numbers = (steps + horizon_steps) * values.shape[1]
    for batch in batches(starts, numbers):
        contexts = np.stack([values[start - steps : start] for start in batch])
        truth = np.stack([values[start : start + horizon_steps] for start in batch])
        forecast = np.median(run_any(checkpoint, contexts, horizon_steps), axis=0)
        total += len(batch) * float(np.mean((forecast - truth) ** 2))
    return total / len(starts)


def batches(starts: Sequence[int], numbers: int) -> Iterator[Sequence[int]]:
    """Starts, as many at a time as fit in memory; numbers: of one context and its free run."""
    size = max(1, min(MOST_BATCH, BATCH_NUMBERS // numbers))
    for first in range(0, len(starts), size):
        yield starts[first : first + size]


def seasonal_naive_error(
    values: FloatArray, starts: Sequence[int], horizon_steps: int, period: int
) -> float:
    """Mean squared error over all starts of the last period before each, again and again."""
    ahead = np.arange(horizon_steps)
    repeated = ahead % period - period
    errors = [np.mean((values[s + repeated] - values[s + ahead]) ** 2) for s in starts]
    return float(np.mean(errors))
