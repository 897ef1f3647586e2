"""The coupled oscillatory recurrent network (Rusch & Mishra 2021), arXiv 2010.00951."""

from typing import Any

import torch
from torch import Generator, Tensor

from models.axes import MemberBatchUnit
from models.candidate import Architecture
from models.cells.cell import Cell, times_tanh_slope, uniform


class CoRNN(Cell):
    """z' = z + s (tanh(y W + z U + x V + b) - stiffness y - damping z'); y' = y + s z'.

    Eq. 3 of the paper with the damping taken implicitly (its n' = n), so that no damping is too
    strong for the step s. Each unit is a driven oscillator of position y and velocity z; it turns
    by about s sqrt(stiffness) radians a step, and loses half of s times the damping. The three
    (Δt, γ and ε of the paper) are knobs. The state holds y, then z.
    """

    knobs = ("cornn_step", "cornn_stiffness", "cornn_damping")

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.units = units = self.weights["bias"].shape[-1]
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)
        self.force = self._slots(units)  # tanh(.)
        self.grad_velocity, self.scratch = self._buffer(units), self._buffer(units)
        self.recurrent_t, self.input_t = self._transposed("recurrent"), self._transposed("input")

    @staticmethod
    def shapes(inputs: int, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        units = architecture.units
        return {"input": (inputs, units), "recurrent": (2 * units, units), "bias": (1, units)}

    @staticmethod
    def initialise(
        inputs: int, architecture: Architecture, generator: Generator
    ) -> dict[str, Tensor]:
        # The authors' code has one torch.nn.Linear for the input and both halves of the state.
        bound = (inputs + 2 * architecture.units) ** -0.5
        return {
            name: uniform(shape, bound, generator)
            for name, shape in CoRNN.shapes(inputs, architecture).items()
        }

    @staticmethod
    def state_units(units: int) -> int:
        return 2 * units

    @staticmethod
    def output_units(units: int) -> int:
        return units

    def begin(self) -> None:
        self.step = self.weights["cornn_step"].contiguous()
        self.spring = self.step * self.weights["cornn_stiffness"]
        self.kept = 1.0 / (1.0 + self.step * self.weights["cornn_damping"])

    def begin_backward(self) -> None:
        self.recurrent_t.copy_(self.weights["recurrent"].transpose(1, 2))
        self.input_t.copy_(self.weights["input"].transpose(1, 2))

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, units, force = self.weights, self.units, self.force[slot]
        position, velocity = state[..., :units], state[..., units:]
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, w["recurrent"], out=force).tanh_()
        new_velocity = new_state[..., units:]
        torch.addcmul(velocity, force, self.step, out=new_velocity)
        new_velocity.addcmul_(position, self.spring, value=-1.0).mul_(self.kept)
        torch.addcmul(position, new_velocity, self.step, out=new_state[..., :units])

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
        g, units, grad_sum = self.gradients, self.units, self.grad_sum
        grad_position = grad_new_state[..., :units]
        # Of the velocity before it is damped.
        grad_velocity = torch.addcmul(
            grad_new_state[..., units:], grad_position, self.step, out=self.grad_velocity
        ).mul_(self.kept)
        torch.mul(grad_velocity, self.step, out=self.scratch)
        times_tanh_slope(self.scratch, self.force[slot], out=grad_sum)

        torch.bmm(grad_sum, self.recurrent_t, out=grad_state)
        grad_state[..., :units].add_(grad_position)
        grad_state[..., :units].addcmul_(grad_velocity, self.spring, value=-1.0)
        grad_state[..., units:].add_(grad_velocity)
        if grad_x is not None:
            torch.bmm(grad_sum, self.input_t, out=grad_x)
        g["recurrent"].baddbmm_(state.transpose(1, 2), grad_sum)
        g["input"].baddbmm_(x.transpose(1, 2), grad_sum)
        g["bias"].baddbmm_(self.ones, grad_sum)
