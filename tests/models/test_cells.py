"""Every hand-written cell against torch's own, member by member: states and all gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Generator, Tensor, nn

from models.candidate import Candidate
from models.cells import CELLS
from models.cells.lru import DECAY_RANGE, PHASE_RANGE, phases_of_spectrum
from models.parameters import Layout
from tests.models.reference_cells import FURTHER_CELLS

MEMBERS, BATCH, STEPS, INPUTS, UNITS = 3, 2, 5, 3, 4


@dataclass(frozen=True)
class Unrolled:
    """Everything a cell computes in an unroll from given states, inputs and output gradients."""

    parameters: dict[str, Tensor]  # [member, *shape]
    inputs: Tensor  # [time, member, batch, inputs]
    first_state: Tensor  # [member, batch, state_units]
    states: Tensor  # [time, member, batch, state_units]
    grad_states: Tensor  # [time, member, batch, state_units]: direct gradient of each state
    grad_inputs: Tensor
    grad_first_state: Tensor
    grad_parameters: dict[str, Tensor]


def unrolled(candidate: Candidate) -> Unrolled:
    """A cell unrolled forwards and backwards with torch's gradients of its states given."""
    cell_class, architecture = CELLS[candidate.architecture.cell], candidate.architecture
    layout = Layout.of(cell_class.shapes(INPUTS, architecture))
    generator = Generator().manual_seed(5)
    weights = torch.stack(
        [
            layout.pack(cell_class.initialise(INPUTS, architecture, generator))
            for _ in range(MEMBERS)
        ]
    )
    gradients = torch.zeros_like(weights)
    parameters, grad_parameters = layout.views(weights), layout.views(gradients)
    # A knob is each member's own.
    by_member = 1.0 + torch.arange(MEMBERS).view(-1, 1, 1) / 10
    knobs = {name: getattr(candidate.strategy, name) * by_member for name in cell_class.knobs}
    parameters |= knobs
    cell = cell_class(parameters, grad_parameters, slots=STEPS, batch=BATCH)
    width = cell_class.state_units(UNITS)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    inputs, first = random(STEPS, MEMBERS, BATCH, INPUTS), random(MEMBERS, BATCH, width)
    grad_states = random(STEPS, MEMBERS, BATCH, width)
    states = torch.empty(STEPS, MEMBERS, BATCH, width)
    cell.begin()
    for step in range(STEPS):
        cell.forward(step, inputs[step], states[step - 1] if step else first, states[step])
    cell.begin_backward()
    grad_inputs, carried = torch.empty_like(inputs), torch.zeros_like(first)
    for step in reversed(range(STEPS)):
        grad_state = torch.empty_like(carried)
        cell.backward(
            step,
            inputs[step],
            states[step - 1] if step else first,
            states[step],
            carried + grad_states[step],
            grad_state,
            grad_inputs[step],
        )
        carried = grad_state
    cell.end()
    return Unrolled(
        parameters, inputs, first, states, grad_states, grad_inputs, carried, grad_parameters
    )


Reference = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]


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


REFERENCES: dict[str, Reference] = {"rnn": rnn, "gru": gru, "lstm": lstm, "lru": lru} | {
    name: from_paper(name) for name in FURTHER_CELLS
}


def test_every_cell_has_a_reference() -> None:
    assert REFERENCES.keys() == CELLS.keys()


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("member", range(MEMBERS))
def test_states_and_gradients_are_those_of_the_reference(
    make_candidate: Callable[..., Candidate], name: str, member: int
) -> None:
    ours = unrolled(make_candidate(cell=name, units=UNITS))
    parameters = {k: v[member].clone().requires_grad_() for k, v in ours.parameters.items()}
    inputs = ours.inputs[:, member].clone().requires_grad_()
    first = ours.first_state[member].clone().requires_grad_()
    states = REFERENCES[name](parameters, inputs, first)
    torch.testing.assert_close(ours.states[:, member], states.detach())

    states.backward(ours.grad_states[:, member])
    assert inputs.grad is not None
    assert first.grad is not None
    torch.testing.assert_close(ours.grad_inputs[:, member], inputs.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.grad_first_state[member], first.grad, rtol=1e-4, atol=1e-5)
    for key, gradient in ours.grad_parameters.items():
        grad = parameters[key].grad
        assert grad is not None
        torch.testing.assert_close(gradient[member], grad, rtol=1e-4, atol=1e-4)


def initial(candidate: Candidate) -> dict[str, Tensor]:
    cell = CELLS[candidate.architecture.cell]
    return cell.initialise(1, candidate.architecture, Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "lem"])
def test_initial_weights_are_uniform_as_in_torch(
    make_candidate: Callable[..., Candidate], name: str
) -> None:
    bound = 64**-0.5
    weights = initial(make_candidate(cell=name, units=64))["recurrent"]
    assert weights.abs().max() <= bound
    assert weights.std() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_initial_linear_modes_lie_in_their_ranges(
    make_candidate: Callable[..., Candidate],
) -> None:
    modes = initial(make_candidate(cell="lru", units=500))
    for name, (low, high) in {"nu": DECAY_RANGE, "theta": PHASE_RANGE}.items():
        values = torch.exp(modes[name])
        assert low <= values.min() < 1.1 * low
        assert 0.9 * high < values.max() <= high
        middle = (low * high) ** 0.5
        assert 0.4 < (values < middle).float().mean() < 0.6


def test_phases_of_a_spectrum_lie_where_the_power_is() -> None:
    steps, frequencies = torch.arange(400.0), (0.1, 0.7)
    wave = torch.stack([torch.sin(w * steps) for w in frequencies], dim=1)
    phases = torch.exp(phases_of_spectrum(wave, 300, Generator().manual_seed(0)))
    assert phases.shape == (1, 300)
    nearest = torch.stack([(phases - w).abs() for w in frequencies]).min(0)
    near = nearest.values < 2 * torch.pi / 400  # the main lobe of the record
    assert near.float().mean() > 0.85
    assert 0.35 < (nearest.indices[near] == 0).float().mean() < 0.65


def test_phases_of_a_spectrum_begin_at_half_a_cycle() -> None:
    flat = torch.ones(100, 1)
    phases = torch.exp(phases_of_spectrum(flat, 50, Generator().manual_seed(0)))
    assert torch.pi / 100 == pytest.approx(float(phases.min()))
    constant = torch.zeros(100, 1)
    assert torch.isfinite(phases_of_spectrum(constant, 5, Generator().manual_seed(0))).all()


def test_initial_linear_modes_keep_the_variance_of_their_input(
    make_candidate: Callable[..., Candidate],
) -> None:
    modes = initial(make_candidate(cell="lru", units=500))
    weights, modulus = modes["input"], torch.exp(-torch.exp(modes["nu"]))
    # White noise of variance 1 gives each complex mode a stationary variance of 1.
    variance = (weights[:, :500] ** 2 + weights[:, 500:] ** 2) / (1 - modulus**2)
    assert variance.mean() == pytest.approx(1.0, rel=0.15)
