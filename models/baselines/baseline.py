"""What every baseline provides: a fit on the training span, and a free run."""

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.methods import Method, methods

FloatArray = NDArray[np.float64]  # [time, channel]


class Baseline(Method):
    """A forecaster with nothing to search; an instance is fitted."""

    kind = "baseline"
    is_open = True
    is_of_candidates = False

    # Its name in a sentence or a legend; the label is its name in full.
    short_label: ClassVar[str]

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        """Fit on the training span `[time, channel]`, at least one row of finite values."""
        raise NotImplementedError

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        """Continue `history` `[time, channel]`, at least one row, by `[steps, channel]`."""
        raise NotImplementedError


def baselines() -> dict[str, type[Baseline]]:
    """All baselines by their names."""
    return {m.name: m for m in methods() if issubclass(m, Baseline)}
