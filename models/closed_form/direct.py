"""What regressions share that go straight from long windows to all values of a horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

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
from models.methods import Choices, FloatRange, Is, MethodSet, Real, Scalar, Stage, flag, setting
from models.network.options.channels import TIED, are_independent
from models.tensors import one_thread, torch

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

# Seasons that a window tries to hold, and values, where there is no season.
SEASONS, STEPS = (7, 14, 30, 42), (64, 128, 256, 512)
# A fit factorises what a window holds, and multiplies all of it with what follows.
MOST_CONTEXT, MOST_AHEAD = 1024, 1024
# What the products of a window take that are made from those of the one before, in multiply-adds.
SHIFTED = 8
# A long window holds changes over a season as well, and few series look the same backwards.
TYPICAL: Mapping[str, Scalar] = {
    **{"time_reversal": False, "seasonal_lag": 0},
    **{TIED: True, "channel_tie": 1.0},
}
# Added to the diagonal as a share of its mean, so that rounding can't make it indefinite.
LEAST_STRENGTH = 1e-9


def suited_windows(series: SeriesProperties) -> Choices:
    """Choices of how many values to read, whole seasons where there are some."""
    season = round(series.periods[0]) if series.has_season and series.periods else 0
    own = tuple(season * n for n in SEASONS if 0 < season * n <= MOST_CONTEXT)
    return Choices(own or STEPS)


def lag_fading() -> Any:
    """The setting of how fast coefficients of older values are drawn to zero, lag by lag."""
    return fading("direct_fading", "(1 + age / this)^2, in steps", Choices((0.0, 6.0, 24.0, 96.0)))


def lag_penalties(lags: int, channels: int, fading_steps: float) -> FloatArray:
    """The weights of squared coefficients `[lag * channel]`, the oldest first; see `lag_fading`."""
    ages = np.repeat(np.arange(lags)[::-1], channels)
    return np.asarray((1.0 + ages / fading_steps) ** 2 if fading_steps else np.ones(len(ages)))


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

    Tied channels have coefficients of their own, each of which is drawn to those that all channels
    would share, and none reads another. What they have in common is learnt from all, what differs
    from their own rows (Evgeniou & Pontil 2004, "Regularized multi-task learning").
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
    is_tied: bool = flag(
        "Whether each channel has coefficients of its own, drawn to those that all would share.",
        name=TIED,
        shared=True,
        searched=False,
        suits=lambda series: Choices((False, True)) if series.channels > 1 else None,
        without="coefficients that all channels share",
    )
    tie: float = setting(
        Real(0, 1e6),
        FloatRange(0.1, 10.0, log=True),
        "The weight of squared differences of a channel's coefficients from the shared ones.",
        name="channel_tie",
        neutral=1.0,
        when=Is(TIED, (True,)),
        stage=Stage.REGULARISATION,
    )

    def check(self, others: MethodSet) -> None:
        if self.is_tied and are_independent(others):
            raise ValueError(
                f"{TIED} must be false where channels share all coefficients, but got {others}"
            )

    @property
    def given_level(self) -> float:
        return self.strength

    def level(self, values: FloatArray, channels: int) -> FloatArray | None:
        return level_of(self.context_level, values.reshape(len(values), -1, channels))

    def factorised(self, channels: int) -> int:
        # The products of a window and what follows it, though few features may be made of them.
        return (self.context_steps + self.steps_at_once) * (1 if self.is_tied else channels)

    def features(self, channels: int) -> int:
        return self.features_of(1 if self.is_tied else channels)

    def features_of(self, channels: int) -> int:
        """Features that are made of a window of so many channels that are read together."""
        return self.lags * channels

    def expand(self, values: FloatArray, channels: int, constant: float) -> FloatArray:
        """The values; of tied channels `[row, channel, lag]`."""
        if not self.is_tied:
            return values
        return np.ascontiguousarray(values.reshape(len(values), -1, channels).transpose(0, 2, 1))

    def ahead_of(self, features: FloatArray, by_output: FloatArray) -> FloatArray:
        if not self.is_tied:
            return super().ahead_of(features, by_output)
        rows, channels, lags = features.shape
        by_step = by_output.reshape(rows, -1, channels, lags)
        run: FloatArray = np.vecdot(features[:, np.newaxis], by_step)
        return run.reshape(rows, -1)

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
        apart = self.apart(pieces)
        problems = [self.problem(*self.products(own, candidate), own[0].shape[1]) for own in apart]
        return Tied(problems, self.tie) if self.is_tied else problems[0]

    def regularised(self, problem: Solutions) -> Solutions:
        if isinstance(problem, Tied):
            return Tied([self.damped(own) for own in problem.problems], self.tie)
        assert isinstance(problem, Damped)
        return self.damped(problem)

    def damped(self, problem: Damped) -> Damped:
        """A problem of channels that are read together, with this form's own penalties."""
        channels = len(problem.penalties) // len(self.penalties(1))
        return replace(problem, penalties=self.penalties(channels))

    def apart(self, pieces: Sequence[FloatArray]) -> list[Sequence[FloatArray]]:
        """The pieces of all channels together, or, where they are tied, of each one."""
        if not self.is_tied:
            return [pieces]
        return [[piece[:, c : c + 1] for piece in pieces] for c in range(pieces[0].shape[1])]

    def products(
        self, pieces: Sequence[FloatArray], candidate: FittedForm
    ) -> tuple[FloatArray, int]:
        """The products of windows and what follows them, less their levels, and their number."""
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
        return products, windows

    def problem(self, products: FloatArray, windows: int, channels: int) -> Damped:
        """The problem that the products of so many windows of some channels make."""
        own, with_targets = self.products_of_features(products, channels)
        known = self.context_steps * channels
        squares = float(np.trace(products[known:, known:]))
        return Damped(own, with_targets, squares, self.rows(windows), self.penalties(channels))

    def training_error(
        self, problem: Solutions, level: float, coefficients: FloatArray
    ) -> float | None:
        assert isinstance(problem, WithError)
        return problem.error(coefficients)

    def fit_products(self, channels: int, train_steps: int, directions: int) -> float:
        if self.is_tied:
            alone = replace(self, is_tied=False).fit_products(1, train_steps, directions)
            return (channels + 1) * alone
        width = (self.context_steps + self.steps_at_once) * channels
        features = self.features(channels)
        solving = features**2 * (features / 3 + self.outputs(channels))
        return width * (directions * train_steps + SHIFTED * width) + solving

    def phrase(self) -> str:
        words = [f"{self.steps_at_once} steps at once"]
        words += [f"less its {self.context_level}"] if self.context_level != "none" else []
        words += [f"tied channels {self.tie:.2g}"] if self.is_tied else []
        return ", ".join([*words, super().phrase()])


@runtime_checkable
class WithError(Solutions, Protocol):
    """A factorised problem that knows the error over what is fitted."""

    def error(self, coefficients: FloatArray) -> float:
        """The mean squared error of some coefficients `[feature, output]`."""
        ...


@dataclass(frozen=True, eq=False)
class Damped:
    """min over w of mean |y - F w|^2 + strength sum_i penalty_i |w_i|^2, by normal equations.

    own: F' F. with_targets: F' y. squares: the sum of those of all targets y. rows: of F.
    penalties: `[feature]`.
    """

    own: FloatArray
    with_targets: FloatArray
    squares: float
    rows: int
    penalties: FloatArray

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, output]` of a strength."""
        return self.near(None, level)

    def near(self, shared: FloatArray | None, tie: float) -> FloatArray:
        """The same, but with what weighs as a squared difference from `shared`; None for zeros."""
        weights = self.rows * tie * self.penalties
        diagonal = np.diag(self.own)
        least = max(LEAST_STRENGTH * float(diagonal.mean()), np.finfo(np.float64).tiny)
        damped, targets = self.own + np.diag(weights + least), self.with_targets
        if shared is not None:
            targets = targets + (weights + least)[:, np.newaxis] * shared
        with one_thread():
            factor = torch.linalg.cholesky(torch.from_numpy(damped))
            solved = torch.cholesky_solve(torch.from_numpy(targets.copy()), factor)
        coefficients: FloatArray = solved.numpy()
        return coefficients

    def error(self, coefficients: FloatArray) -> float:
        """The mean squared error over all rows and outputs of some coefficients."""
        with one_thread():
            explained = np.vdot(2.0 * self.with_targets - self.own @ coefficients, coefficients)
        left = max(self.squares - float(explained), 0.0)
        return float(left / (self.rows * coefficients.shape[1]))


@dataclass(frozen=True, eq=False)
class Tied:
    """Coefficients of each channel that are near those of all.

    problems: of the channels, each by itself, with equal penalties. tie: how much the squared
    differences from the shared coefficients weigh beside a channel's mean squared error, each as
    the square of the coefficient weighs in the shared problem.
    """

    problems: Sequence[Damped]
    tie: float

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, step * channel]`; level: the strength of the shared ones."""
        return side_by_side(tied(self.problems, level, self.tie))

    def error(self, coefficients: FloatArray) -> float:
        return mean_error(self.problems, coefficients)


def mean_error(problems: Sequence[Damped], coefficients: FloatArray) -> float:
    """The mean squared error of coefficients `[feature, step * channel]` over all channels."""
    by_channel = coefficients.reshape(len(coefficients), -1, len(problems))
    errors = [own.error(by_channel[:, :, place]) for place, own in enumerate(problems)]
    return float(np.mean(errors))


def tied(
    problems: Sequence[Damped],
    level: float,
    tie: float,
    near: Sequence[FloatArray] | None = None,
) -> list[FloatArray]:
    """Coefficients `[feature, output]` of each problem, drawn to what all would add to `near`.

    level: the strength that draws what all would add to zero. near: `[feature, output]` of each
    problem; None for zeros. Of one problem, it is what is added.
    """
    targets = [own.with_targets for own in problems]
    if near is not None:
        targets = [y - own.own @ base for y, own, base in zip(targets, problems, near, strict=True)]
    of_all = Damped(
        own=_sum([problem.own for problem in problems]),
        with_targets=_sum(targets),
        squares=sum(problem.squares for problem in problems),
        rows=sum(problem.rows for problem in problems),
        penalties=problems[0].penalties,
    )
    added = of_all.at(level)
    bases = [added] * len(problems) if near is None else [base + added for base in near]
    if len(problems) == 1:
        return bases
    return [own.near(base, tie) for own, base in zip(problems, bases, strict=True)]


def side_by_side(by_channel: Sequence[FloatArray]) -> FloatArray:
    """Coefficients `[feature, step]` of channels as `[feature, step * channel]`."""
    together: FloatArray = np.stack(by_channel, axis=2)
    return together.reshape(len(together), -1)


def _sum(arrays: Sequence[FloatArray]) -> FloatArray:
    """In the order of the arrays."""
    total = arrays[0].copy()
    for own in arrays[1:]:
        total += own
    return total
