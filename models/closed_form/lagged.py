"""Forecasts from the last few values, and ridge regression for any number of strengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from models.clip import CLIP_STD
from models.closed_form.closed_form import BLOCK_ROWS, ClosedForm, Fixed, FloatArray, one_thread
from models.tensors import Tensor, torch

if TYPE_CHECKING:
    from models.closed_form.closed_form import FittedForm

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


@dataclass(frozen=True, eq=False)
class Ridge:
    """min over w of mean |y - F w|^2 + strength |w|^2, for rows of features F and targets y.

    With F = U diag(s) V' the solution is V diag(s / (s^2 + rows * strength)) U' y, so that another
    strength costs one product (Hoerl & Kennard 1970; Golub & Van Loan, section 6.1). The factors
    are those of the triangle of a QR decomposition, not of the normal equations, whose condition is
    the square: on clean chaos, strengths near 1e-13 are the best ones.

    left: U' y. values: s. right: V. rows: of F. latest: features that a fitted increment is added
    to, None where values are fitted.
    """

    left: Tensor
    values: Tensor
    right: Tensor
    rows: int
    latest: slice | None

    @classmethod
    def of(cls, blocks: Iterable[Block], latest: slice | None = None) -> Self:
        """From blocks of rows, at least one row in all.

        latest: where the last values stand among the features, to fit the increments to them.
        """
        with one_thread():
            triangle, rows, features = torch.empty(0), 0, 0
            for block, targets in blocks:
                rows, features = rows + len(block), block.shape[1]
                fitted = targets if latest is None else targets - block[:, latest]
                stacked = torch.from_numpy(np.concatenate([block, fitted], axis=1))
                if rows > len(block):
                    stacked = torch.cat([triangle, stacked])
                triangle = torch.linalg.qr(stacked, mode="r").R
            of_features = triangle[:, :features]
            u, values, vh = torch.linalg.svd(of_features, full_matrices=False)
            # A feature that is always zero has no coefficient, not even by rounding.
            right = torch.where((of_features == 0.0).all(0).unsqueeze(1), 0.0, vh.T)
            return cls(u.T @ triangle[:, features:], values, right, rows, latest)

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, channel]` of a strength, at least 0.

        Directions that the features do not have, to rounding, get no coefficient.
        """
        s = self.values
        least = s[0] * max(self.rows, len(self.right)) * torch.finfo(s.dtype).eps
        damped = torch.where(s > least, s / (s.square() + self.rows * level), 0.0)
        with one_thread():
            solution: Tensor = self.right @ (damped.unsqueeze(1) * self.left)
        if self.latest is not None:
            solution[self.latest] += torch.eye(solution.shape[1], dtype=solution.dtype)
        return solution.numpy()
