"""The plain recurrent cell with tanh (Elman 1990)."""

from __future__ import annotations

from typing import Any

from models.network.cells.cell import Layer, UnitCell, times_tanh_slope
from models.tensors import MemberBatchUnit, torch


class RNN(UnitCell, name="rnn", label="RNN", source="Elman (1990)", rank=1, searched=True):
    """The plain recurrent cell with tanh, as `torch.nn.RNN` with its two biases as one.

    h' = tanh(x W + h U + b).

    """

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {"input": (inputs, units), "recurrent": (units, units), "bias": (1, units)}


class RNNLayer(Layer, cell=RNN):
    """See `RNN`."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        units = self.weights["bias"].shape[-1]
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)
        self.recurrent_t, self.input_t = self._transposed("recurrent"), self._transposed("input")

    def begin_backward(self) -> None:
        self.recurrent_t.copy_(self.weights["recurrent"].transpose(1, 2))
        self.input_t.copy_(self.weights["input"].transpose(1, 2))

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w = self.weights
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, w["recurrent"], out=new_state).tanh_()

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
        g = self.gradients
        grad_sum = times_tanh_slope(grad_new_state, new_state, out=self.grad_sum)
        torch.bmm(grad_sum, self.recurrent_t, out=grad_state)
        if grad_x is not None:
            torch.bmm(grad_sum, self.input_t, out=grad_x)
        g["recurrent"].baddbmm_(state.transpose(1, 2), grad_sum)
        g["input"].baddbmm_(x.transpose(1, 2), grad_sum)
        g["bias"].baddbmm_(self.ones, grad_sum)
