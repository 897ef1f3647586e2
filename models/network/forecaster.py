"""A population of forecasters of one architecture: its parameters, how they begin, and the head."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.network.architecture import Architecture
from models.network.cells.cell import Cell, Part, times_tanh_slope, uniform
from models.network.linear import INITIAL_LOG_RIDGE
from models.network.options.layer_norm import NormedOutput
from models.network.parameters import AUTOREGRESSION, EMBEDDING, FIXED, INCREMENT_STD, Layout
from models.tensors import MemberBatchUnit


@dataclass(frozen=True)
class Forecaster:
    """The network of an architecture for `channels` value columns, without any numbers in it.

    Layers of the cell read a segment (a single value, where `segment_steps` is 1), the head turns
    the top layer's output into the next one: `head_layers` fully connected tanh layers as wide as
    the top layer's output, then a linear one. With `residual`, the last value that was read is
    added; with `hybrid`, what a fixed autoregression forecasts from the last ones, and the output
    layer starts at zero. A read-in layer may stand before the cell. Parallel decoding has an
    embedding for each segment that is decoded from one state, which the cell reads in the place of
    a segment.

    exogenous: known columns that are read beside the values, those of the rows that a step is about
    to forecast; see `KnownInputs`.

    Among the parameters are some that are not trained: `FIXED` begins their names. So a checkpoint
    holds all that a free run needs.
    """

    architecture: Architecture
    channels: int = 1
    exogenous: int = 0

    dtype: ClassVar[torch.dtype] = torch.float32

    @property
    def cell(self) -> Cell:
        return self.architecture.cell

    @property
    def width(self) -> int:
        """Numbers that one step forecasts: those of a segment, of all channels."""
        return self.architecture.segment_steps * self.channels

    @property
    def read_width(self) -> int:
        """Numbers that are read of a segment: its values, and behind them the known columns."""
        return self.architecture.segment_steps * (self.channels + self.exogenous)

    @property
    def autoregression_shape(self) -> tuple[int, int, int]:
        """Channels, values that the autoregression of a hybrid reads, and those it forecasts."""
        architecture = self.architecture
        return self.channels, architecture.autoregressive_steps, architecture.segment_steps

    @property
    def output_bias(self) -> str:
        """The name of the output layer's bias."""
        return f"head.{self.architecture.head_layers}.bias"

    @property
    def layer_inputs(self) -> list[int]:
        """Numbers that each recurrent layer reads, bottom first."""
        units = self.cell.output_units
        if self.cell.reads_whole_window:
            bottom = self.architecture.context_steps * (self.channels + self.exogenous)
        else:
            bottom = self.read_width if self.architecture.read_in == "none" else units
        return [bottom] + [units] * (self.architecture.layers - 1)

    @property
    def head_sizes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each fully connected layer, the output layer last."""
        units = self.cell.output_units
        return [(units, units)] * self.architecture.head_layers + [(units, self.width)]

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
        if self.architecture.read_in != "none":
            for name, shape in Dense.shapes(self.read_width, self.layer_inputs[0]).items():
                shapes[f"read_in.{name}"] = shape
        if self.architecture.parallel_segments is not None:
            shapes[EMBEDDING] = (self.architecture.parallel_segments, self.layer_inputs[0])
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, shape in Dense.shapes(inputs, outputs).items():
                shapes[f"head.{i}.{name}"] = shape
        for own in self.cell.stored_settings():
            shapes[FIXED + own.name] = (1, 1)
        if self.architecture.scales_output:
            shapes[INCREMENT_STD] = (1, self.width)
        if self.architecture.autoregression != "none":
            shapes[AUTOREGRESSION] = self.autoregression_shape
        return Layout.of(shapes)

    def initialise(self, generator: Generator) -> Tensor:
        """One member's initial parameters as a row `[parameter]`, from its own generator.

        Those that are fixed have their neutral values, increments the unit 1, an autoregression
        no coefficients.
        """
        named: dict[str, Tensor] = {}
        is_hybrid = self.architecture.autoregression != "none"
        for i, inputs in enumerate(self.layer_inputs):
            for name, value in self.cell.initialise(inputs, generator).items():
                named[f"cell.{i}.{name}"] = value
            if self.architecture.has_layer_norm:
                for name, value in NormedOutput.initialise(self.cell.output_units).items():
                    named[f"norm.{i}.{name}"] = value
        if self.architecture.estimates_state:
            del named["cell.0.input"]
            named["state.log_ridge"] = torch.full((1, 1), INITIAL_LOG_RIDGE)
        if self.architecture.read_in != "none":
            read_in = Dense.initialise(self.read_width, self.layer_inputs[0], generator)
            named |= {f"read_in.{name}": value for name, value in read_in.items()}
        if self.architecture.parallel_segments is not None:
            # Standard normal, as in the authors' code.
            count = self.architecture.parallel_segments
            named[EMBEDDING] = torch.randn(count, self.layer_inputs[0], generator=generator)
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, value in Dense.initialise(inputs, outputs, generator).items():
                # A hybrid begins with the forecasts of its autoregression.
                is_silent = i == self.architecture.head_layers and is_hybrid
                named[f"head.{i}.{name}"] = torch.zeros_like(value) if is_silent else value
        for own in self.cell.stored_settings():
            named[FIXED + own.name] = torch.tensor(own.neutral)
        if self.architecture.scales_output:
            named[INCREMENT_STD] = torch.ones(1, self.width)
        if is_hybrid:
            named[AUTOREGRESSION] = torch.zeros(self.autoregression_shape)
        return self.layout().pack(named)


class Dense(Part):
    """A layer of the head, or the read-in: y = x W + b as `torch.nn.Linear`, then an activation."""

    # "tanh", "relu", or "linear" for none.
    activation = "tanh"

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
        self.gradients["weight"].baddbmm_(self.inputs[slot].transpose(1, 2), grad_sum)
        self.gradients["bias"].baddbmm_(self.ones, grad_sum)
        return torch.bmm(grad_sum, self.weights["weight"].transpose(1, 2), out=self.grad_input)
