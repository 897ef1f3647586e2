"""What stands among the weights and is not trained, and the pieces of the further architectures."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from models.candidate import Candidate, Strategy
from models.cells import CELLS
from models.instance_norm import InstanceScale
from models.layer_norm import LayerNorm
from models.reflections import Reflections
from models.training import Member, Training


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(1))


KNOBS: dict[str, list[dict[str, float]]] = {
    "cornn": [
        {"cornn_step": 0.02, "cornn_stiffness": 3.0, "cornn_damping": 0.0},
        {"cornn_step": 0.1, "cornn_stiffness": 30.0, "cornn_damping": 4.0},
    ],
    "lem": [{"lem_step": 0.1}, {"lem_step": 0.9}],
    "antisymmetric": [
        {"antisymmetric_step": 0.2, "antisymmetric_diffusion": 0.0},
        {"antisymmetric_step": 0.7, "antisymmetric_diffusion": 0.3},
    ],
}


@pytest.mark.parametrize("cell", KNOBS)
def test_knobs_differ_by_member_and_are_not_trained(
    make_candidate: Callable[..., Candidate], cell: str
) -> None:
    candidates = [
        make_candidate(cell=cell, context="state", weight_decay=1.0, **knobs)
        for knobs in KNOBS[cell]
    ]
    assert set(CELLS[cell].knobs) == set(KNOBS[cell][0])
    training = Training([Member(c, 0, seed=0) for c in candidates], random(1, 30, 1))
    before = training.weights.clone()
    for _ in training:
        pass
    views = training.forecaster.layout().views(training.weights)
    for member, knobs in enumerate(KNOBS[cell]):
        for name, value in knobs.items():
            assert views[f"fixed.{name}"][member].item() == pytest.approx(value)
    assert not torch.equal(training.weights, before)
    plain = training.parameter_count
    assert plain == sum(v[0].numel() for n, v in views.items() if not n.startswith("fixed."))


def test_every_cell_s_knobs_are_of_a_strategy() -> None:
    for name, cell in CELLS.items():
        assert all(isinstance(getattr(Strategy, knob), float) for knob in cell.knobs), name


def test_increments_are_in_standard_deviations_of_the_training_span_s(
    make_candidate: Callable[..., Candidate],
) -> None:
    candidate = make_candidate(residual=True, scaled_increments=True, weight_decay=1.0)
    values = torch.stack([random(30, 1), torch.ones(30, 1)])
    training = Training([Member(candidate, series, seed=0) for series in (0, 1)], values)
    for _ in training:
        pass
    found = training.forecaster.layout().views(training.weights)["fixed.increment_std"]
    assert found[0].item() == pytest.approx(values[0].diff(dim=0).std(correction=0).item())
    assert found[1].item() == pytest.approx(1e-6)  # a constant series has none


def test_reflections_make_an_orthogonal_matrix_that_starts_as_slow_rotations(
    make_candidate: Callable[..., Candidate],
) -> None:
    architecture = make_candidate(cell="orthogonal", units=16, reflections=6).architecture
    vectors = CELLS["orthogonal"].initialise(1, architecture, Generator().manual_seed(0))["vectors"]
    reflections = Reflections(torch.stack([vectors, random(6, 16)]))
    reflections.multiply()
    products = reflections.product @ reflections.product.transpose(1, 2)
    torch.testing.assert_close(products, torch.eye(16).expand(2, 16, 16), atol=1e-5, rtol=0.0)
    angles = torch.linalg.eigvals(reflections.product[0]).angle().abs()
    assert ((angles > 2e-3) & (angles < 1.5)).sum() == 6  # three pairs
    assert (angles < 1e-3).sum() == 10


def test_layer_norm_is_torch_s() -> None:
    weights = {"gain": random(3, 1, 5), "bias": random(3, 1, 5) / 2}
    gradients = {name: torch.zeros_like(value) for name, value in weights.items()}
    norm = LayerNorm(weights, gradients, slots=2, batch=4)
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


def test_an_instance_s_units_are_those_of_its_context() -> None:
    context: Any = 3 + 2 * random(50, 2, 3, 1)
    scale = InstanceScale.of(context)
    own = scale.normalised(context)
    torch.testing.assert_close(own.mean(0), torch.zeros(2, 3, 1), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(own.std(0, correction=0), torch.ones(2, 3, 1), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(scale.restored(own), context)
    flat = InstanceScale.of(torch.ones(4, 2, 3, 1))
    assert torch.isfinite(flat.normalised(torch.ones(2, 3, 1))).all()
