"""The independently recurrent network against the equation of its paper."""

import torch
from torch import Generator, Tensor

from models.network.cells.indrnn import IndRNN
from tests.models.network.cells.contract import check_reference


def reference(p: dict[str, Tensor], inputs: Tensor, state: Tensor) -> Tensor:
    """Li et al. (2018), eq. 2, with relu."""
    states = []
    for x in inputs:
        state = torch.relu(x @ p["input"] + p["recurrent"] * state + p["bias"])
        states.append(state)
    return torch.stack(states)


def test_states_and_gradients_are_those_of_the_paper() -> None:
    check_reference(IndRNN(hidden_units=4), reference)


def test_recurrent_weights_start_between_zero_and_one() -> None:
    weights = IndRNN(hidden_units=64).initialise(1, Generator().manual_seed(0))["recurrent"]
    assert weights.min() >= 0.0
    assert weights.max() <= 1.0
    assert weights.std() > 0.2
