"""The last value for ever: what makes a one-step forecast look good."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.baselines.baseline import Baseline, FloatArray


@dataclass(frozen=True)
class Persistence(Baseline):
    """Forecasts the last value of the history at every step; there is nothing to fit."""

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        """Learn nothing from the training span `[time, channel]`."""
        return cls()

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        """The last row of `history` `[time, channel]` `steps` times, `[steps, channel]`."""
        return np.tile(history[-1], (steps, 1))
