"""A population bound to its weights: one step forwards, one step back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from models.network.autoregression import Autoregression
from models.network.cells.cell import BackwardStep, Part
from models.network.forecaster import Dense, Forecaster
from models.network.options.instance_norm import InstanceScale
from models.network.options.layer_norm import NormedOutput
from models.network.parameters import EMBEDDING, FIXED, INCREMENT_STD, under
from models.network.plan import Step
from models.tensors import (
    MemberBatchChannel,
    MemberBatchUnit,
    MemberParameter,
    TimeMemberBatchChannel,
)

P = TypeVar("P", bound=Part)


class Unroll:
    """A population bound to its weights, with memory for `slots` steps of `batch` subsequences.

    It takes the steps of a plan: `forward` upwards, `backward` downwards; `grads` (flat, like the
    weights) gathers the gradient. Where no gradient is wanted, one slot is used over and over.

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
        # It reads more than a step does: who walks over time adds it.
        self.autoregression = Autoregression.of(weight_views)
        self.instance_level = architecture.instance_level
        self.instance: InstanceScale | None = None
        # What is read beside the values of a position, `[position, member, batch, number]`, see
        # `rows_ahead`; whoever walks over time puts it here.
        self.exogenous: TimeMemberBatchChannel | None = None
        self.channels, self.width = forecaster.channels, forecaster.width
        self.members, self.batch, self.slots = weights.shape[0], batch, slots
        stored = under(weight_views, FIXED)

        def part(kind: type[P], prefix: str) -> P:
            own, gradients = under(weight_views, prefix), under(grad_views, prefix)
            return kind(own | stored, gradients, slots=slots, batch=batch)

        layers = range(architecture.layers)
        self.cells = [part(forecaster.cell.layer, f"cell.{i}.") for i in layers]
        norms = [part(NormedOutput, f"norm.{i}.") for i in layers if architecture.has_layer_norm]
        self.head = [part(Dense, f"head.{i}.") for i in range(architecture.head_layers + 1)]
        self.head[-1].activation = "linear"
        self.read_in: Dense | None = None
        if architecture.read_in != "none":
            self.read_in = part(Dense, "read_in.")
            self.read_in.activation = architecture.read_in
        self.embedding, self.grad_embedding = weight_views.get(EMBEDDING), grad_views.get(EMBEDDING)
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
        # What is read, in the network's units; a read-in makes the cell's input from it.
        read = (slots, *size[:2], forecaster.read_width)
        self.reads = self.inputs if self.read_in is None else torch.empty(read, device=device)
        self.grad_output = torch.empty(*size[:2], self.width, device=device)
        # The value at which the network reads zero, as an autonomous one does in its free run.
        self.nothing: MemberBatchChannel = torch.zeros_like(self.grad_output)
        # Gradients of the state, and of the last value read, that steps of parallel decoding give.
        is_parallel = self.embedding is not None
        self.held = [torch.zeros(size, device=device) for _ in layers] if is_parallel else []
        last = (*size[:2], self.channels)
        self.grad_last = torch.zeros(last, device=device)
        self.held_last = torch.zeros(last if is_parallel else (0,), device=device)
        # Sums over a segment are products: a plain reduction may group terms by where they lie.
        values = torch.eye(self.channels, device=device).repeat(architecture.segment_steps, 1)
        self.over_segment = values.repeat(self.members, 1, 1)
        self.ones = torch.ones(self.members, 1, batch, device=device)
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
        for memory in (*self.carried, *self.held, self.held_last, *self.gathered.values()):
            memory.zero_()

    def adapt(self, context: TimeMemberBatchChannel) -> None:
        """Take the units of an instance norm from the values that are read in the warm-up."""
        if self.instance_level is not None:
            self.instance = InstanceScale.of(context, self.instance_level)
            self.nothing = self.instance.level.repeat(1, 1, self.width // self.channels)

    def end(self) -> None:
        """Complete the gradient after the last `backward`."""
        for cell in self.cells:
            cell.end()
        for name, gradient in self.gathered.items():
            self.grads[name].add_(gradient)

    def forward(self, index: int, step: Step, values: TimeMemberBatchChannel) -> None:
        """Take step number `index`, which reads from `values` `[position, member, batch, width]`.

        Where steps follow others than those before them, there is a slot for each step.
        """
        slot = index % self.slots
        below = self._read(slot, step, values)
        for layer, cell in enumerate(self.cells):
            before = self._before(index, step, layer)
            after = self.states[layer][(index + 1) % (self.slots + 1)]
            cell.forward(slot, below, before, after)
            if layer + 1 < len(self.cells):
                below = self.between.forward(slot, layer, after[..., : self.output_units])

    def emit(self, index: int, step: Step, out: MemberBatchChannel) -> None:
        """Write the forecast that step number `index` makes into `out`.

        Of a hybrid, what the network adds to that of the autoregression.
        """
        slot = index % self.slots
        hidden = self.between.forward(slot, -1, self.top(index))
        for layer in self.head:
            hidden = layer.forward(slot, hidden)
        if not self.residual:
            if self.increment_std is None:
                out.copy_(hidden)
            else:
                torch.mul(hidden, self.increment_std, out=out)
        else:
            slot_read = slot if step.embeds is None else step.follows
            newest = self._values(step, self.reads[slot_read])[..., -self.channels :].unsqueeze(2)
            change, forecast = self._by_value(hidden), self._by_value(out)
            if self.increment_std is None:
                torch.add(change, newest, out=forecast)
            else:
                torch.addcmul(newest, change, self._by_value(self.increment_std), out=forecast)
        if self.instance is not None:
            values = self._by_value(out).permute(2, 0, 1, 3)
            values.copy_(self.instance.restored(values))

    def top(self, index: int) -> MemberBatchUnit:
        """The top layer's output after step number `index`, before any norm or mask."""
        return self.states[-1][(index + 1) % (self.slots + 1)][..., : self.output_units]

    def _read(self, slot: int, step: Step, values: TimeMemberBatchChannel) -> MemberBatchUnit:
        """What the bottom layer reads at a step."""
        below: MemberBatchUnit = self.inputs[slot]
        if step.embeds is not None:
            assert self.embedding is not None
            return below.copy_(self.embedding[:, step.embeds].unsqueeze(1))
        read = self.reads[slot]
        own = self._values(step, read).copy_(step.read(values))
        if self.exogenous is not None:
            read[..., own.shape[2] :] = step.read(self.exogenous)
        if self.instance is not None:
            by_value = self._by_value(own).permute(2, 0, 1, 3)
            by_value.copy_(self.instance.normalised(by_value))
        return below if self.read_in is None else below.copy_(self.read_in.forward(slot, read))

    def _values(self, step: Step, read: MemberBatchChannel) -> MemberBatchChannel:
        """A view of the values among what a step reads, without known columns."""
        return read[..., : step.count * self.width]

    def _by_value(self, segment: Tensor) -> Tensor:
        """A view `[member, batch, value, channel]` of the numbers of a segment."""
        by_value: Tensor = segment.unflatten(2, (-1, self.channels))
        return by_value

    def backward(
        self,
        index: int,
        step: Step,
        grad_output: MemberBatchChannel | None,
        *,
        wants_input: bool = True,
        grad_top: MemberBatchUnit | None = None,
    ) -> MemberBatchChannel | None:
        """Gradient of what step number `index` read, given that of its forecast.

        None unless `wants_input`: a true value needs no gradient. `grad_top` is a further gradient
        of `top`.
        """
        carried = self.carried
        if step.is_followed:
            for memory, held in zip(carried, self.held, strict=True):
                memory.add_(held)
                held.zero_()
        if grad_output is not None:
            if self.instance is not None:
                std = self.instance.std.unsqueeze(2)
                scaled = self._by_value(self.grad_output)
                torch.mul(self._by_value(grad_output), std, out=scaled)
                grad_output = self.grad_output
            grad = grad_output
            if self.increment_std is not None:
                grad = grad_output * self.increment_std
            for dense in reversed(self.head):
                grad = dense.backward(index, grad)
            self.between.backward(index, -1, grad, carried[-1][..., : self.output_units])
        if grad_top is not None:
            carried[-1][..., : self.output_units].add_(grad_top)
        is_bottom_asked = wants_input or step.embeds is not None or self.read_in is not None
        for layer in range(len(self.cells) - 1, -1, -1):
            self._layer_backward(index, step, layer, wants_input=layer > 0 or is_bottom_asked)
        return self._grad_read(index, step, grad_output, wants_input=wants_input)

    def _layer_backward(self, index: int, step: Step, layer: int, *, wants_input: bool) -> None:
        """Go back through one layer: its gradient is carried on, and added to that of the lower."""
        carried = self.carried
        below: MemberBatchUnit = self.inputs[index]
        if layer > 0:
            output = self.states[layer - 1][index + 1][..., : self.output_units]
            below = self.between.again(index, layer - 1, output)
        at = BackwardStep(
            slot=index,
            x=below,
            state=self._before(index, step, layer),
            new_state=self.states[layer][index + 1],
            grad_new_state=carried[layer],
            grad_state=self.spare,
            grad_x=self.grad_inputs[layer] if wants_input else None,
        )
        self.cells[layer].backward(at)
        carried[layer], self.spare = self.spare, carried[layer]
        if step.follows is not None:
            self.held[layer].add_(carried[layer])
        if step.reset or step.follows is not None:
            carried[layer].zero_()
        if layer > 0:
            lower = carried[layer - 1][..., : self.output_units]
            self.between.backward(index, layer - 1, self.grad_inputs[layer], lower)

    def _grad_read(
        self, index: int, step: Step, grad_output: MemberBatchChannel | None, *, wants_input: bool
    ) -> MemberBatchChannel | None:
        """Gradient of what was read, from that of what the bottom layer read."""
        grad_read = self.grad_inputs[0]
        grad_last: MemberBatchChannel | None = None
        if self.residual and grad_output is not None:
            grad_last = torch.bmm(grad_output, self.over_segment, out=self.grad_last)
        if step.embeds is not None:
            assert self.grad_embedding is not None
            own = self.grad_embedding[:, step.embeds : step.embeds + 1]
            own.baddbmm_(self.ones, grad_read)
            if grad_last is not None:
                self.held_last.add_(grad_last)
            return None
        if self.read_in is not None:
            grad_read = self.read_in.backward(index, grad_read)
        if step.is_followed:
            grad_last = self.grad_last.copy_(self.held_last)
            self.held_last.zero_()
        if not wants_input:
            return None
        grad_read = self._values(step, grad_read)
        if self.residual and grad_last is not None:
            grad_read[..., -self.channels :].add_(grad_last)
        if self.instance is not None:
            self._by_value(grad_read).div_(self.instance.std.unsqueeze(2))
        return grad_read

    def cut(self, keeps: Tensor, part: slice) -> None:
        """Let no gradient pass to the state before the last step gone back.

        keeps: one for members whose gradient passes on, zero for the others, `[member, 1, 1]`;
        part: the subsequences that this is about.
        """
        for memory in self.carried:
            memory[:, part].mul_(keeps)

    def _before(self, index: int, step: Step, layer: int) -> MemberBatchUnit:
        """The state that a layer reads at a step."""
        if step.reset:
            return self.zero_state
        place = index if step.follows is None else step.follows + 1
        carried = self.states[layer][place % (self.slots + 1)]
        if self.state_noise is None:
            return carried
        return torch.add(carried, self.state_noise[index, layer], out=self.disturbed)


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
