"""The head's fully connected layers against `torch.nn.Linear`, member by member."""

import pytest
import torch
from torch import Generator, nn

from models.network.forecaster import Dense
from models.network.parameters import Layout

MEMBERS, BATCH, SLOTS, INPUTS, OUTPUTS = 3, 4, 2, 5, 3


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu"])
def test_output_and_gradients_are_those_of_torch(activation: str) -> None:
    generator = Generator().manual_seed(1)
    layout = Layout.of(Dense.shapes(INPUTS, OUTPUTS))
    weights = torch.stack(
        [layout.pack(Dense.initialise(INPUTS, OUTPUTS, generator)) for _ in range(MEMBERS)]
    )
    gradients = torch.zeros_like(weights)
    layer = Dense(layout.views(weights), layout.views(gradients), slots=SLOTS, batch=BATCH)
    layer.activation = activation
    inputs = torch.randn(SLOTS, MEMBERS, BATCH, INPUTS, generator=generator)
    grads = torch.randn(SLOTS, MEMBERS, BATCH, OUTPUTS, generator=generator)
    outputs = [layer.forward(slot, inputs[slot].clone()).clone() for slot in range(SLOTS)]
    grad_inputs = [layer.backward(slot, grads[slot]).clone() for slot in reversed(range(SLOTS))]
    grad_inputs.reverse()

    for member in range(MEMBERS):
        linear = nn.Linear(INPUTS, OUTPUTS)
        with torch.no_grad():
            linear.weight.copy_(layout.views(weights)["weight"][member].T)
            linear.bias.copy_(layout.views(weights)["bias"][member, 0])
        x = inputs[:, member].clone().requires_grad_()
        y = linear(x) if activation == "linear" else getattr(torch, activation)(linear(x))
        y.backward(grads[:, member])
        assert x.grad is not None
        assert linear.weight.grad is not None
        torch.testing.assert_close(torch.stack(outputs)[:, member], y.detach())
        torch.testing.assert_close(torch.stack(grad_inputs)[:, member], x.grad)
        ours = layout.views(gradients)
        torch.testing.assert_close(ours["weight"][member], linear.weight.grad.T)
        torch.testing.assert_close(ours["bias"][member, 0], linear.bias.grad)


def test_initial_weights_are_uniform_as_in_torch() -> None:
    initial = Dense.initialise(64, 64, Generator().manual_seed(0))
    for value in initial.values():
        assert value.abs().max() <= 64**-0.5
    assert initial["weight"].std() == pytest.approx(64**-0.5 / 3**0.5, rel=0.05)
