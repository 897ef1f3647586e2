"""What every recurrent cell provides: shapes, an initialisation, one step forward, one back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.axes import MemberBatchUnit
from models.candidate import Architecture


class Cell(ABC):
    """One recurrent layer of a population, unrolled step by step through `slots` of memory.

    The backward step is written by hand and all buffers are made once: with nets this small,
    autograd's bookkeeping and fresh memory would cost more than the arithmetic. Weights are views
    into the population's flat rows. Gradients are added to; theirs is contiguous memory, since a
    product that is added to a strided view takes four times as long.

    `knobs` are the numbers of a strategy that the cell computes with but that are not trained: one
    for each member, among the weights as `[member, 1, 1]`.
    """

    knobs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        *,
        slots: int,
        batch: int,
    ) -> None:
        self.weights = weights
        self.gradients = gradients
        first = next(iter(weights.values()))
        self.members = first.shape[0]
        self.device = first.device
        self.batch = batch
        self.slots = slots
        # Sums over the batch are products with ones: a plain reduction may group its terms by
        # where a member lies, a matrix product does not.
        self.ones = torch.ones(self.members, 1, batch, device=self.device)

    @staticmethod
    @abstractmethod
    def shapes(inputs: int, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Shapes of one member's parameters."""

    @staticmethod
    @abstractmethod
    def initialise(
        inputs: int, architecture: Architecture, generator: Generator
    ) -> dict[str, Tensor]:
        """One member's initial parameters, drawn from its own generator."""

    @staticmethod
    @abstractmethod
    def state_units(units: int) -> int:
        """Numbers in the state of one layer; its first `output_units` are the layer's output."""

    @staticmethod
    @abstractmethod
    def output_units(units: int) -> int:
        """Numbers that the layer hands to the next one."""

    def begin(self) -> None:  # noqa: B027 (most cells have none)
        """Compute what depends on the weights alone, once per unroll."""

    def begin_backward(self) -> None:  # noqa: B027
        """The same for what only `backward` needs."""

    @abstractmethod
    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        """Write the state after reading `x` into `new_state`; keep in `slot` what `backward` needs.

        `x` is `[member, batch, inputs]`, the states `[member, batch, state_units]`.
        """

    @abstractmethod
    def backward(
        self,
        slot: int,
        x: MemberBatchUnit,
        state: MemberBatchUnit,
        new_state: MemberBatchUnit,
        grad_new_state: MemberBatchUnit,
        grad_state: MemberBatchUnit,
        grad_x: MemberBatchUnit | None,
    ) -> None:
        """From the gradient of `new_state`, write those of `state` and `x`, add the weights'.

        `grad_x` is None where nobody asks for the gradient of `x`.
        """

    def end(self) -> None:  # noqa: B027
        """Finish gradients that were gathered for derived weights, once per unroll."""

    def _buffer(self, *units: int) -> Tensor:
        """Memory for one step, `[member, batch, *units]`."""
        return torch.empty(self.members, self.batch, *units, device=self.device)

    def _transposed(self, name: str) -> Tensor:
        """Memory for a transposed weight, `[member, outputs, inputs]`.

        Products with a contiguous transpose are nearly twice as fast as with a transposed view.
        """
        _, inputs, outputs = self.weights[name].shape
        return torch.empty(self.members, outputs, inputs, device=self.device)

    def _slots(self, *units: int) -> Tensor:
        """Memory for each step of the unroll, `[slot, member, batch, *units]`."""
        return torch.empty(self.slots, self.members, self.batch, *units, device=self.device)


def uniform(shape: tuple[int, ...], bound: float, generator: Generator) -> Tensor:
    """Draw from U(-bound, bound), torch.nn's initialisation of recurrent layers."""
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def times_tanh_slope(grad: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """grad * (1 - y^2), the gradient before a tanh whose output is y; `out` is none of the two."""
    torch.mul(y, y, out=out)
    return torch.addcmul(grad, grad, out, value=-1.0, out=out)


def times_sigmoid_slope(grad: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """grad * y * (1 - y), the gradient before a sigmoid whose output is y; overwrites `grad`."""
    grad.mul_(y)
    return torch.addcmul(grad, grad, y, value=-1.0, out=out)


def sigmoid_(x: Tensor) -> Tensor:
    """Logistic function in place.

    torch's own vectorised sigmoid rounds differently at a buffer's end; tanh does not.
    """
    return x.mul_(0.5).tanh_().mul_(0.5).add_(0.5)
