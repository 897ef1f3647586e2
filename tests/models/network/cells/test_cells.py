"""Every hand-written cell: its gradients by differences, and against torch or its paper."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor, nn

from models.methods.registry import methods_of
from models.network.cells.cell import Cell
from models.training.trained_network import TrainedNetwork
from tests.models.network.cells.contract import (
    INPUTS,
    Reference,
    check_differences,
    check_reference,
)
from tests.models.network.cells.reference_cells import FURTHER_CELLS

UNITS = 4
CELLS = [method.name for method in methods_of("cell") if issubclass(method, Cell)]


def rnn(p: dict[str, Tensor], inputs: Tensor, state: Tensor) -> Tensor:
    zero = torch.zeros(UNITS)
    weights = [p["input"].T, p["recurrent"].T, p["bias"][0], zero]
    return _torch_states(nn.RNNCell(INPUTS, UNITS), weights, inputs, state)


def gru(p: dict[str, Tensor], inputs: Tensor, state: Tensor) -> Tensor:
    weights = [p["input"].T, p["recurrent"].T, p["input_bias"][0], p["recurrent_bias"][0]]
    return _torch_states(nn.GRUCell(INPUTS, UNITS), weights, inputs, state)


def lstm(p: dict[str, Tensor], inputs: Tensor, state: Tensor) -> Tensor:
    def reordered(weight: Tensor) -> Tensor:  # ours is i, f, o, g, torch's is i, f, g, o
        i, f, o, g = weight.T.chunk(4)
        return torch.cat([i, f, g, o])

    bias = reordered(p["bias"])[:, 0]
    weights = [reordered(p["input"]), reordered(p["recurrent"]), bias, torch.zeros(4 * UNITS)]
    return _torch_states(nn.LSTMCell(INPUTS, UNITS), weights, inputs, state)


def lru(p: dict[str, Tensor], inputs: Tensor, state: Tensor) -> Tensor:
    eigenvalues = torch.exp(-torch.exp(p["nu"][0]) + 1j * torch.exp(p["theta"][0]))
    weights = torch.complex(p["input"][:, :UNITS], p["input"][:, UNITS:])
    hidden = torch.complex(state[:, :UNITS], state[:, UNITS:])
    states = []
    for x in inputs:
        hidden = eigenvalues * hidden + x.to(torch.complex64) @ weights
        states.append(torch.cat([hidden.real, hidden.imag], dim=1))
    return torch.stack(states)


def _torch_states(
    cell: nn.RNNCellBase, weights: list[Tensor], inputs: Tensor, state: Tensor
) -> Tensor:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    named = dict(zip(names, weights, strict=True))
    states = []
    carried = (state[:, :UNITS], state[:, UNITS:]) if isinstance(cell, nn.LSTMCell) else state
    for x in inputs:
        carried = torch.func.functional_call(cell, named, (x, carried))
        states.append(carried if isinstance(carried, Tensor) else torch.cat(carried, dim=1))
    return torch.stack(states)


def from_paper(name: str) -> Reference:
    def states_of(p: dict[str, Tensor], inputs: Tensor, state: Tensor) -> Tensor:
        states = []
        for x in inputs:
            state = FURTHER_CELLS[name](p, x, state)
            states.append(state)
        return torch.stack(states)

    return states_of


# A cell that comes later has its reference in a test file of its own.
REFERENCES: dict[str, Reference] = {"rnn": rnn, "gru": gru, "lstm": lstm, "lru": lru} | {
    name: from_paper(name) for name in FURTHER_CELLS
}


@pytest.mark.parametrize("name", REFERENCES)
def test_states_and_gradients_are_those_of_the_reference(
    make_candidate: Callable[..., TrainedNetwork], name: str
) -> None:
    check_reference(make_candidate(cell=name, units=UNITS).cell, REFERENCES[name])


@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_those_of_the_states(
    make_candidate: Callable[..., TrainedNetwork], name: str
) -> None:
    check_differences(make_candidate(cell=name, units=UNITS).cell)


@pytest.mark.parametrize("name", CELLS)
def test_initial_parameters_have_the_shapes_that_are_declared(
    make_candidate: Callable[..., TrainedNetwork], name: str
) -> None:
    cell = make_candidate(cell=name, units=UNITS).cell
    for inputs in (1, 3):
        initial = cell.initialise(inputs, Generator().manual_seed(0))
        assert {name: tuple(v.shape) for name, v in initial.items()} == cell.shapes(inputs)
        assert all(torch.isfinite(value).all() for value in initial.values())


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "lem"])
def test_initial_weights_are_uniform_as_in_torch(
    make_candidate: Callable[..., TrainedNetwork], name: str
) -> None:
    bound = 64**-0.5
    cell = make_candidate(cell=name, units=64).cell
    weights = cell.initialise(1, Generator().manual_seed(0))["recurrent"]
    assert weights.abs().max() <= bound
    assert weights.std() == pytest.approx(bound / 3**0.5, rel=0.05)
