"""A population bound to its weights: one step forwards, one step back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from models.network.cells.cell import BackwardStep, Part
from models.network.forecaster import Dense, Forecaster
from models.network.options.instance_norm import InstanceScale
from models.network.options.layer_norm import NormedOutput
from models.network.parameters import FIXED, INCREMENT_STD, under
from models.tensors import (
    MemberBatchChannel,
    MemberBatchUnit,
    MemberParameter,
    TimeMemberBatchChannel,
)

P = TypeVar("P", bound=Part)


class Unroll:
    """A population bound to its weights, with memory for `slots` steps of `batch` subsequences.

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
        # Gathered in memory of their own, see `Part`, and added to the flat rows at the end.
        self.gathered = {
            name: torch.zeros(view.shape, device=weights.device)
            for name, view in weight_views.items()
            if grads is not None
        }
        self.grads = {} if grads is None else layout.views(grads)
        grad_views = self.gathered or weight_views
        self.residual = architecture.residual
        self.increment_std = weight_views.get(INCREMENT_STD)
        self.has_instance_norm = architecture.has_instance_norm
        self.instance: InstanceScale | None = None
        self.channels = forecaster.channels
        self.members, self.batch, self.slots = weights.shape[0], batch, slots
        stored = under(weight_views, FIXED)

        def part(kind: type[P], prefix: str) -> P:
            own, gradients = under(weight_views, prefix), under(grad_views, prefix)
            return kind(own | stored, gradients, slots=slots, batch=batch)

        layers = range(architecture.layers)
        self.cells = [part(forecaster.cell.layer, f"cell.{i}.") for i in layers]
        norms = [part(NormedOutput, f"norm.{i}.") for i in layers if architecture.has_layer_norm]
        self.head = [part(Dense, f"head.{i}.") for i in range(architecture.head_layers + 1)]
        self.head[-1].squash = False
        self.output_units = forecaster.cell.output_units
        size = (self.members, batch, forecaster.cell.state_units)
        device = weights.device
        # One state more than slots where gradients are wanted: backward reads the state before.
        self.states = [torch.empty(slots + 1, *size, device=device) for _ in layers]
        self.zero_state = torch.zeros(size, device=device)
        self.carried = [torch.zeros(size, device=device) for _ in layers]
        self.spare = torch.empty(size, device=device)
        self.state_noise = state_noise
        self.disturbed = torch.empty(size, device=device)
        # A masked output is laid out like one within its state, so that products read both alike.
        masked = torch.empty(size, device=device)[..., : self.output_units]
        self.between = BetweenLayers(norms, masks, masked)
        layer_inputs = forecaster.layer_inputs
        self.inputs = torch.empty(slots, *size[:2], layer_inputs[0], device=device)
        self.grad_output = torch.empty(*size[:2], forecaster.channels, device=device)
        # The value at which the network reads zero, as an autonomous one does in its free run.
        self.nothing: MemberBatchChannel = torch.zeros_like(self.grad_output)
        self.grad_inputs = [
            torch.empty(*size[:2], inputs, device=device) for inputs in layer_inputs
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
                below = self.between.forward(slot, layer, after[..., : self.output_units])

    def emit(self, step: int, out: MemberBatchChannel) -> None:
        """Write the forecast of the value after the last one read at `step` into `out`."""
        slot = step % self.slots
        hidden = self.between.forward(slot, -1, self.top(step))
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
            self.between.backward(step, -1, grad, carried[-1][..., : self.output_units])
        if grad_top is not None:
            carried[-1][..., : self.output_units].add_(grad_top)
        for layer in range(len(self.cells) - 1, -1, -1):
            below: MemberBatchUnit = self.inputs[step]
            if layer > 0:
                output = self.states[layer - 1][step + 1][..., : self.output_units]
                below = self.between.again(step, layer - 1, output)
            at = BackwardStep(
                slot=step,
                x=below,
                state=self._before(step, layer, reset),
                new_state=self.states[layer][step + 1],
                grad_new_state=carried[layer],
                grad_state=self.spare,
                grad_x=self.grad_inputs[layer] if layer > 0 or wants_input else None,
            )
            self.cells[layer].backward(at)
            carried[layer], self.spare = self.spare, carried[layer]
            if reset:
                carried[layer].zero_()
            if layer > 0:
                lower = carried[layer - 1][..., : self.output_units]
                self.between.backward(step, layer - 1, self.grad_inputs[layer], lower)
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
        part: the subsequences that this is about.
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


@dataclass(frozen=True, eq=False)
class BetweenLayers:
    """What a layer's output passes on its way to the next layer or to the head: norm, then dropout.

    norms: one for each layer, or none at all. masks: `[slot, layer, member, batch, unit]`, None
    for none. buffer: where a masked output is put, `[member, batch, unit]`; used again and again.
    """

    norms: Sequence[NormedOutput]
    masks: Tensor | None
    buffer: MemberBatchUnit

    def forward(self, slot: int, layer: int, output: MemberBatchUnit) -> MemberBatchUnit:
        """A layer's output as the layer above, or the head, reads it."""
        if self.norms:
            output = self.norms[layer].forward(slot, output)
        return self._masked(slot, layer, output)

    def again(self, slot: int, layer: int, output: MemberBatchUnit) -> MemberBatchUnit:
        """What `forward` returned for the same arguments."""
        if self.norms:
            output = self.norms[layer].again(slot)
        return self._masked(slot, layer, output)

    def backward(
        self, slot: int, layer: int, grad: MemberBatchUnit, grad_output: MemberBatchUnit
    ) -> None:
        """From the gradient of what was passed up, add to that of the layer's output."""
        if self.norms:
            if self.masks is not None:
                grad = grad * self.masks[slot, layer]
            grad_output.add_(self.norms[layer].backward(slot, grad))
        elif self.masks is not None:
            grad_output.addcmul_(grad, self.masks[slot, layer])
        else:
            grad_output.add_(grad)

    def _masked(self, slot: int, layer: int, output: MemberBatchUnit) -> MemberBatchUnit:
        if self.masks is None:
            return output
        return torch.mul(output, self.masks[slot, layer], out=self.buffer)
