"""The mean of the training span for ever."""

from collections.abc import Sequence

import numpy as np

from models.closed_form.closed_form import ClosedForm, FittedForm, Fixed, FloatArray
from models.closed_form.known import Known


class Mean(ClosedForm, name="mean", label="mean of the training span", rank=16):
    """The mean of the training span for ever, whatever the values before the forecast are.

    Its one feature is a constant, and its coefficients are the means of the channels.
    """

    is_searchable = False
    levels = (0.0,)

    @property
    def context_steps(self) -> int:
        return 1

    @property
    def given_level(self) -> float:
        return 0.0

    def features(self, channels: int) -> int:
        return 1

    def factorise(self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed) -> Known:
        return Known(np.concatenate(pieces).mean(axis=0, keepdims=True))

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        return np.repeat(coefficients, steps, axis=1)

    def size(self) -> str:
        return ""

    def phrase(self) -> str:
        return ""
