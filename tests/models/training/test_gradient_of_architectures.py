"""Further cells, norms and increments: gradients and free runs against the plain network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator

from models.network.forecaster import Forecaster
from models.network.options.instance_norm import EPSILON
from models.network.walk import free_run
from models.tensors import CLIP_STD
from models.training.trained_network import TrainedNetwork
from tests.models.network.reference_network import Network, run_network
from tests.models.training.reference_step import (
    MEMBERS,
    check_next_gradient,
    training_of,
    weights_of,
)

RECURRENT = ["cornn", "lem", "antisymmetric", "orthogonal", "shplrnn"]
NORMS: dict[str, Any] = {"layer_norm": True, "instance_norm": True}
SCALED: dict[str, Any] = {"residual": True, "scaled_increments": True}

CHOICES: dict[str, dict[str, Any]] = (
    {
        f"{cell}-{context}-{layers}": {"cell": cell, "context": context, "layers": layers}
        | {"head_layers": layers - 1, "residual": layers == 2, "rollout_steps": 4}
        for cell in RECURRENT
        for context, layers in (("state", 1), ("state", 2), ("window", 2))
    }
    | {
        f"{cell}-alone": {"cell": cell, "context": "state", "autonomous": True}
        for cell in RECURRENT
    }
    | {
        f"{cell}-norms": {"cell": cell, "context": "state", "units": 7} | NORMS | SCALED
        for cell in RECURRENT
    }
    | {
        "mlp": {"cell": "mlp"},
        "mlp-deep": {"cell": "mlp", "layers": 2, "head_layers": 1, "residual": True},
        "mlp-norms": {"cell": "mlp", "layers": 2} | NORMS | SCALED,
        "mlp-beside": {"cell": "mlp", "teacher_span": "rollout", "professor_weight": 0.5},
        "gru-layer-norm": {"cell": "gru", "layers": 3, "layer_norm": True},
        "lstm-layer-norm": {"cell": "lstm", "context": "state", "layers": 2, "layer_norm": True},
        "lru-layer-norm": {"cell": "lru", "context": "state", "layers": 2, "layer_norm": True},
        "rnn-instance-norm": {"cell": "rnn", "instance_norm": True, "residual": True},
        "gru-norms-alone": {"cell": "gru", "context": "state", "autonomous": True} | NORMS,
        "gru-norms-beside": {"cell": "gru", "context": "state", "teacher_span": "rollout"}
        | {"professor_weight": 0.5}
        | NORMS,
        "gru-increments": {"cell": "gru", "context": "state"} | SCALED,
        "linear-instance-norm": {"cell": "lru", "context": "state", "instance_norm": True},
        "linear-alone": {"cell": "lru", "context": "state", "autonomous": True}
        | {"instance_norm": True, "residual": True, "layers": 2},
        "linear-increments": {"cell": "lru", "context": "state", "instance_norm": True} | SCALED,
        "lem-stateful": {"cell": "lem", "context": "state", "stateful": True, "layer_norm": True},
    }
)


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_gradient(make_candidate: Callable[..., TrainedNetwork], choice: dict[str, Any]) -> None:
    """The members differ in their settings."""
    candidates = [
        make_candidate(
            **{"context_steps": 5, "rollout_steps": 3} | choice,
            teacher_weight=share,
            curriculum_fraction=fraction,
            input_noise_std=0.1,
            feedback_noise_std=0.1 * fraction,
            output_noise_std=0.1,
            dropout=rate if choice["cell"] != "lru" else 0.0,
            cornn_step=0.2 + share,
            cornn_stiffness=3 * share,
            cornn_damping=fraction,
            lem_step=1.0 - share,
            antisymmetric_step=0.1 + share,
            antisymmetric_diffusion=fraction,
        )
        for share, fraction, rate in ((0.3, 0.0, 0.2), (0.0, 0.0, 0.0), (0.7, 1.0, 0.0))
    ]
    training = training_of(candidates)
    check_next_gradient(training)
    if not candidates[0].architecture.has_layer_norm:  # which makes single precision's errors large
        check_next_gradient(training)


@pytest.mark.parametrize("cell", ["cornn", "shplrnn", "gru", "mlp"])
def test_gradient_of_several_channels(
    make_candidate: Callable[..., TrainedNetwork], cell: str
) -> None:
    context = "window" if cell == "mlp" else "state"
    candidate = make_candidate(
        cell=cell, context=context, rollout_steps=3, teacher_weight=0.5, **NORMS | SCALED
    )
    check_next_gradient(training_of([candidate] * MEMBERS, channels=2))


@pytest.mark.parametrize(
    "choice",
    [c for name, c in CHOICES.items() if "beside" not in name and "stateful" not in name],
    ids=lambda c: "-".join(map(str, c.values())),
)
def test_free_run(make_candidate: Callable[..., TrainedNetwork], choice: dict[str, Any]) -> None:
    """Of trained networks, so that what is fixed has its own value; started anywhere."""
    choice = {"context_steps": 5, "rollout_steps": 3} | choice
    candidate = make_candidate(**choice)
    training = training_of([candidate] * MEMBERS, channels=2)
    next(iter(training))
    contexts = 2 + torch.randn(MEMBERS, 4, 5, 2, generator=Generator().manual_seed(2))
    run = free_run(training.forecaster, training.weights, contexts, 12)
    for member in range(MEMBERS):
        context = contexts[member].transpose(0, 1).double()
        network = Network(candidate.architecture, weights_of(training, member), batch=4)
        found = run_network(network, context, 12).forecasts
        expected = torch.stack([found[5 + step] for step in range(12)], dim=1).detach()
        torch.testing.assert_close(
            run[member].double(), expected.clamp(-CLIP_STD, CLIP_STD), rtol=1e-4, atol=1e-4
        )


def test_a_state_by_least_squares_explains_the_context_in_its_units(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    choice = {"cell": "lru", "context": "state", "autonomous": True, "context_steps": 9}
    choice |= {"state_estimate": "least-squares"}
    plain, scaled = (make_candidate(**choice, instance_norm=norm) for norm in (False, True))
    training = training_of([scaled] * MEMBERS, channels=2)
    next(iter(training))
    contexts = 3 + torch.randn(MEMBERS, 4, 9, 2, generator=Generator().manual_seed(2))
    mean, std = contexts.mean(2, keepdim=True), contexts.std(2, correction=0, keepdim=True)
    own = (contexts - mean) / (std**2 + EPSILON).sqrt()
    outputs = free_run(Forecaster(plain.architecture, 2), training.weights, own, 12)
    run = free_run(training.forecaster, training.weights, contexts, 12)
    inside = (outputs.abs() < CLIP_STD) & (run.abs() < CLIP_STD)
    assert inside.float().mean() > 0.8
    torch.testing.assert_close(run[inside], (outputs * std + mean)[inside], rtol=1e-4, atol=1e-4)
