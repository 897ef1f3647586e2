"""What every recurrent cell provides: a declaration, and a layer that steps forwards and back.

A cell is two classes in one file. The one derived from `Cell` declares it: its settings, what it
can do, the shapes and initial values of its parameters. The one derived from `Layer` computes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from models.methods import Choices, Setting, Stage, Whole, counted, setting
from models.methods.method import Core
from models.tensors import Generator, MemberBatchUnit, Tensor, torch


class Cell(Core):
    """A recurrent cell, with the sizes that fix the shapes of its parameters.

    Settings that are marked `is_stored` are numbers that the cell computes with and that are not
    trained; a layer finds them among its weights as `[member, 1, 1]`, by the setting's name.
    """

    kind = "cell"
    is_open = True
    stage = Stage.CELL
    is_trained = True
    is_random = True
    can_add_to_last = True

    layer: ClassVar[type[Layer]]
    # Products of a state with a square matrix at each step, which costs are reckoned from.
    gates: ClassVar[int] = 1
    # What one unit is called.
    unit_name: ClassVar[str] = "unit"

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.is_warmed_up = cls.is_recurrent

    @property
    def units(self) -> int:
        """Hidden units of a layer, or what the cell has instead of them."""
        raise NotImplementedError

    @property
    def output_units(self) -> int:
        """Numbers that a layer hands to the next one, or to the head: the first of its state."""
        return self.units

    @property
    def state_units(self) -> int:
        """Numbers in the state of a layer."""
        return self.units

    @property
    def width(self) -> int:
        """The size of the matrices that costs are reckoned from."""
        return self.units

    @property
    def unroll_work(self) -> float:
        """Work of a layer once for each unroll, whatever the batch, in multiply-adds."""
        return 0.0

    @property
    def kept_numbers(self) -> int:
        """Numbers that a layer keeps of a step for its backward step, at most."""
        return 10 * self.units

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Shapes of one member's parameters, for a layer that reads `inputs` numbers."""
        raise NotImplementedError

    def initialise(self, inputs: int, generator: Generator) -> dict[str, Tensor]:
        """One member's initial parameters from its own generator: torch.nn's, U(-b, b)."""
        bound = self.units**-0.5
        return {n: uniform(shape, bound, generator) for n, shape in self.shapes(inputs).items()}

    def adjust(
        self, parameters: Mapping[str, Tensor], layer: int, series: Tensor, generator: Generator
    ) -> None:
        """Change one member's initial parameters `[1, *shape]` of a layer as its settings say.

        series: what the member trains on, `[time, channel]`, or its segments `[position, width]`,
        which the bottom layer reads step by step. Called after all layers and the head
        are initialised; most cells have nothing to change.
        """

    def transition(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The matrix `[member, state, state]` of a linear cell's state, from a layer's parameters.

        A state s becomes s F when nothing is read.
        """
        raise NotImplementedError

    def frozen(self) -> frozenset[str]:
        """Parameters that keep their initial values in training."""
        return frozenset()

    def size(self) -> str:
        return counted(self.units, self.unit_name)

    @classmethod
    def stored_settings(cls) -> list[Setting]:
        """The settings that are kept among the weights."""
        return [own for own in cls.settings if own.is_stored]


class UnitCell(Cell):
    """A cell whose size is a number of hidden units."""

    # Of a series for which it is searched: see docs/decisions/0132.
    typical = MappingProxyType({"hybrid": "level-ar"})

    hidden_units: int = setting(
        Whole(1, 4096), Choices((16, 32)), "Hidden units of each layer.", shared=True
    )

    @property
    def units(self) -> int:
        return self.hidden_units


@dataclass(slots=True)
class BackwardStep:
    """One step back: what was read and computed, and gradients, all `[member, batch, number]`.

    slot: the memory of the step. x: what was read. state, new_state: before and after it.
    grad_new_state: given. grad_state, grad_x: to be written; grad_x is None where nobody asks.
    """

    slot: int
    x: MemberBatchUnit
    state: MemberBatchUnit
    new_state: MemberBatchUnit
    grad_new_state: MemberBatchUnit
    grad_state: MemberBatchUnit
    grad_x: MemberBatchUnit | None


class Part:
    """A part of a population's networks, unrolled step by step through `slots` of memory.

    The backward step is written by hand and all buffers are made once: with networks this small,
    autograd's bookkeeping and fresh memory would cost more than the arithmetic. Weights are views
    into the population's flat rows. Gradients accumulate in contiguous buffers, since a product
    that is added to a strided view takes four times as long; `Unroll.end` adds them to flat rows.
    """

    # Weights whose transposes the backward step multiplies with, see `transposed`.
    products: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        *,
        slots: int,
        batch: int,
    ) -> None:
        self.weights, self.gradients = weights, gradients
        first = next(iter(weights.values()))
        self.members, self.device = first.shape[0], first.device
        self.slots, self.batch = slots, batch
        # Sums over the batch are products with ones: a plain reduction may group its terms by
        # where a member lies, a matrix product does not.
        self.ones = torch.ones(self.members, 1, batch, device=self.device)
        # Products with a contiguous transpose are nearly twice as fast as with a transposed view.
        self.transposed = {
            name: weights[name].transpose(1, 2).contiguous()
            for name in self.products
            if name in weights
        }
        self.allocate()

    def allocate(self) -> None:
        """Make the memory that the part needs, once, see `_buffer` and `_slots`."""

    def _buffer(self, *units: int) -> Tensor:
        """Memory for one step, `[member, batch, *units]`."""
        return torch.empty(self.members, self.batch, *units, device=self.device)

    def _slots(self, *units: int) -> Tensor:
        """Memory for each step of the unroll, `[slot, member, batch, *units]`."""
        return torch.empty(self.slots, self.members, self.batch, *units, device=self.device)


class Layer(Part, ABC):
    """One recurrent layer of a population."""

    products: ClassVar[tuple[str, ...]] = ("input",)

    def __init_subclass__(cls, *, cell: type[Cell]) -> None:
        cell.layer = cls

    def begin(self) -> None:
        """Compute what depends on the weights alone, once per unroll."""

    def begin_backward(self) -> None:
        """The same for what only `backward` needs."""
        for name, transposed in self.transposed.items():
            transposed.copy_(self.weights[name].transpose(1, 2))

    @abstractmethod
    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        """Write the state after reading `x` into `new_state`; keep in `slot` what `backward` needs.

        `x` is `[member, batch, inputs]`, the states `[member, batch, state_units]`.
        """

    @abstractmethod
    def backward(self, at: BackwardStep) -> None:
        """From the gradient of `new_state`, write those of `state` and `x`, add the weights'."""

    def through_input(
        self, at: BackwardStep, grad: MemberBatchUnit, bias: str | None = "bias"
    ) -> None:
        """Go back through x W + b, from its gradient, to x, to W and to b, the weight `bias`."""
        if at.grad_x is not None:
            torch.bmm(grad, self.transposed["input"], out=at.grad_x)
        self.gradients["input"].baddbmm_(at.x.transpose(1, 2), grad)
        if bias is not None:
            self.gradients[bias].baddbmm_(self.ones, grad)

    def end(self) -> None:
        """Finish gradients that were gathered for derived weights, once per unroll."""


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
