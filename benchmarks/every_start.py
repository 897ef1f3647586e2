"""Squared errors of free runs from every start point of a test."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.checkpoint import Checkpoint
from search.evaluation import run_networks
from search.series import FloatArray

# Numbers that a batch of free runs may take, about half a gigabyte.
BATCH_NUMBERS, MOST_BATCH = 2**26, 256


def squared_errors(
    checkpoint: Checkpoint, values: FloatArray, starts: Sequence[int], horizon_steps: int
) -> tuple[float, float]:
    """Mean squared errors of free runs from all starts in rows `[time, channel]`.

    Of the median over networks, and of one network in the mean. The forecaster has one channel: it
    forecasts each column from its own past.
    """
    steps = checkpoint.architecture.context_steps
    sums = np.zeros(2)
    for column in values.T[:, :, np.newaxis]:
        for batch in batches(starts, checkpoint, horizon_steps):
            contexts = np.stack([column[start - steps : start] for start in batch])
            truth = np.stack([column[start : start + horizon_steps] for start in batch])
            runs = run_networks(checkpoint, contexts[np.newaxis], horizon_steps)
            of_median = np.mean((np.median(runs, axis=0) - truth) ** 2)
            sums += len(batch) * np.array([of_median, np.mean((runs - truth) ** 2)])
    forecast, network = (sums / (len(starts) * values.shape[1])).tolist()
    return forecast, network


def batches(
    starts: Sequence[int], checkpoint: Checkpoint, horizon_steps: int
) -> Iterator[Sequence[int]]:
    """Starts, as many at a time as fit in memory: a closed form copies its weights for each run."""
    context_and_run = checkpoint.architecture.context_steps + horizon_steps
    numbers = checkpoint.weights.shape[1] + len(checkpoint.weights) * context_and_run
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
