"""The logistic map (May 1976), the simplest chaos in discrete time."""

from typing import Literal

import numpy as np
from pydantic import Field

from search.series import Draw, GeneratedSource, Purpose
from search.series.source import random_generator


class LogisticMap(GeneratedSource):
    """x_(t+1) = rate x_t (1 - x_t), from a start of its own for each draw."""

    source: Literal["logistic_map"] = "logistic_map"
    rate: float = Field(default=4.0, ge=3.6, le=4.0, description="The growth rate.")

    @property
    def signal_variance(self) -> float:
        return float(self._values(0.3, 10_000).var())

    def draw(self, study_seed: int, purpose: Purpose, index: int, steps: int) -> Draw:
        start = random_generator(study_seed, purpose, index).uniform(0.1, 0.9)
        signal = self._values(start, steps)[:, np.newaxis]
        return Draw(values=signal.copy(), signal=signal)

    def _values(self, start: float, steps: int) -> np.ndarray:
        values = np.empty(steps)
        value = start
        for step in range(steps):
            value = self.rate * value * (1.0 - value)
            values[step] = value
        return values
