"""Whether a series ends at a level that it did not have before."""

import numpy as np

from models.diagnostics.scores import FloatArray

# A level is the mean over this share of the record, or over a horizon or a season, if longer; what
# is said of a record has to rest on so many levels in a row at least.
LEVELS, LEAST_LEVELS = 16, 8
# The last level is a new one that is further outside all earlier ones than so many of their
# standard deviations. A stationary record seldom ends there, one that has shifted does.
NEW_LEVEL_SIGMAS = 1.0


def has_new_level(values: FloatArray, least_steps: int, is_known: np.ndarray | None = None) -> bool:
    """Whether some channel of `[time, channel]` ends at a level that it did not have before.

    least_steps: of what a level is the mean of. is_known: `[time, channel]`, False for values that
    were filled in; None for none. False where the record is too short to tell, and of a channel
    most of whose last level was filled in.
    """
    steps = max(len(values) // LEVELS, least_steps, 1)
    if len(values) < LEAST_LEVELS * steps:
        return False
    known = np.ones(values.shape, dtype=bool) if is_known is None else is_known
    columns = zip((values - values.mean(axis=0)).T, known[-steps:].T, strict=True)
    return any(_ends_outside(own, at) for own, at in columns if 2 * at.sum() >= steps)


def _ends_outside(column: FloatArray, at: np.ndarray) -> bool:
    """Whether the last level of a column `[time]` is outside all that it had before.

    at: which values of the last level were observed. Every level is the mean over the same places:
    of fewer values, and of a part of a season, it varies more.
    """
    means, steps = _sums(column, at) / at.sum(), len(at)
    # A shift may take as long as a level does.
    last, earlier = means[-1], means[: -2 * steps]
    outside = max(last - earlier.max(), earlier.min() - last)
    return bool(outside > NEW_LEVEL_SIGMAS * earlier.std())


def _sums(column: FloatArray, at: np.ndarray) -> FloatArray:
    """The sum over some places of every window of a column, the first window first."""
    steps, rows = len(at), len(column)
    if at.all():
        sums = np.cumsum(np.concatenate([[0.0], column]))
        return np.asarray(sums[steps:] - sums[:-steps])
    spectrum = np.fft.rfft(column) * np.conj(np.fft.rfft(at, rows))
    return np.asarray(np.fft.irfft(spectrum, rows)[: rows - steps + 1])
