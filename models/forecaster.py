"""A population of forecasters of one architecture: cells, head, residual; one step at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.axes import MemberBatchChannel, MemberBatchUnit, MemberParameter
from models.candidate import Architecture
from models.cells import CELLS, Cell
from models.dense import Dense
from models.estimated_state import initial_log_ridge
from models.parameters import Layout


@dataclass(frozen=True)
class Forecaster:
    """The network of an architecture for `channels` value columns, without any numbers in it.

    Layers of the cell read the value, the head turns the top layer's output into the next value:
    `head_layers` fully connected tanh layers as wide as the top layer's output, then a linear
    one. With `residual`, the value that was read is added.
    """

    architecture: Architecture
    channels: int = 1

    dtype: ClassVar[torch.dtype] = torch.float32

    @property
    def cell(self) -> type[Cell]:
        return CELLS[self.architecture.cell]

    @property
    def output_units(self) -> int:
        """Numbers that a layer hands to the next one, or to the head."""
        return self.cell.output_units(self.architecture.units)

    @property
    def state_units(self) -> int:
        """Numbers in the state of a layer."""
        return self.cell.state_units(self.architecture.units)

    @property
    def cell_sizes(self) -> list[tuple[int, int]]:
        """(inputs, units) of each recurrent layer, bottom first."""
        units, upper = self.architecture.units, self.architecture.layers - 1
        return [(self.channels, units)] + [(self.output_units, units)] * upper

    @property
    def head_sizes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each fully connected layer, the output layer last."""
        width = self.output_units
        return [(width, width)] * self.architecture.head_layers + [(width, self.channels)]

    def layout(self) -> Layout:
        """Names and shapes of one member's parameters."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (inputs, units) in enumerate(self.cell_sizes):
            for name, shape in self.cell.shapes(inputs, units).items():
                shapes[f"cell.{i}.{name}"] = shape
        if self.architecture.estimates_state:
            # The bottom layer reads nothing.
            del shapes["cell.0.input"]
            shapes["state.log_ridge"] = (1, 1)
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, shape in Dense.shapes(inputs, outputs).items():
                shapes[f"head.{i}.{name}"] = shape
        return Layout.of(shapes)

    def initialise(self, generator: Generator) -> Tensor:
        """One member's initial parameters as a row `[parameter]`, from its own generator."""
        named: dict[str, Tensor] = {}
        for i, (inputs, units) in enumerate(self.cell_sizes):
            for name, value in self.cell.initialise(inputs, units, generator).items():
                named[f"cell.{i}.{name}"] = value
        if self.architecture.estimates_state:
            del named["cell.0.input"]
            named["state.log_ridge"] = initial_log_ridge()
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, value in Dense.initialise(inputs, outputs, generator).items():
                named[f"head.{i}.{name}"] = value
        return self.layout().pack(named)


class Unroll:
    """A population bound to its weights, with memory for `slots` steps of `batch` segments.

    `forward` walks slots upwards, `backward` downwards; `grads` (flat, like the weights) gathers
    the gradient. Where no gradient is wanted, one slot is used over and over.

    `masks` `[slot, layer, member, batch, unit]`, where given, multiply the output of each layer on
    its way up, to the next layer or to the head.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        weights: MemberParameter,
        grads: MemberParameter | None = None,
        *,
        slots: int = 1,
        batch: int,
        masks: Tensor | None = None,
    ) -> None:
        architecture = forecaster.architecture
        layout = forecaster.layout()
        weight_views = layout.views(weights)
        # Gathered in memory of their own, see `Cell`, and added to the flat rows at the end.
        self.gathered = {
            name: torch.zeros(view.shape, device=weights.device)
            for name, view in weight_views.items()
            if grads is not None
        }
        self.grads = {} if grads is None else layout.views(grads)
        grad_views = self.gathered or weight_views
        self.residual = architecture.residual
        self.members, self.batch, self.slots = weights.shape[0], batch, slots
        self.cells = [
            forecaster.cell(
                _under(weight_views, f"cell.{i}."),
                _under(grad_views, f"cell.{i}."),
                slots=slots,
                batch=batch,
            )
            for i in range(architecture.layers)
        ]
        self.head = [
            Dense(
                _under(weight_views, f"head.{i}."),
                _under(grad_views, f"head.{i}."),
                slots=slots,
                batch=batch,
                squash=i < architecture.head_layers,
            )
            for i in range(architecture.head_layers + 1)
        ]
        self.output_units = forecaster.output_units
        size = (self.members, batch, forecaster.state_units)
        device = weights.device
        layers = range(architecture.layers)
        # One state more than slots where gradients are wanted: backward reads the state before.
        self.states = [torch.empty(slots + 1, *size, device=device) for _ in layers]
        self.zero_state = torch.zeros(size, device=device)
        self.carried = [torch.zeros(size, device=device) for _ in layers]
        self.spare = torch.empty(size, device=device)
        self.masks = masks
        # Laid out like an output within its state, so that products read both alike.
        self.masked = torch.empty(size, device=device)[..., : self.output_units]
        self.inputs = torch.empty(slots, *size[:2], forecaster.channels, device=device)
        self.grad_inputs = [
            torch.empty(*size[:2], inputs, device=device) for inputs, _ in forecaster.cell_sizes
        ]

    def begin(self) -> None:
        """Prepare an unroll: derived weights, no gradient carried from a later step."""
        for cell in self.cells:
            cell.begin()
        if self.grads:
            for cell in self.cells:
                cell.begin_backward()
        for memory in (*self.carried, *self.gathered.values()):
            memory.zero_()

    def end(self) -> None:
        """Complete the gradient after the last `backward`."""
        for cell in self.cells:
            cell.end()
        for name, gradient in self.gathered.items():
            self.grads[name].add_(gradient)

    def forward(self, step: int, x: MemberBatchChannel, *, reset: bool) -> None:
        """Read `x`; with `reset` the state is zero before."""
        slot = step % self.slots
        below: MemberBatchUnit = self.inputs[slot].copy_(x)
        for layer, cell in enumerate(self.cells):
            states = self.states[layer]
            before = self.zero_state if reset else states[step % (self.slots + 1)]
            after = states[(step + 1) % (self.slots + 1)]
            cell.forward(slot, below, before, after)
            if layer + 1 < len(self.cells):
                below = self._passed_up(slot, layer, after[..., : self.output_units])

    def emit(self, step: int, out: MemberBatchChannel) -> None:
        """Write the forecast of the value after the one read at `step` into `out`."""
        slot = step % self.slots
        hidden = self._passed_up(slot, -1, self.top(step))
        for layer in self.head:
            hidden = layer.forward(slot, hidden)
        if self.residual:
            torch.add(hidden, self.inputs[slot], out=out)
        else:
            out.copy_(hidden)

    def top(self, step: int) -> MemberBatchUnit:
        """The top layer's output after the value read at `step`, before any mask."""
        return self.states[-1][(step + 1) % (self.slots + 1)][..., : self.output_units]

    def backward(
        self,
        step: int,
        grad_output: MemberBatchChannel | None,
        *,
        reset: bool,
        wants_input: bool = True,
        grad_top: MemberBatchUnit | None = None,
    ) -> MemberBatchChannel | None:
        """Gradient of the value read at `step`, given that of the forecast emitted there.

        None unless `wants_input`: a true value needs no gradient. `grad_top` is a further gradient
        of `top`.
        """
        carried = self.carried
        if grad_output is not None:
            grad = grad_output
            for dense in reversed(self.head):
                grad = dense.backward(step, grad)
            self._pass_down(step, -1, grad)
        if grad_top is not None:
            carried[-1][..., : self.output_units].add_(grad_top)
        for layer in range(len(self.cells) - 1, -1, -1):
            states = self.states[layer]
            before = self.zero_state if reset else states[step]
            below: MemberBatchUnit = self.inputs[step]
            if layer > 0:
                output = self.states[layer - 1][step + 1][..., : self.output_units]
                below = self._passed_up(step, layer - 1, output)
            self.cells[layer].backward(
                step,
                below,
                before,
                states[step + 1],
                carried[layer],
                self.spare,
                self.grad_inputs[layer] if layer > 0 or wants_input else None,
            )
            carried[layer], self.spare = self.spare, carried[layer]
            if reset:
                carried[layer].zero_()
            if layer > 0:
                self._pass_down(step, layer - 1, self.grad_inputs[layer])
        if not wants_input:
            return None
        grad_input = self.grad_inputs[0]
        if self.residual and grad_output is not None:
            grad_input.add_(grad_output)
        return grad_input

    def _passed_up(self, slot: int, layer: int, output: MemberBatchUnit) -> MemberBatchUnit:
        """A layer's output as the layer above, or the head, reads it."""
        if self.masks is None:
            return output
        return torch.mul(output, self.masks[slot, layer], out=self.masked)

    def _pass_down(self, slot: int, layer: int, grad: MemberBatchUnit) -> None:
        """Add the gradient of what was passed up to that of the layer's state."""
        carried = self.carried[layer][..., : self.output_units]
        if self.masks is None:
            carried.add_(grad)
        else:
            carried.addcmul_(grad, self.masks[slot, layer])


def _under(views: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: v for name, v in views.items() if name.startswith(prefix)}
