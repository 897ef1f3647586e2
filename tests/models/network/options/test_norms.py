"""Layer norm against torch's own, and the units of an instance norm."""

import torch
from torch import Generator, Tensor, nn

from models.network.options.instance_norm import InstanceScale
from models.network.options.layer_norm import NormedOutput


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(1))


def test_layer_norm_agrees_with_torch() -> None:
    weights = {"gain": random(3, 1, 5), "bias": random(3, 1, 5) / 2}
    gradients = {name: torch.zeros_like(value) for name, value in weights.items()}
    norm = NormedOutput(weights, gradients, slots=2, batch=4)
    x, grad = random(3, 4, 5).requires_grad_(), random(3, 4, 5) + 1
    output = norm.forward(1, x.detach()).clone()
    norm.forward(0, random(3, 4, 5))
    assert torch.equal(norm.again(1), output)
    grad_x = norm.backward(1, grad)
    parameters = {name: value.clone().requires_grad_() for name, value in weights.items()}
    plain = nn.functional.layer_norm(x, [5])
    expected = plain * parameters["gain"] + parameters["bias"]
    torch.testing.assert_close(output, expected.detach())
    expected.backward(grad)
    torch.testing.assert_close(grad_x, x.grad)
    for name, parameter in parameters.items():
        torch.testing.assert_close(gradients[name], parameter.grad)


def test_the_units_of_an_instance_norm_are_those_of_its_context() -> None:
    context = 3 + 2 * random(50, 2, 3, 1)
    scale = InstanceScale.of(context, "mean")
    own = scale.normalised(context)
    torch.testing.assert_close(own.mean(0), torch.zeros(2, 3, 1), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(own.std(0, correction=0), torch.ones(2, 3, 1), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(scale.restored(own), context)
    by_last = InstanceScale.of(context, "last")
    assert torch.equal(by_last.normalised(context)[-1], torch.zeros(2, 3, 1))
    assert torch.equal(by_last.std, scale.std)
    flat = InstanceScale.of(torch.ones(4, 2, 3, 1), "mean")
    assert torch.isfinite(flat.normalised(torch.ones(2, 3, 1))).all()
