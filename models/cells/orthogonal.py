"""Orthogonal recurrence by Householder reflections (Mhammedi et al. 2017), arXiv 1612.00188."""

import math
from typing import Any

import torch
from torch import Generator, Tensor

from models.axes import MemberBatchUnit
from models.candidate import Architecture
from models.cells.cell import Cell, uniform
from models.cells.lru import PHASE_RANGE
from models.reflections import Reflections


class Orthogonal(Cell):
    """h' = modReLU(h Q + x V), Q a product of `reflections` Householder reflections.

    modReLU(a) = sign(a) relu(|a| + b), with a trained threshold b for each unit (Arjovsky et al.
    2016; for real numbers Helfrich et al. 2018): at b = 0 it does nothing, and the state only
    turns. Q is exactly orthogonal whatever its vectors are, by products and sums alone: a
    factorisation or a matrix exponential may round differently for other cohorts.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        units = self.weights["threshold"].shape[-1]
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)
        self.sign, self.signed_grad = self._buffer(units), self._buffer(units)
        self.input_t = self._transposed("input")
        self.reflections = Reflections(self.weights["vectors"])
        self.transition_t = torch.empty_like(self.reflections.product)
        self.grad_transition = torch.empty_like(self.reflections.product)

    @staticmethod
    def shapes(inputs: int, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        units = architecture.units
        return {
            "vectors": (architecture.reflections, units),
            "input": (inputs, units),
            "threshold": (1, units),
        }

    @staticmethod
    def initialise(
        inputs: int, architecture: Architecture, generator: Generator
    ) -> dict[str, Tensor]:
        shapes, units = Orthogonal.shapes(inputs, architecture), architecture.units
        return {
            "vectors": _slow_rotations(architecture.reflections, units, generator),
            "input": uniform(shapes["input"], units**-0.5, generator),
            "threshold": uniform(shapes["threshold"], 0.01, generator),
        }

    @staticmethod
    def state_units(units: int) -> int:
        return units

    @staticmethod
    def output_units(units: int) -> int:
        return units

    def begin(self) -> None:
        self.reflections.multiply()

    def begin_backward(self) -> None:
        self.transition_t.copy_(self.reflections.product.transpose(1, 2))
        self.input_t.copy_(self.weights["input"].transpose(1, 2))
        self.grad_transition.zero_()

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        torch.bmm(x, self.weights["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, self.reflections.product, out=self.grad_sum)
        torch.sign(self.grad_sum, out=self.sign)
        self.grad_sum.abs_().add_(self.weights["threshold"]).relu_()
        torch.mul(self.grad_sum, self.sign, out=new_state)

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
        # Where the output is not zero it has the sign of the sum, and the slope is 1.
        torch.sign(new_state, out=self.sign)
        torch.mul(grad_new_state, self.sign, out=self.signed_grad)
        torch.mul(self.signed_grad, self.sign, out=grad_sum)
        torch.bmm(grad_sum, self.transition_t, out=grad_state)
        if grad_x is not None:
            torch.bmm(grad_sum, self.input_t, out=grad_x)
        self.grad_transition.baddbmm_(state.transpose(1, 2), grad_sum)
        g["input"].baddbmm_(x.transpose(1, 2), grad_sum)
        g["threshold"].baddbmm_(self.ones, self.signed_grad)

    def end(self) -> None:
        self.gradients["vectors"].add_(self.reflections.gradient(self.grad_transition))


def _slow_rotations(count: int, units: int, generator: Generator) -> Tensor:
    """Vectors `[reflection, unit]` of which each pair is a rotation by a small angle.

    Two reflections turn by twice the angle between their vectors. The planes are random, the angles
    those at which the linear recurrent unit starts; an odd last vector is a reflection.
    """
    low, high = (math.log(bound) for bound in PHASE_RANGE)
    first = torch.randn(-(-count // 2), units, generator=generator)
    first = first / first.norm(dim=1, keepdim=True)
    across = torch.randn(first.shape, generator=generator)
    across = across - (across * first).sum(1, keepdim=True) * first
    across = across / across.norm(dim=1, keepdim=True).clamp(min=1e-6)
    angles = torch.exp(torch.empty(len(first), 1).uniform_(low, high, generator=generator))
    second = first + torch.tan(angles / 2) * across
    return torch.stack([first, second], dim=1).flatten(0, 1)[:count]
