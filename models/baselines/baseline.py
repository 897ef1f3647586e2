"""What every baseline provides: a fit on the training span, and a free run."""

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]  # [time, channel]


class Baseline(Protocol):
    """A fitted forecaster; `BASELINES` names them."""

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        """Fit on the training span `[time, channel]`, at least one row of finite values."""
        ...

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        """Continue `history` `[time, channel]`, at least one row, by `[steps, channel]`."""
        ...
