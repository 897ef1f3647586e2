"""What every closed form provides: a fit by one factorisation, and a free run.

Most forecast from the last few values, or by ridge regression for any number of strengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from models.closed_form.ridge import Block, Ridge
from models.cohort import BaseCandidate
from models.methods import Choices, Domain, FloatRange, Is, Real, Stage, choice, setting
from models.methods.method import Core
from models.network.options.learning import TimeReversal
from models.network.options.segments import segment_length
from models.network.options.shape import Residual, Scaling
from models.network.options.transforms import lag_of, longest_lag
from models.network.parameters import Layout
from models.tensors import RUN_BOUND, Generator

FloatArray = NDArray[np.float64]
Fixed = Mapping[str, FloatArray]  # what is not fitted, by name

# Rows of features that are made and factorised at a time: a long series needs no more memory.
BLOCK_ROWS = 4096
# A fit takes time by the third power of what it factorises. Channels may enlarge that to so much,
# or by this factor.
MOST_FACTORISED, ENLARGED = 2000, 1.1
# Strengths of a ridge that a held-out span chooses from, in the units of `Ridge.at`.
STRENGTH_RANGE = FloatRange(1e-14, 1.0, log=True)
NOISE_FREE_RANGE = FloatRange(1e-12, 1e-4, log=True)
REGULARISATIONS = ("given", "held-out")
LEVELS_TAKEN = ("none", "mean", "last")
STRENGTHS = tuple(10.0**exponent for exponent in range(-14, 1))


class Solutions(Protocol):
    """A factorised problem, which gives a solution for every level of its regularisation."""

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, output]`."""
        ...


def half_of_span(train_steps: int, space: Mapping[str, Domain]) -> int:
    """What a closed form reads at most: the other half of the span is fitted, and held out."""
    left = train_steps - longest_lag(space)
    return left // 2 if left > 2 else 0


def quarter_of_span(train_steps: int, space: Mapping[str, Domain]) -> int:
    """What is forecast at once at most: it follows half of the span, and a quarter is held out."""
    return max((train_steps - longest_lag(space)) // 4, 1)


class ClosedForm(Core):
    """A forecaster whose coefficients are fitted by one factorisation, in double precision.

    A free run amplifies the rounding errors of the fit. Loops over time are numpy's, member by
    member, and linear algebra is torch's on one thread, so that company can't change a bit.
    """

    kind = "closed form"
    is_open = True
    stage = Stage.CLOSED_FORM

    # What a held-out end of the training span chooses from, and what a level is called.
    levels: ClassVar[Sequence[float]]
    level_name: ClassVar[str] = "ridge"

    regularisation: str = choice(
        REGULARISATIONS,
        "Whether the level of regularisation is given, or runs freely best over the span's end.",
        stage=Stage.REGULARISATION,
        # One free run over the span's end says less of a level than the many blocks that a series
        # without noise is validated on.
        suits=lambda series: Choices(("given",) if series.is_noise_free else REGULARISATIONS),
    )

    @property
    def context_steps(self) -> int:
        """True values that a free run starts from."""
        raise NotImplementedError

    @property
    def given_level(self) -> float:
        """The level of regularisation that the settings give."""
        raise NotImplementedError

    def features(self, channels: int) -> int:
        """Numbers that a forecast is a linear function of."""
        raise NotImplementedError

    def fitted_features(self, channels: int, train_steps: int) -> int:
        """Those of the features that a training span of so many steps can use."""
        return self.features(channels)

    def factorised(self, channels: int) -> int:
        """Rows of the largest matrix that a fit factorises and that channels may enlarge."""
        return self.features(channels)

    def fits_at_once(self, channels: int) -> bool:
        """Whether channels leave what is factorised small, or about as large as for one."""
        rows = self.factorised(channels)
        return rows <= MOST_FACTORISED or rows <= ENLARGED * self.factorised(1)

    def outputs(self, channels: int) -> int:
        """Numbers that are forecast at once."""
        return channels

    @property
    def steps_at_once(self) -> int:
        """Values that are forecast at once: a window has to be followed by as many to be fitted."""
        return self.outputs(channels=1)

    def measure(self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed) -> Fixed:
        """Add to what is drawn what is measured of the fitted `pieces`, see `factorise`."""
        return fixed

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        """Make the problem of fitting a series easy to solve at any level.

        pieces: the stretches `[time, channel]` of the series that are fitted, in the order of time,
        with a gap between any two: no window may run from one into the next. A stretch may be too
        short for a window; the longest one is not.
        """
        raise NotImplementedError

    def regularised(self, problem: Solutions) -> Solutions:
        """A factorised problem with this form's own regularisation, beside its level.

        problem: of a form that differs from this one in settings of regularisation alone. Forms
        that have more such settings than their level replace here what follows from these.
        """
        return problem

    def training_error(
        self, problem: Solutions, level: float, coefficients: FloatArray
    ) -> float | None:
        """The mean squared error over what was fitted, where it is known without a forecast.

        coefficients: those of the problem at that level. None where it would have to be computed: a
        second fit, without the end of the span, tells more then.
        """
        return None

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        """Free runs `[run, steps, channel]` after `context` `[run, time, channel]`.

        coefficients: `[run, feature, output]`, of each run. What is fed back is held within
        RUN_BOUND; what is returned need not be.
        """
        raise NotImplementedError

    def fixed_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters that are not fitted: drawn, or measured of the training span."""
        return {}

    def layout(self, channels: int) -> Layout:
        """Names and shapes of one member's numbers: what is fixed, then the coefficients."""
        fitted = (self.features(channels), self.outputs(channels))
        return Layout.of({**self.fixed_shapes(channels), "coefficients": fitted})

    def fix(self, channels: int, generator: Generator) -> Fixed:
        """Draw the parameters that are drawn, from a member's own generator."""
        return {}

    def walks(self, directions: int) -> int:
        """How often a fit and its free run walk over the training span, for costs."""
        return 1

    def fit_products(self, channels: int, train_steps: int, directions: int) -> float:
        """Multiply-adds of a fit, roughly, for costs: those of a factorisation of all rows."""
        numbers = self.fitted_features(channels, train_steps) + self.outputs(channels) - 1
        return numbers**2 * (directions * train_steps / 4 + numbers)

    def phrase(self) -> str:
        if self.regularisation == "held-out":
            return f"{self.level_name} chosen on the last quarter"
        return f"{self.level_name} {self.given_level:.2g}"


class RidgeForm(ClosedForm):
    """A closed form that is fitted by ridge regression."""

    levels = STRENGTHS
    can_add_to_last = True

    ridge: float = setting(
        Real(0, 1e6),
        STRENGTH_RANGE,
        "The weight of squared coefficients beside the mean squared error.",
        neutral=0.0,
        stage=Stage.REGULARISATION,
        when=Is("regularisation", ("given",)),
        suits=lambda series: NOISE_FREE_RANGE if series.is_noise_free else STRENGTH_RANGE,
        without="none",
    )

    @property
    def given_level(self) -> float:
        return self.ridge


class Lagged(ClosedForm):
    """Features are the values of the context, or what `expand` makes of them."""

    # How many values are forecast at once; they are fed back together.
    segment_steps: int = 1

    @property
    def lags(self) -> int:
        """How many values a forecast is made from."""
        return self.context_steps

    def outputs(self, channels: int) -> int:
        return self.segment_steps * channels

    def level(self, values: FloatArray, channels: int) -> FloatArray | None:
        """What is taken off values `[row, lag * channel]`, `[row, 1, channel]`; None for nothing.

        It is added to the forecast again.
        """
        return None

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

    def ahead_of(self, features: FloatArray, by_output: FloatArray) -> FloatArray:
        """What is forecast at once `[row, step * channel]`.

        features: of `expand`. by_output: `[row, output, feature]`, the coefficients of each row.
        """
        forecast: FloatArray = np.vecdot(features[:, np.newaxis], by_output)
        return forecast

    def blocks(self, pieces: Sequence[FloatArray], candidate: FittedForm) -> Iterator[Block]:
        """Features and targets of all segments that have enough values before them."""
        channels = pieces[0].shape[1]
        for stretch in candidate.stretches(pieces):
            for values, targets in lagged(stretch, self.lags, self.segment_steps):
                level = self.level(values, channels)
                if level is not None:
                    values = _less(values, level)
                    targets = _less(targets, level)
                yield self.expand(values, channels, candidate.constant), targets

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        runs, channels = len(context), context.shape[2]
        known, width = self.lags * channels, self.steps_at_once * channels
        values = np.empty((runs, known + -(-steps // self.steps_at_once) * width))
        values[:, :known] = context[:, -self.lags :].reshape(runs, -1)
        by_output = _by_output(coefficients)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, steps * channels, width):
                read = values[:, start : start + known]
                level = self.level(read, channels)
                shifted = read if level is None else _less(read, level)
                features = self.expand(shifted, channels, 1.0)
                forecast = self.ahead_of(features, by_output)
                if level is not None:
                    forecast = _less(forecast, -level)
                held = np.minimum(np.maximum(forecast, -RUN_BOUND), RUN_BOUND)
                values[:, start + known : start + known + width] = held
        return values[:, known:].reshape(runs, -1, channels)[:, :steps]


def level_choice() -> Any:
    """The setting of what is taken off the last values, which closed forms share."""
    return choice(
        LEVELS_TAKEN,
        "What is taken off the context, and added to the forecast: its mean, or its last value.",
        name="context_level",
        shared=True,
        # What is learnt at other levels holds at a new one if it goes with the level.
        suits=lambda series: Choices(LEVELS_TAKEN[series.has_new_level :]),
        without="nothing taken off",
    )


def level_of(name: str, windows: FloatArray) -> FloatArray | None:
    """The level `[row, 1, channel]` of windows `[row, time, channel]`; None for nothing."""
    if name == "mean":
        mean: FloatArray = windows.mean(axis=1, keepdims=True)
        return mean
    return windows[:, -1:] if name == "last" else None


class LaggedRidge(Lagged, RidgeForm):
    """Ridge regression on what is made of the last values."""

    segment_steps: int = segment_length(most=quarter_of_span)
    context_level: str = level_choice()

    def level(self, values: FloatArray, channels: int) -> FloatArray | None:
        return level_of(self.context_level, values.reshape(len(values), -1, channels))

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        latest = self.latest(pieces[0].shape[1]) if candidate[Residual].residual else None
        return Ridge.of(self.blocks(pieces, candidate), latest)

    def phrase(self) -> str:
        words = [f"segments of {self.segment_steps}"] if self.segment_steps > 1 else []
        words += [f"less its {self.context_level}"] if self.context_level != "none" else []
        return ", ".join([*words, super().phrase()])


class FittedForm(BaseCandidate):
    """A closed form with its regularisation, fitted in one or both directions of time."""

    @property
    def form(self) -> ClosedForm:
        form = self.find(ClosedForm)
        assert form is not None
        return form

    @property
    def least_steps(self) -> int:
        """What follows its context within the first three quarters of the span is fitted."""
        fitted = -(-4 * (self.form.context_steps + self.form.steps_at_once) // 3)
        return max(2 * self.form.context_steps, 3, fitted) + lag_of(self)

    @property
    def constant(self) -> float:
        """The value of a feature that is the same in all rows: 0 without an offset."""
        return float(self[Scaling].offset)

    def stretches(self, pieces: Sequence[FloatArray]) -> Iterator[FloatArray]:
        """Each piece of a series, and with time reversal also from its end to its start."""
        for piece in pieces:
            yield piece
            if self[TimeReversal].time_reversal:
                yield piece[::-1]

    def description(self) -> str:
        others = [method.phrase() for method in self if method is not self.form]
        parts = [self.form.name, self.form.size(), *others, self.form.phrase()]
        return ", ".join(part for part in parts if part)


def lagged(series: FloatArray, lags: int, ahead: int = 1) -> Iterator[Block]:
    """Blocks of rows: `lags` values `[row, lag * channel]`, and the `ahead` values after them."""
    last = len(series) - ahead + 1
    for first in range(lags, last, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, last - first)
        before = series[first - lags : first + rows - 1]
        after = series[first : first + rows + ahead - 1]
        yield _windows(before, lags), _windows(after, ahead)


def _windows(values: FloatArray, steps: int) -> FloatArray:
    """All runs of so many values, `[row, step * channel]`."""
    windows = np.lib.stride_tricks.sliding_window_view(values, steps, axis=0)
    return windows.transpose(0, 2, 1).reshape(len(windows), -1)


def _by_output(coefficients: FloatArray) -> FloatArray:
    """Coefficients `[run, feature, output]` as `[run, output, feature]`, those of one side by side.

    What all runs share is not copied for each of them.
    """
    if coefficients.strides[0]:
        return np.ascontiguousarray(coefficients.transpose(0, 2, 1))
    shared = np.ascontiguousarray(coefficients[0].T)
    return np.broadcast_to(shared, (len(coefficients), *shared.shape))


def _less(values: FloatArray, level: FloatArray) -> FloatArray:
    """Values `[row, step * channel]` less a level `[row, 1, channel]`."""
    rows, _, channels = level.shape
    return (values.reshape(rows, -1, channels) - level).reshape(rows, -1)
