"""Ridge regression by one factorisation, for any number of strengths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.tensors import Tensor, one_thread, torch

FloatArray = NDArray[np.float64]
Block = tuple[FloatArray, FloatArray]  # features [row, feature], targets [row, channel]


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
                fitted = targets
                if latest is not None:
                    last = block[:, latest]
                    fitted = targets - np.tile(last, targets.shape[1] // last.shape[1])
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
        """Coefficients `[feature, output]` of a strength, at least 0.

        Directions that the features do not have, to rounding, get no coefficient.
        """
        s = self.values
        least = s[0] * max(self.rows, len(self.right)) * torch.finfo(s.dtype).eps
        damped = torch.where(s > least, s / (s.square() + self.rows * level), 0.0)
        with one_thread():
            solution: Tensor = self.right @ (damped.unsqueeze(1) * self.left)
        if self.latest is not None:
            channels = self.latest.stop - self.latest.start
            ahead = solution.shape[1] // channels
            solution[self.latest] += torch.eye(channels, dtype=solution.dtype).repeat(1, ahead)
        return solution.numpy()
