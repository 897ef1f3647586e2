"""What the layer of every cell has to keep to: `check_differences`, and `check_reference`."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.network.cells.cell import BackwardStep, Cell, Layer

MEMBERS, BATCH, STEPS, INPUTS = 3, 2, 5, 3

# From one member's parameters and stored settings, inputs `[time, batch, inputs]` and the first
# state `[batch, state_units]`: all states after it, `[time, batch, state_units]`.
Reference = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Given:
    """What an unroll starts from; gradients are those of the sum of states * grad_states."""

    parameters: dict[str, Tensor]  # [member, *shape], those of the stored settings included
    inputs: Tensor  # [time, member, batch, inputs]
    first_state: Tensor  # [member, batch, state_units]
    grad_states: Tensor  # [time, member, batch, state_units]


@dataclass(frozen=True)
class Found:
    """What a layer computes of it; gradients are shaped like what they are of."""

    states: Tensor
    parameters: dict[str, Tensor]  # the trained ones alone
    inputs: Tensor
    first_state: Tensor


def given_for(cell: Cell) -> Given:
    """Initial parameters, other values of each stored setting for each member, random numbers."""
    generator = Generator().manual_seed(5)
    rows = [cell.initialise(INPUTS, generator) for _ in range(MEMBERS)]
    parameters = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    by_member = 1.0 + torch.arange(MEMBERS).view(-1, 1, 1) / 10
    for own in cell.stored_settings():
        parameters[own.name] = getattr(cell, own.field) * by_member

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    width = cell.state_units
    inputs, first = random(STEPS, MEMBERS, BATCH, INPUTS), random(MEMBERS, BATCH, width)
    return Given(parameters, inputs, first, random(STEPS, MEMBERS, BATCH, width))


def walk(layer: Layer, given: Given) -> Tensor:
    """The states of the layer, forwards."""
    states = torch.empty_like(given.grad_states)
    layer.begin()
    for step in range(STEPS):
        before = states[step - 1] if step else given.first_state
        layer.forward(step, given.inputs[step], before, states[step])
    return states


def found_by(cell: Cell, given: Given) -> Found:
    """The layer's states and gradients."""
    trained = cell.shapes(INPUTS)
    gradients = {name: torch.zeros_like(given.parameters[name]) for name in trained}
    layer = cell.layer(given.parameters, gradients, slots=STEPS, batch=BATCH)
    states = walk(layer, given)
    layer.begin_backward()
    grad_inputs = torch.empty_like(given.inputs)
    carried = torch.zeros_like(given.first_state)
    for step in reversed(range(STEPS)):
        grad_state = torch.empty_like(carried)
        layer.backward(
            BackwardStep(
                slot=step,
                x=given.inputs[step],
                state=states[step - 1] if step else given.first_state,
                new_state=states[step],
                grad_new_state=carried + given.grad_states[step],
                grad_state=grad_state,
                grad_x=grad_inputs[step],
            )
        )
        carried = grad_state
    layer.end()
    return Found(states, gradients, grad_inputs, carried)


def check_reference(cell: Cell, reference: Reference) -> None:
    """Compare states and all gradients, member by member, with autograd through the reference."""
    given = given_for(cell)
    found = found_by(cell, given)
    for member in range(MEMBERS):
        leaves = {k: v[member].clone().requires_grad_() for k, v in given.parameters.items()}
        inputs = given.inputs[:, member].clone().requires_grad_()
        first = given.first_state[member].clone().requires_grad_()
        states = reference(leaves, inputs, first)
        torch.testing.assert_close(found.states[:, member], states.detach())
        states.backward(given.grad_states[:, member])
        torch.testing.assert_close(found.inputs[:, member], inputs.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.first_state[member], first.grad, rtol=1e-4, atol=1e-5)
        for name, gradient in found.parameters.items():
            expected = leaves[name].grad
            torch.testing.assert_close(gradient[member], expected, rtol=1e-4, atol=1e-4)


def check_differences(cell: Cell) -> None:
    """Compare all gradients with central differences of the states, in double precision."""
    with _double_precision():
        given = given_for(cell)
        found = found_by(cell, given)
        layer = cell.layer(given.parameters, {}, slots=STEPS, batch=BATCH)

        def check(name: str, gradient: Tensor, value: Tensor, member_axis: int = 0) -> None:
            expected = _differences(layer, given, value.movedim(member_axis, 0))
            found = gradient.movedim(member_axis, 0)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7, msg=name)

        check("inputs", found.inputs, given.inputs, member_axis=1)
        check("first state", found.first_state, given.first_state)
        for name, gradient in found.parameters.items():
            check(name, gradient, given.parameters[name])


def _differences(layer: Layer, given: Given, value: Tensor) -> Tensor:
    """The gradient of a part of what is given, `[member, ...]`, all members moved at once."""
    gradient, step = torch.empty_like(value), 1e-6
    for index in itertools.product(*(range(size) for size in value.shape[1:])):
        at: tuple[slice | int, ...] = (slice(None), *index)
        before, sums = value[at].clone(), []
        for moved in (before + step, before - step):
            value[at] = moved
            sums.append((walk(layer, given) * given.grad_states).sum((0, 2, 3)))
        value[at] = before
        gradient[at] = (sums[0] - sums[1]) / (2 * step)
    return gradient


@contextmanager
def _double_precision() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
