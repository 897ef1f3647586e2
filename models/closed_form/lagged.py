"""Forecasts from the last few values, without a state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from models.clip import CLIP_STD
from models.closed_form.closed_form import BLOCK_ROWS, ClosedForm, Fixed, FloatArray

if TYPE_CHECKING:
    from models.closed_form.fitted_form import FittedForm


Block = tuple[FloatArray, FloatArray]  # features [row, feature], targets [row, channel]


class Lagged(ClosedForm):
    """Features are the values of the context, or what `expand` makes of them."""

    @property
    def lags(self) -> int:
        """How many values a forecast is made from."""
        return self.context_steps

    def latest(self, channels: int) -> slice:
        """Where the last values stand among the features."""
        features = self.features(channels)
        return slice(features - channels, features)

    def features(self, channels: int) -> int:
        return self.lags * channels

    def expand(self, values: FloatArray, channels: int, constant: float) -> FloatArray:
        """Features `[row, feature]` of values `[row, lag * channel]`, the oldest first.

        constant: the value of a feature that is the same in all rows, for those that have one.
        """
        return values

    def blocks(self, series: FloatArray, candidate: FittedForm) -> Iterator[Block]:
        """Features and targets of all values that have enough others before them."""
        for direction in candidate.directions(series):
            for values, targets in lagged(direction, self.lags):
                yield self.expand(values, series.shape[1], candidate.constant), targets

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        runs, width = len(context), context.shape[2]
        known = self.lags * width
        values = np.empty((runs, known + steps * width))
        values[:, :known] = context[:, -self.lags :].reshape(runs, -1)
        by_channel = np.ascontiguousarray(coefficients.transpose(0, 2, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, steps * width, width):
                features = self.expand(values[:, start : start + known], width, 1.0)
                forecast = np.vecdot(features[:, np.newaxis], by_channel)
                held = np.minimum(np.maximum(forecast, -CLIP_STD), CLIP_STD)
                values[:, start + known : start + known + width] = held
        return values[:, known:].reshape(runs, steps, width)


def lagged(series: FloatArray, lags: int) -> Iterator[Block]:
    """Blocks of rows: the `lags` values before each value `[row, lag * channel]`, and it."""
    for first in range(lags, len(series), BLOCK_ROWS):
        targets = series[first : first + BLOCK_ROWS]
        part = series[first - lags : first + len(targets) - 1]
        windows = np.lib.stride_tricks.sliding_window_view(part, lags, axis=0)
        yield windows.transpose(0, 2, 1).reshape(len(targets), -1), targets
