"""The window MLP: no recurrence, a control. The classical nonlinear autoregression.

Lapedes & Farber (1987), "Nonlinear signal processing using neural networks".
"""

from typing import Any

import torch
from torch import Generator, Tensor

from models.axes import MemberBatchUnit
from models.candidate import Architecture
from models.cells.cell import Cell, times_tanh_slope, uniform


class MLP(Cell):
    """h' = tanh(x W + b): a fully connected layer, whose bottom one reads a whole window at once.

    It is a cell so that layers, head, options and training are those of the others; the state is
    written and never read.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.grad_sum = self._buffer(self.weights["bias"].shape[-1])
        self.input_t = self._transposed("input")

    @staticmethod
    def shapes(inputs: int, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        return {"input": (inputs, architecture.units), "bias": (1, architecture.units)}

    @staticmethod
    def initialise(
        inputs: int, architecture: Architecture, generator: Generator
    ) -> dict[str, Tensor]:
        return {
            name: uniform(shape, inputs**-0.5, generator)
            for name, shape in MLP.shapes(inputs, architecture).items()
        }

    @staticmethod
    def state_units(units: int) -> int:
        return units

    @staticmethod
    def output_units(units: int) -> int:
        return units

    def begin_backward(self) -> None:
        self.input_t.copy_(self.weights["input"].transpose(1, 2))

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        torch.baddbmm(self.weights["bias"], x, self.weights["input"], out=new_state).tanh_()

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
        grad_sum = times_tanh_slope(grad_new_state, new_state, out=self.grad_sum)
        grad_state.zero_()
        if grad_x is not None:
            torch.bmm(grad_sum, self.input_t, out=grad_x)
        self.gradients["input"].baddbmm_(x.transpose(1, 2), grad_sum)
        self.gradients["bias"].baddbmm_(self.ones, grad_sum)
