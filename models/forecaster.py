"""A population of forecasters of one architecture: cells, head, residual; one step at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.axes import (
    MemberBatchChannel,
    MemberBatchUnit,
    MemberParameter,
    TimeMemberBatchChannel,
)
from models.candidate import Architecture, Strategy
from models.cells import CELLS, Cell
from models.dense import Dense
from models.estimated_state import initial_log_ridge
from models.instance_norm import InstanceScale
from models.layer_norm import LayerNorm
from models.parameters import FIXED, INCREMENT_STD, Layout
from models.upward import Upward


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
        architecture = self.architecture
        units, upper = architecture.units, architecture.layers - 1
        bottom = architecture.context_steps if architecture.reads_whole_window else 1
        return [(bottom * self.channels, units)] + [(self.output_units, units)] * upper

    @property
    def head_sizes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each fully connected layer, the output layer last."""
        width = self.output_units
        return [(width, width)] * self.architecture.head_layers + [(width, self.channels)]

    def layout(self) -> Layout:
        """Names and shapes of one member's parameters."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (inputs, _) in enumerate(self.cell_sizes):
            for name, shape in self.cell.shapes(inputs, self.architecture).items():
                shapes[f"cell.{i}.{name}"] = shape
            if self.architecture.layer_norm:
                for name, shape in LayerNorm.shapes(self.output_units).items():
                    shapes[f"norm.{i}.{name}"] = shape
        if self.architecture.estimates_state:
            # The bottom layer reads nothing.
            del shapes["cell.0.input"]
            shapes["state.log_ridge"] = (1, 1)
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, shape in Dense.shapes(inputs, outputs).items():
                shapes[f"head.{i}.{name}"] = shape
        for name in self.cell.knobs:
            shapes[FIXED + name] = (1, 1)
        if self.architecture.scaled_increments:
            shapes[INCREMENT_STD] = (1, self.channels)
        return Layout.of(shapes)

    def initialise(self, generator: Generator) -> Tensor:
        """One member's initial parameters as a row `[parameter]`, from its own generator.

        Those that are fixed have the values of a strategy that does not name them.
        """
        named: dict[str, Tensor] = {}
        for i, (inputs, _) in enumerate(self.cell_sizes):
            for name, value in self.cell.initialise(inputs, self.architecture, generator).items():
                named[f"cell.{i}.{name}"] = value
            if self.architecture.layer_norm:
                for name, value in LayerNorm.initialise(self.output_units, generator).items():
                    named[f"norm.{i}.{name}"] = value
        if self.architecture.estimates_state:
            del named["cell.0.input"]
            named["state.log_ridge"] = initial_log_ridge()
        for i, (inputs, outputs) in enumerate(self.head_sizes):
            for name, value in Dense.initialise(inputs, outputs, generator).items():
                named[f"head.{i}.{name}"] = value
        for name in self.cell.knobs:
            named[FIXED + name] = torch.tensor(getattr(Strategy, name))
        if self.architecture.scaled_increments:
            named[INCREMENT_STD] = torch.ones(1, self.channels)
        return self.layout().pack(named)


class Unroll:
    """A population bound to its weights, with memory for `slots` steps of `batch` segments.

    `forward` walks slots upwards, `backward` downwards; `grads` (flat, like the weights) gathers
    the gradient. Where no gradient is wanted, one slot is used over and over.

    `masks` `[slot, layer, member, batch, unit]`, where given, multiply the output of each layer on
    its way up, to the next layer or to the head; where layers are normalised, after that.
    `state_noise`, shaped like it but for the state's units, is added to what a layer carries over
    from the step before.
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
        state_noise: Tensor | None = None,
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
        self.increment_std = weight_views.get(INCREMENT_STD)
        self.has_instance_norm = architecture.instance_norm
        self.instance: InstanceScale | None = None
        self.channels = forecaster.channels
        self.members, self.batch, self.slots = weights.shape[0], batch, slots
        knobs = _under(weight_views, FIXED)
        self.cells = [
            forecaster.cell(
                _under(weight_views, f"cell.{i}.") | knobs,
                _under(grad_views, f"cell.{i}."),
                slots=slots,
                batch=batch,
            )
            for i in range(architecture.layers)
        ]
        norms = [
            LayerNorm(
                _under(weight_views, f"norm.{i}."),
                _under(grad_views, f"norm.{i}."),
                slots=slots,
                batch=batch,
            )
            for i in range(architecture.layers if architecture.layer_norm else 0)
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
        self.state_noise = state_noise
        self.disturbed = torch.empty(size, device=device)
        # A masked output is laid out like one within its state, so that products read both alike.
        masked = torch.empty(size, device=device)[..., : self.output_units]
        self.upward = Upward(norms, masks, masked)
        bottom, _ = forecaster.cell_sizes[0]
        self.inputs = torch.empty(slots, *size[:2], bottom, device=device)
        self.grad_output = torch.empty(*size[:2], forecaster.channels, device=device)
        # The value at which the network reads zero, as an autonomous one does in its free run.
        self.nothing: MemberBatchChannel = torch.zeros_like(self.grad_output)
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

    def adapt(self, context: TimeMemberBatchChannel) -> None:
        """Take the units of an instance norm from the values that are read in the warm-up."""
        if self.has_instance_norm:
            self.instance = InstanceScale.of(context)
            self.nothing = self.instance.mean

    def end(self) -> None:
        """Complete the gradient after the last `backward`."""
        for cell in self.cells:
            cell.end()
        for name, gradient in self.gathered.items():
            self.grads[name].add_(gradient)

    def forward(self, step: int, x: MemberBatchChannel, *, reset: bool) -> None:
        """Read `x`, a value or all values of a window; with `reset` the state is zero before."""
        slot = step % self.slots
        below: MemberBatchUnit = self.inputs[slot].copy_(x)
        if self.instance is not None:
            values = below.unflatten(2, (-1, self.channels)).permute(2, 0, 1, 3)
            values.copy_(self.instance.normalised(values))
        for layer, cell in enumerate(self.cells):
            before = self._before(step, layer, reset)
            after = self.states[layer][(step + 1) % (self.slots + 1)]
            cell.forward(slot, below, before, after)
            if layer + 1 < len(self.cells):
                below = self.upward.forward(slot, layer, after[..., : self.output_units])

    def emit(self, step: int, out: MemberBatchChannel) -> None:
        """Write the forecast of the value after the last one read at `step` into `out`."""
        slot = step % self.slots
        hidden = self.upward.forward(slot, -1, self.top(step))
        for layer in self.head:
            hidden = layer.forward(slot, hidden)
        if not self.residual:
            out.copy_(hidden)
        elif self.increment_std is None:
            torch.add(hidden, self.inputs[slot][..., -self.channels :], out=out)
        else:
            newest = self.inputs[slot][..., -self.channels :]
            torch.addcmul(newest, hidden, self.increment_std, out=out)
        if self.instance is not None:
            out.copy_(self.instance.restored(out))

    def top(self, step: int) -> MemberBatchUnit:
        """The top layer's output after the value read at `step`, before any norm or mask."""
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
            if self.instance is not None:
                grad_output = torch.mul(grad_output, self.instance.std, out=self.grad_output)
            grad = grad_output
            if self.increment_std is not None:
                grad = grad_output * self.increment_std
            for dense in reversed(self.head):
                grad = dense.backward(step, grad)
            self.upward.backward(step, -1, grad, carried[-1][..., : self.output_units])
        if grad_top is not None:
            carried[-1][..., : self.output_units].add_(grad_top)
        for layer in range(len(self.cells) - 1, -1, -1):
            below: MemberBatchUnit = self.inputs[step]
            if layer > 0:
                output = self.states[layer - 1][step + 1][..., : self.output_units]
                below = self.upward.again(step, layer - 1, output)
            self.cells[layer].backward(
                step,
                below,
                self._before(step, layer, reset),
                self.states[layer][step + 1],
                carried[layer],
                self.spare,
                self.grad_inputs[layer] if layer > 0 or wants_input else None,
            )
            carried[layer], self.spare = self.spare, carried[layer]
            if reset:
                carried[layer].zero_()
            if layer > 0:
                lower = carried[layer - 1][..., : self.output_units]
                self.upward.backward(step, layer - 1, self.grad_inputs[layer], lower)
        if not wants_input:
            return None
        grad_input = self.grad_inputs[0]
        if self.residual and grad_output is not None:
            grad_input[..., -self.channels :].add_(grad_output)
        if self.instance is not None:
            grad_input.unflatten(2, (-1, self.channels)).div_(self.instance.std.unsqueeze(2))
        return grad_input

    def cut(self, keeps: Tensor, part: slice) -> None:
        """Let no gradient pass to the state before the last step gone back.

        keeps: one for members whose gradient passes on, zero for the others, `[member, 1, 1]`;
        part: the segments that this is about.
        """
        for memory in self.carried:
            memory[:, part].mul_(keeps)

    def _before(self, step: int, layer: int, reset: bool) -> MemberBatchUnit:
        """The state that a layer reads at a step."""
        if reset:
            return self.zero_state
        carried = self.states[layer][step % (self.slots + 1)]
        if self.state_noise is None:
            return carried
        return torch.add(carried, self.state_noise[step, layer], out=self.disturbed)


def _under(views: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: v for name, v in views.items() if name.startswith(prefix)}
