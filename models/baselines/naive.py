"""Baselines that fit nothing: the mean, the last value, the last season."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.baselines.baseline import Baseline, FloatArray
from models.diagnostics.properties import dominant_frequency
from models.methods import Scalar

# A period that is repeated has been seen as often in the training span.
LEAST_PERIODS = 2
# Periods are tried within this share of the one that the dominant frequency says.
NEARBY = 0.05


class Mean(Baseline, name="mean", label="mean of the training span", rank=800):
    """The training mean for ever: NMSE about 1, what a network that learnt nothing collapses to."""

    short_label = "mean"

    @classmethod
    def settings_for(
        cls, training: FloatArray, periods: Sequence[float] = ()
    ) -> Mapping[str, Scalar]:
        return {"cell": "mean"}


class Persistence(Baseline, name="persistence", label="persistence (the last value)", rank=801):
    """The last value for ever: what makes a one-step forecast look good."""

    short_label = "persistence"

    @classmethod
    def settings_for(
        cls, training: FloatArray, periods: Sequence[float] = ()
    ) -> Mapping[str, Scalar]:
        return {"cell": "seasonal-naive", "season_steps": 1}


class SeasonalNaive(
    Baseline, name="seasonal-naive", label="seasonal naive (the last period again)", rank=805
):
    """Repetition of the last period of the training span.

    It is the one at which the span repeats itself best: of the periods that are known, else of
    those near that of its dominant frequency. Where the span holds fewer than two of it, the last
    value is repeated.
    """

    short_label = "seasonal naive"

    @classmethod
    def settings_for(
        cls, training: FloatArray, periods: Sequence[float] = ()
    ) -> Mapping[str, Scalar]:
        return {"cell": "seasonal-naive", "season_steps": season_of(training, periods)}


def season_of(training: FloatArray, periods: Sequence[float] = ()) -> int:
    """The period that a training span `[time, channel]` repeats best, 1 where none is seen.

    periods: those that are known; else the dominant frequency says where to look.
    """
    seen = [round(own) for own in periods if 1 < LEAST_PERIODS * round(own) <= len(training)]
    return _best_repeated(training, seen) if seen else _near_dominant(training)


def _near_dominant(training: FloatArray) -> int:
    frequency = dominant_frequency(training - training.mean(axis=0))
    about = 1.0 if frequency is None else 2 * np.pi / frequency
    if LEAST_PERIODS * round(about) > len(training):
        return 1
    low, high = round((1 - NEARBY) * about), round((1 + NEARBY) * about)
    tried = range(max(low, 1), min(high, len(training) // LEAST_PERIODS) + 1)
    return _best_repeated(training, tried)


def _best_repeated(training: FloatArray, tried: Sequence[int]) -> int:
    changes = [np.mean((training[lag:] - training[:-lag]) ** 2) for lag in tried]
    return tried[int(np.argmin(changes))]
