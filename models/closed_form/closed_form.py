"""What every closed form provides: a fit by one factorisation, and a free run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from models.methods import Domain, FloatRange, Is, Real, Stage, choice, setting
from models.methods.core import Core
from models.network.options.shape import Scaling
from models.network.parameters import Layout
from models.tensors import Generator, MemberBatchTimeChannel, MemberParameter, Tensor, torch
from models.training.options.augmentation import TimeReversal
from models.training.trained_network import BaseCandidate

FloatArray = NDArray[np.float64]
Fixed = Mapping[str, FloatArray]  # what is not fitted, by name

# Rows of features that are made and factorised at a time: a long series needs no more memory.
BLOCK_ROWS = 4096
# Strengths of a ridge that a held-out span chooses from, in the units of `Ridge.at`.
STRENGTHS = tuple(10.0**exponent for exponent in range(-14, 1))


class Solutions(Protocol):
    """A factorised problem, which gives a solution for every level of its regularisation."""

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, channel]`."""
        ...


def half_of_span(train_steps: int, _: Mapping[str, Domain]) -> int:
    """What a closed form reads at most: the other half of the span is fitted, and held out."""
    return train_steps // 2 if train_steps > 2 else 0


class ClosedForm(Core):
    """A forecaster whose coefficients are fitted by one factorisation, in double precision.

    A free run multiplies what the fit has lost, and on a clean series coefficients differ in their
    tenth digit. Loops over time are numpy's, member by member, and linear algebra is torch's on one
    thread, so that company can't change a bit.
    """

    kind = "closed form"
    stage = Stage.CLOSED_FORM

    # What a held-out end of the training span chooses from, and what a level is called.
    levels: ClassVar[Sequence[float]]
    level_name: ClassVar[str] = "ridge"

    regularisation: str = choice(
        ("given", "held-out"),
        "Whether the level of regularisation is given, or runs freely best over the span's end.",
        stage=Stage.REGULARISATION,
    )

    @property
    def context_steps(self) -> int:
        """True values that a free run starts from."""
        raise NotImplementedError

    @property
    def own_context_steps(self) -> int:
        return self.context_steps

    @property
    def given_level(self) -> float:
        """The level of regularisation that the settings give."""
        raise NotImplementedError

    def features(self, channels: int) -> int:
        """Numbers that a forecast is a linear function of."""
        raise NotImplementedError

    def factorise(self, series: FloatArray, candidate: FittedForm, fixed: Fixed) -> Solutions:
        """Make the problem of fitting `series` `[time, channel]` easy to solve at any level."""
        raise NotImplementedError

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        """Free runs `[run, steps, channel]` after `context` `[run, time, channel]`.

        coefficients: `[run, feature, channel]`, of each run. What is fed back is held within the
        clip; what is returned need not be.
        """
        raise NotImplementedError

    def fixed_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Shapes of what is fixed beforehand."""
        return {}

    def fix(self, channels: int, generator: Generator) -> Fixed:
        """What is fixed beforehand, drawn from a member's own generator."""
        return {}

    def walks(self, directions: int) -> int:
        """How often a fit and its free run walk over the training span, for costs."""
        return 1

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
        FloatRange(1e-14, 1.0, log=True),
        "The weight of squared coefficients beside the mean squared error.",
        neutral=0.0,
        stage=Stage.REGULARISATION,
        when=Is("regularisation", ("given",)),
        without="none",
    )

    @property
    def given_level(self) -> float:
        return self.ridge


@dataclass(frozen=True)
class FormForecaster:
    """A closed form for `channels` value columns, without any numbers in it.

    A member's numbers are what is `fixed` beforehand (most have nothing) and the `coefficients`
    `[feature, channel]`, which are fitted.
    """

    form: ClosedForm
    channels: int = 1

    @property
    def dtype(self) -> torch.dtype:
        """The precision of a member's numbers."""
        return torch.float64

    @property
    def features(self) -> int:
        """Numbers that a forecast is a linear function of."""
        return self.form.features(self.channels)

    def layout(self) -> Layout:
        """Names and shapes of one member's numbers."""
        fixed = self.form.fixed_shapes(self.channels)
        return Layout.of({**fixed, "coefficients": (self.features, self.channels)})

    def pack(self, fixed: Fixed, coefficients: FloatArray) -> Tensor:
        """One member's row `[parameter]`."""
        named = {**fixed, "coefficients": coefficients}
        tensors = {name: torch.from_numpy(value) for name, value in named.items()}
        return self.layout().pack(tensors, self.dtype)

    def free_run(
        self, weights: MemberParameter, context: MemberBatchTimeChannel, steps: int
    ) -> MemberBatchTimeChannel:
        """Forecast `steps` values after `context` `[member, batch, time, channel]`."""
        named = {name: v.numpy() for name, v in self.layout().views(weights.contiguous()).items()}
        runs = []
        for member, known in enumerate(context.double().numpy()):
            own = {name: values[member] for name, values in named.items()}
            coefficients = own.pop("coefficients")
            shared = np.broadcast_to(coefficients, (len(known), *coefficients.shape))
            runs.append(self.form.run(own, shared, known, steps))
        return torch.from_numpy(np.stack(runs))

    def one_step(
        self,
        weights: MemberParameter,
        context: MemberBatchTimeChannel,
        truth: MemberBatchTimeChannel,
    ) -> MemberBatchTimeChannel:
        """Forecast each value of `truth` from as many true values before it as a context has."""
        known = torch.cat([context, truth], dim=2)[:, :, :-1]
        # [member, batch, start, channel, time]
        windows = known.unfold(2, context.shape[2], 1).transpose(3, 4)
        forecasts = self.free_run(weights, windows.flatten(1, 2), steps=1)
        return forecasts.view(truth.shape)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let linear algebra round as on one thread: several would share its sums out otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class FittedForm(BaseCandidate):
    """A closed form with its regularisation, fitted in one or both directions of time."""

    @property
    def form(self) -> ClosedForm:
        """The closed form."""
        form = self.find(ClosedForm)
        assert form is not None
        return form

    @property
    def least_steps(self) -> int:
        """What follows its context within the first three quarters of the span is fitted."""
        return max(2 * self.form.context_steps, 3)

    @property
    def constant(self) -> float:
        """The value of a feature that is the same in all rows: 0 without an offset."""
        return float(self[Scaling].offset)

    def directions(self, series: FloatArray) -> list[FloatArray]:
        """The series, and with time reversal also from its end to its start."""
        return [series, series[::-1]] if self[TimeReversal].time_reversal else [series]

    def description(self) -> str:
        others = [method.phrase() for method in self if method is not self.form]
        parts = [self.form.name, self.form.size(), *others, self.form.phrase()]
        return ", ".join(part for part in parts if part)
