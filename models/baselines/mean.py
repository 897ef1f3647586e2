"""The training mean for ever: NMSE about 1, what a network that learnt nothing collapses to."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.baselines.baseline import Baseline, FloatArray


@dataclass(frozen=True, eq=False)
class Mean(Baseline):
    """Forecasts `value` `[channel]` at every step."""

    value: FloatArray

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        """Take the mean of the training span `[time, channel]`."""
        return cls(training.mean(axis=0))

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        """The mean `steps` times, `[steps, channel]`, whatever the history was."""
        return np.tile(self.value, (steps, 1))
