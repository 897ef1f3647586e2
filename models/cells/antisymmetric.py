"""The antisymmetric recurrent network (Chang, Chen, Haber & Chi 2019), arXiv 1902.09689."""

from typing import Any

import torch
from torch import Generator, Tensor

from models.axes import MemberBatchUnit
from models.candidate import Architecture
from models.cells.cell import Cell, times_tanh_slope, uniform


class Antisymmetric(Cell):
    """h' = h + step * tanh(h (W - W^T - diffusion I) + x V + b).

    The paper's AntisymmetricRNN with diffusion and without gates: one step of Euler's method for
    an equation whose Jacobian has eigenvalues with a small negative real part, so that what is
    remembered neither grows nor dies quickly. Step and diffusion (ε and γ of the paper) are
    knobs. The gradient of the matrix is mapped back to W once per unroll.
    """

    knobs = ("antisymmetric_step", "antisymmetric_diffusion")

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        units = self.weights["bias"].shape[-1]
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)
        self.change = self._slots(units)  # tanh(.)
        self.scratch = self._buffer(units)
        self.transition = torch.empty(self.members, units, units, device=self.device)
        self.transition_t, self.input_t = self._transposed("recurrent"), self._transposed("input")
        self.grad_transition = torch.empty_like(self.transition)

    @staticmethod
    def shapes(inputs: int, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        units = architecture.units
        return {"input": (inputs, units), "recurrent": (units, units), "bias": (1, units)}

    @staticmethod
    def initialise(
        inputs: int, architecture: Architecture, generator: Generator
    ) -> dict[str, Tensor]:
        units = architecture.units
        shapes = Antisymmetric.shapes(inputs, architecture)
        return {
            "input": uniform(shapes["input"], units**-0.5, generator),
            # The paper's N(0, 1 / units).
            "recurrent": torch.randn(shapes["recurrent"], generator=generator) * units**-0.5,
            "bias": torch.zeros(shapes["bias"]),
        }

    @staticmethod
    def state_units(units: int) -> int:
        return units

    @staticmethod
    def output_units(units: int) -> int:
        return units

    def begin(self) -> None:
        weight = self.weights["recurrent"]
        self.step = self.weights["antisymmetric_step"].contiguous()
        torch.sub(weight, weight.transpose(1, 2), out=self.transition)
        diagonal = self.transition.diagonal(dim1=1, dim2=2)
        diagonal.sub_(self.weights["antisymmetric_diffusion"][:, 0])

    def begin_backward(self) -> None:
        self.transition_t.copy_(self.transition.transpose(1, 2))
        self.input_t.copy_(self.weights["input"].transpose(1, 2))
        self.grad_transition.zero_()

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, change = self.weights, self.change[slot]
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, self.transition, out=change).tanh_()
        torch.addcmul(state, change, self.step, out=new_state)

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
        g, grad_sum = self.gradients, self.grad_sum
        torch.mul(grad_new_state, self.step, out=self.scratch)
        times_tanh_slope(self.scratch, self.change[slot], out=grad_sum)
        torch.baddbmm(grad_new_state, grad_sum, self.transition_t, out=grad_state)
        if grad_x is not None:
            torch.bmm(grad_sum, self.input_t, out=grad_x)
        self.grad_transition.baddbmm_(state.transpose(1, 2), grad_sum)
        g["input"].baddbmm_(x.transpose(1, 2), grad_sum)
        g["bias"].baddbmm_(self.ones, grad_sum)

    def end(self) -> None:
        self.gradients["recurrent"].add_(self.grad_transition)
        self.gradients["recurrent"].sub_(self.grad_transition.transpose(1, 2))
