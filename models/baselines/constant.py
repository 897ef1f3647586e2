"""Forecasts that stay where they are: at the mean of the training span, or at the last value."""

from typing import Self

import numpy as np

from models.baselines.baseline import Baseline, FloatArray


class Mean(Baseline, name="mean", label="mean of the training span", rank=800):
    """The training mean for ever: NMSE about 1, what a network that learnt nothing collapses to."""

    short_label = "mean"

    value: FloatArray  # [channel]

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        return cls(value=training.mean(axis=0))

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        return np.tile(self.value, (steps, 1))


class Persistence(Baseline, name="persistence", label="persistence (the last value)", rank=801):
    """The last value for ever: what makes a one-step forecast look good."""

    short_label = "persistence"

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        return cls()

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        return np.tile(history[-1], (steps, 1))
