"""Sensitivity to an earlier error, against autograd in float64 and where it is known by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from models.diagnostics.sensitivity import sensitivity
from models.network.forecaster import Forecaster
from models.training.trained_network import TrainedNetwork
from tests.models.network.reference_network import Network, run_network
from tests.models.network.test_walk import population

FORECASTERS: list[dict[str, Any]] = [
    *(
        {"cell": cell, "residual": cell == "gru", "layers": layers, "context": context}
        for cell, layers in (("rnn", 2), ("gru", 1), ("lstm", 1))
        for context in ("window", "state")
    ),
    {"cell": "mlp"},
    {"cell": "mlp", "residual": True, "instance_norm": True},
    {"cell": "cornn", "context": "state", "layer_norm": True, "instance_norm": True},
]


@pytest.mark.parametrize(
    "choice", FORECASTERS, ids=lambda choice: "-".join(map(str, choice.values()))
)
def test_sensitivity_is_the_derivative_of_the_last_forecast(
    make_candidate: Callable[..., TrainedNetwork], choice: dict[str, Any]
) -> None:
    candidate = make_candidate(**choice)
    forecaster, weights = Forecaster(candidate.architecture), population(candidate)
    given = torch.randn(2, 3, 4, 1, generator=Generator().manual_seed(0))
    steps = 7
    norms = sensitivity(forecaster, weights, given, steps)
    assert norms.shape == (2, steps - 1)
    for member in range(2):
        named = forecaster.layout().views(weights.double())
        own = {name: view[member].requires_grad_() for name, view in named.items()}
        network = Network(candidate.architecture, own, batch=3)
        found = run_network(network, given[member].double().transpose(0, 1), steps)
        last = found.forecasts[4 + steps - 1]
        for lag in range(1, steps):
            (grad,) = torch.autograd.grad(
                last.sum(), found.forecasts[4 + steps - 1 - lag], retain_graph=True
            )
            expected: Tensor = grad.square().sum(1).mean().sqrt()
            torch.testing.assert_close(
                norms[member, lag - 1].double(), expected, rtol=2e-4, atol=1e-7
            )


def test_a_network_that_copies_its_last_value_keeps_an_error_for_ever(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(cell="rnn", residual=True)
    forecaster = Forecaster(candidate.architecture)
    weights = torch.zeros_like(population(candidate))
    given = torch.randn(2, 3, 4, 1, generator=Generator().manual_seed(0))
    assert torch.equal(sensitivity(forecaster, weights, given, 5), torch.ones(2, 4))


def test_a_forecaster_that_feeds_nothing_back_has_no_sensitivity(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(cell="lru", context="state", autonomous=True)
    forecaster, weights = Forecaster(candidate.architecture), population(candidate)
    with pytest.raises(ValueError, match="reads no forecast"):
        sensitivity(forecaster, weights, torch.zeros(2, 1, 4, 1), 5)
    fed = make_candidate()
    with pytest.raises(ValueError, match="at least 2 steps, but got 1"):
        sensitivity(Forecaster(fed.architecture), population(fed), torch.zeros(2, 1, 4, 1), 1)
