"""What regressions share that go straight from long windows to all values of a horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from models.closed_form.closed_form import (
    FittedForm,
    Fixed,
    FloatArray,
    Lagged,
    Solutions,
    level_choice,
    level_of,
)
from models.closed_form.hankel import hankel_products, less_level
from models.methods import Choices, FloatRange, Real, Stage, setting
from models.tensors import one_thread, torch

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

# Seasons that a window tries to hold, and values, where there is no season.
SEASONS, STEPS = (7, 14, 30, 42), (64, 128, 256, 512)
# A fit factorises what a window holds, and multiplies all of it with what follows.
MOST_CONTEXT, MOST_AHEAD = 1024, 1024
# What the products of a window take that are made from those of the one before, in multiply-adds.
SHIFTED = 8
# Added to the diagonal as a share of its mean, so that rounding can't make it indefinite.
LEAST_STRENGTH = 1e-9


def suited_windows(series: SeriesProperties) -> Choices:
    """Choices of how many values to read, whole seasons where there are some."""
    season = round(series.periods[0]) if series.has_season and series.periods else 0
    own = tuple(season * n for n in SEASONS if 0 < season * n <= MOST_CONTEXT)
    return Choices(own or STEPS)


def fading(name: str, growth: str, default: Choices) -> Any:
    """The setting of how fast coefficients of older values are drawn to zero; see `setting`."""
    return setting(
        Real(0, 1e6),
        default,
        f"Weights of squared coefficients grow as {growth}; 0 for equal weights.",
        name=name,
        neutral=0.0,
        stage=Stage.REGULARISATION,
        without="equal weights",
    )


class Direct(Lagged):
    """Ridge regression from what is made of a window to all values of a horizon at once.

    Squared coefficients weigh the more the older the value is that they belong to: what is near
    tells more, and a long window then does not fit noise.
    """

    levels: ClassVar[Sequence[float]] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    # The horizon that is held out would be a single one: what is given is searched instead.
    regularisation: ClassVar[str] = "given"  # type: ignore[misc]

    context_level: str = level_choice()
    strength: float = setting(
        Real(0, 1e6),
        FloatRange(1e-3, 1.0, log=True),
        "The weight of squared coefficients beside the mean squared error of a direct forecast.",
        name="direct_ridge",
        neutral=0.1,
        stage=Stage.REGULARISATION,
    )

    @property
    def given_level(self) -> float:
        return self.strength

    def level(self, values: FloatArray, channels: int) -> FloatArray | None:
        return level_of(self.context_level, values.reshape(len(values), -1, channels))

    def factorised(self, channels: int) -> int:
        # The products of a window and what follows it, though few features may be made of them.
        return (self.context_steps + self.steps_at_once) * channels

    def penalties(self, channels: int) -> FloatArray:
        """The weights of squared coefficients `[feature]`, at least 1."""
        raise NotImplementedError

    def products_of_features(
        self, products: FloatArray, channels: int
    ) -> tuple[FloatArray, FloatArray]:
        """Sums of features by features, and of features by targets, from those of windows.

        products: `[steps * channel, steps * channel]` of a window and what follows it.
        """
        raise NotImplementedError

    def rows(self, windows: int) -> int:
        """How many rows of features so many windows are."""
        return windows

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        channels, ahead = pieces[0].shape[1], self.steps_at_once
        stretches = candidate.stretches(pieces)
        products, windows = hankel_products(stretches, self.context_steps + ahead)
        if self.context_level != "none":
            weights = np.zeros(self.context_steps + ahead)
            if self.context_level == "mean":
                weights[: self.context_steps] = 1.0 / self.context_steps
            else:
                weights[self.context_steps - 1] = 1.0
            products = less_level(products, weights, channels)
        own, with_targets = self.products_of_features(products, channels)
        return Damped(own, with_targets, self.rows(windows), self.penalties(channels))

    def fit_products(self, channels: int, train_steps: int, directions: int) -> float:
        width = (self.context_steps + self.steps_at_once) * channels
        features = self.features(channels)
        solving = features**2 * (features / 3 + self.outputs(channels))
        return width * (directions * train_steps + SHIFTED * width) + solving

    def phrase(self) -> str:
        words = [f"{self.steps_at_once} steps at once"]
        words += [f"less its {self.context_level}"] if self.context_level != "none" else []
        return ", ".join([*words, super().phrase()])


@dataclass(frozen=True, eq=False)
class Damped:
    """min over w of mean |y - F w|^2 + strength sum_i penalty_i |w_i|^2, by normal equations.

    own: F' F. with_targets: F' y. rows: of F. penalties: `[feature]`.
    """

    own: FloatArray
    with_targets: FloatArray
    rows: int
    penalties: FloatArray

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, output]` of a strength."""
        diagonal = np.diag(self.own)
        least = max(LEAST_STRENGTH * float(diagonal.mean()), np.finfo(np.float64).tiny)
        damped = self.own + np.diag(self.rows * level * self.penalties + least)
        with one_thread():
            factor = torch.linalg.cholesky(torch.from_numpy(damped))
            solved = torch.cholesky_solve(torch.from_numpy(self.with_targets.copy()), factor)
        coefficients: FloatArray = solved.numpy()
        return coefficients
