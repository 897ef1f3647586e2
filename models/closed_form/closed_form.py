"""What every closed form provides: a fit by one factorisation, and a free run."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from models.axes import MemberBatchTimeChannel, MemberParameter
from models.candidate import Architecture, Strategy
from models.parameters import Layout

FloatArray = NDArray[np.float64]
Fixed = Mapping[str, FloatArray]  # what is not fitted, by name

# Rows of features that are made and factorised at a time: a long series needs no more memory.
BLOCK_ROWS = 4096


class Solutions(Protocol):
    """A factorised problem, which gives a solution for every level of its regularisation."""

    def at(self, level: float) -> FloatArray:
        """Coefficients `[feature, channel]`."""
        ...


@dataclass(frozen=True)
class ClosedForm(ABC):
    """A forecaster of an architecture for `channels` value columns, without any numbers in it.

    A member's numbers are what is `fixed` beforehand (most have nothing) and the `coefficients`
    `[feature, channel]`, which are fitted. Everything is double precision: a free run multiplies
    what the fit has lost, and on a clean series coefficients differ in their tenth digit.

    Loops over time are numpy's, member by member, and linear algebra is torch's on one thread, so
    that company can't change a bit.
    """

    architecture: Architecture
    channels: int = 1

    dtype: ClassVar[torch.dtype] = torch.float64
    # Whether members of one strategy differ by their seeds.
    is_random: ClassVar[bool] = False
    # What a held-out end of the training span chooses from.
    levels: ClassVar[Sequence[float]]

    @property
    @abstractmethod
    def features(self) -> int:
        """Numbers that a forecast is a linear function of."""

    @abstractmethod
    def factorise(self, series: FloatArray, strategy: Strategy, fixed: Fixed) -> Solutions:
        """Make the problem of fitting `series` `[time, channel]` easy to solve at any level."""

    @abstractmethod
    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        """Free runs `[run, steps, channel]` after `context` `[run, time, channel]`.

        coefficients: `[run, feature, channel]`, of each run. What is fed back is held within the
        clip; what is returned need not be.
        """

    @abstractmethod
    def given_level(self, strategy: Strategy) -> float:
        """The level of regularisation that a strategy gives."""

    def fixed_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what is fixed beforehand."""
        return {}

    def fix(self, strategy: Strategy, generator: Generator) -> Fixed:
        """What is fixed beforehand, drawn from a member's own generator."""
        return {}

    def layout(self) -> Layout:
        """Names and shapes of one member's numbers."""
        return Layout.of({**self.fixed_shapes(), "coefficients": (self.features, self.channels)})

    def pack(self, fixed: Fixed, coefficients: FloatArray) -> Tensor:
        """One member's row `[parameter]`."""
        named = {**fixed, "coefficients": coefficients}
        tensors = {name: torch.from_numpy(value) for name, value in named.items()}
        return self.layout().pack(tensors, self.dtype)

    def free_run(
        self, weights: MemberParameter, context: MemberBatchTimeChannel, steps: int
    ) -> MemberBatchTimeChannel:
        """Forecast `steps` values after `context` `[member, batch, time, channel]`, see `run`."""
        named = {name: v.numpy() for name, v in self.layout().views(weights.contiguous()).items()}
        runs = []
        for member, known in enumerate(context.double().numpy()):
            own = {name: values[member] for name, values in named.items()}
            coefficients = own.pop("coefficients")
            shared = np.broadcast_to(coefficients, (len(known), *coefficients.shape))
            runs.append(self.run(own, shared, known, steps))
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


def directions(series: FloatArray, strategy: Strategy) -> list[FloatArray]:
    """The series, and with `time_reversal` also from its end to its start."""
    return [series, series[::-1]] if strategy.time_reversal else [series]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let linear algebra round as on one thread: several would share its sums out otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
