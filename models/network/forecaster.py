"""A population of forecasters of one architecture: which parameters it has, and how they begin."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.network.architecture import Architecture
from models.network.cells.cell import Cell
from models.network.estimated_state import initial_log_ridge
from models.network.head import Dense
from models.network.options.layer_norm import NormedOutput
from models.network.parameters import FIXED, INCREMENT_STD, Layout


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
        """The recurrent cell."""
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
            named["state.log_ridge"] = initial_log_ridge()
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, value in Dense.initialise(inputs, outputs, generator).items():
                named[f"head.{i}.{name}"] = value
        for own in self.cell.stored_settings():
            named[FIXED + own.name] = torch.tensor(own.neutral)
        if self.architecture.scaled_increments:
            named[INCREMENT_STD] = torch.ones(1, self.channels)
        return self.layout().pack(named)
