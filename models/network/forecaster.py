"""A population of forecasters of one architecture: its parameters, how they begin, and the head."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.network.architecture import Architecture
from models.network.cells.cell import Cell, Part, times_tanh_slope, uniform
from models.network.linear import INITIAL_LOG_RIDGE
from models.network.options.layer_norm import NormedOutput
from models.network.parameters import FIXED, INCREMENT_STD, Layout
from models.tensors import MemberBatchUnit


@dataclass(frozen=True)
class Forecaster:
    """The network of an architecture for `channels` value columns, without any numbers in it.

    Layers of the cell read the value, the head turns the top layer's output into the next value:
    `head_layers` fully connected tanh layers as wide as the top layer's output, then a linear
    one. With `residual`, the value that was read is added.

    Among the parameters are some that are not trained: `FIXED` begins their names. So a checkpoint
    holds all that a free run needs.
    """

    architecture: Architecture
    channels: int = 1

    dtype: ClassVar[torch.dtype] = torch.float32

    @property
    def cell(self) -> Cell:
        return self.architecture.cell

    @property
    def output_bias(self) -> str:
        """The name of the output layer's bias."""
        return f"head.{self.architecture.head_layers}.bias"

    @property
    def layer_inputs(self) -> list[int]:
        """Numbers that each recurrent layer reads, bottom first."""
        is_whole = self.cell.reads_whole_window
        bottom = self.architecture.context_steps if is_whole else 1
        upper = [self.cell.output_units] * (self.architecture.layers - 1)
        return [bottom * self.channels, *upper]

    @property
    def head_sizes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each fully connected layer, the output layer last."""
        width = self.cell.output_units
        return [(width, width)] * self.architecture.head_layers + [(width, self.channels)]

    def layout(self) -> Layout:
        """Names and shapes of one member's parameters."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i, inputs in enumerate(self.layer_inputs):
            for name, shape in self.cell.shapes(inputs).items():
                shapes[f"cell.{i}.{name}"] = shape
            if self.architecture.has_layer_norm:
                for name, shape in NormedOutput.shapes(self.cell.output_units).items():
                    shapes[f"norm.{i}.{name}"] = shape
        if self.architecture.estimates_state:
            # The bottom layer reads nothing.
            del shapes["cell.0.input"]
            shapes["state.log_ridge"] = (1, 1)
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, shape in Dense.shapes(inputs, outputs).items():
                shapes[f"head.{i}.{name}"] = shape
        for own in self.cell.stored_settings():
            shapes[FIXED + own.name] = (1, 1)
        if self.architecture.scaled_increments:
            shapes[INCREMENT_STD] = (1, self.channels)
        return Layout.of(shapes)

    def initialise(self, generator: Generator) -> Tensor:
        """One member's initial parameters as a row `[parameter]`, from its own generator.

        Those that are fixed have their neutral values, increments the unit 1.
        """
        named: dict[str, Tensor] = {}
        for i, inputs in enumerate(self.layer_inputs):
            for name, value in self.cell.initialise(inputs, generator).items():
                named[f"cell.{i}.{name}"] = value
            if self.architecture.has_layer_norm:
                for name, value in NormedOutput.initialise(self.cell.output_units).items():
                    named[f"norm.{i}.{name}"] = value
        if self.architecture.estimates_state:
            del named["cell.0.input"]
            named["state.log_ridge"] = torch.full((1, 1), INITIAL_LOG_RIDGE)
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, value in Dense.initialise(inputs, outputs, generator).items():
                named[f"head.{i}.{name}"] = value
        for own in self.cell.stored_settings():
            named[FIXED + own.name] = torch.tensor(own.neutral)
        if self.architecture.scaled_increments:
            named[INCREMENT_STD] = torch.ones(1, self.channels)
        return self.layout().pack(named)


class Dense(Part):
    """A layer of the head: y = x W + b as `torch.nn.Linear`, through tanh where it is squashed."""

    squash = True

    def allocate(self) -> None:
        inputs, outputs = self.weights["weight"].shape[1:]
        self.inputs, self.outputs = self._slots(inputs), self._slots(outputs)
        self.grad_input, self.grad_sum = self._buffer(inputs), self._buffer(outputs)

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
        return out.tanh_() if self.squash else out

    def backward(self, slot: int, grad_output: MemberBatchUnit) -> MemberBatchUnit:
        """The gradient of the input; the weights' gradients are added to."""
        grad_sum = grad_output
        if self.squash:
            grad_sum = times_tanh_slope(grad_output, self.outputs[slot], out=self.grad_sum)
        self.gradients["weight"].baddbmm_(self.inputs[slot].transpose(1, 2), grad_sum)
        self.gradients["bias"].baddbmm_(self.ones, grad_sum)
        return torch.bmm(grad_sum, self.weights["weight"].transpose(1, 2), out=self.grad_input)
