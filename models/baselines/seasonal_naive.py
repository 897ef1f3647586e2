"""Seasonal naive: the last period again and again."""

from typing import Self

import numpy as np

from models.baselines.baseline import Baseline, FloatArray
from models.diagnostics.properties import dominant_frequency

# A period that is repeated has been seen as often in the training span.
LEAST_PERIODS = 2
# Periods are tried within this share of the one that the dominant frequency says.
NEARBY = 0.05


class SeasonalNaive(
    Baseline, name="seasonal-naive", label="seasonal naive (the last period again)", rank=805
):
    """Repetition of the last period of the training span.

    Of the periods near that of the span's dominant frequency, it is the one at which the span
    repeats itself best. Where the span holds fewer than two of it, the last value is repeated.
    """

    short_label = "seasonal naive"

    period: int

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        frequency = dominant_frequency(training - training.mean(axis=0))
        about = 1.0 if frequency is None else 2 * np.pi / frequency
        if LEAST_PERIODS * round(about) > len(training):
            return cls(period=1)
        low, high = round((1 - NEARBY) * about), round((1 + NEARBY) * about)
        tried = range(max(low, 1), min(high, len(training) // LEAST_PERIODS) + 1)
        changes = [np.mean((training[lag:] - training[:-lag]) ** 2) for lag in tried]
        return cls(period=tried[int(np.argmin(changes))])

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        season = history[-self.period :]
        return np.resize(season, (steps, history.shape[1]))
