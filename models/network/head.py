"""Fully connected layers of the head and the read-in, forward and back like the cells."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from models.network.cells.cell import times_tanh_slope, uniform
from models.tensors import MemberBatchUnit


class Dense:
    """y = x W + b, the equation of `torch.nn.Linear`, then an activation.

    activation: "tanh", "relu", or "linear" for none.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        *,
        slots: int,
        batch: int,
        activation: str,
    ) -> None:
        self.weights = weights
        self.gradients = gradients
        self.activation = activation
        members, inputs, outputs = weights["weight"].shape
        device = weights["weight"].device
        self.outputs = torch.empty(slots, members, batch, outputs, device=device)
        self.inputs = torch.empty(slots, members, batch, inputs, device=device)
        self.grad_input = torch.empty(members, batch, inputs, device=device)
        self.grad_sum = torch.empty(members, batch, outputs, device=device)
        self.ones = torch.ones(members, 1, batch, device=device)

    @staticmethod
    def shapes(inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        """Shapes of one member's parameters."""
        return {"weight": (inputs, outputs), "bias": (1, outputs)}

    @staticmethod
    def initialise(inputs: int, outputs: int, generator: Generator) -> dict[str, Tensor]:
        """One member's initial parameters, U(-1/sqrt(inputs), 1/sqrt(inputs)) as torch.nn's."""
        return {
            name: uniform(shape, inputs**-0.5, generator)
            for name, shape in Dense.shapes(inputs, outputs).items()
        }

    def forward(self, slot: int, x: MemberBatchUnit) -> MemberBatchUnit:
        """The layer's output, kept in `slot` together with a copy of its input."""
        out = self.outputs[slot]
        kept = self.inputs[slot].copy_(x)
        torch.baddbmm(self.weights["bias"], kept, self.weights["weight"], out=out)
        if self.activation == "tanh":
            out.tanh_()
        elif self.activation == "relu":
            out.relu_()
        return out

    def backward(self, slot: int, grad_output: MemberBatchUnit) -> MemberBatchUnit:
        """The gradient of the input; the weights' gradients are added to."""
        grad_sum = grad_output
        if self.activation == "tanh":
            grad_sum = times_tanh_slope(grad_output, self.outputs[slot], out=self.grad_sum)
        elif self.activation == "relu":
            grad_sum = torch.mul(grad_output, self.outputs[slot] > 0.0, out=self.grad_sum)
        inputs = self.inputs[slot]
        self.gradients["weight"].baddbmm_(inputs.transpose(1, 2), grad_sum)
        self.gradients["bias"].baddbmm_(self.ones, grad_sum)
        return torch.bmm(grad_sum, self.weights["weight"].transpose(1, 2), out=self.grad_input)
