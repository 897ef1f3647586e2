"""Gradients, losses and free runs of networks that read segments, against the plain network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator

from models.network.forecaster import Forecaster
from models.network.walk import free_run
from models.tensors import CLIP_STD
from models.training.trained_network import TrainedNetwork
from tests.models.network.cells.reference_cells import FURTHER_CELLS
from tests.models.network.reference_network import Network, run_network
from tests.models.training.reference_step import MEMBERS, check_next_gradient, training_of

CELLS = ["rnn", "gru", "lstm", "lru", *(cell for cell in FURTHER_CELLS if cell != "mlp")]
# A rollout of 8 values is two segments of 3 and a part of a third.
SEGMENTS: dict[str, Any] = {"segment_steps": 3, "context_steps": 7, "rollout_steps": 8}
PARALLEL: dict[str, Any] = {"decoding": "parallel", "parallel_segments": 2}
OPTIONS: list[dict[str, Any]] = [
    {"read_in": "linear", "layers": 2, "head_layers": 1},
    {"read_in": "relu", "residual": True, "instance_norm": True},
    {"context": "state", "residual": True} | {"instance_norm": True, "instance_level": "last"},
    {"residual": True, "scaled_increments": True, "layer_norm": True, "layers": 2},
    {"context": "state", "autonomous": True, "instance_norm": True},
    {"context": "state", "stateful": True, "rollout_steps": 7},
    {"context": "state", "teacher_span": "rollout", "professor_weight": 0.7},
    {"context": "state", "growth_penalty": True, "growth_weight": 0.5},
    {"velocity_weight": 0.3, "spectral_weight": 0.2, "amplitude_weight": 0.4},
    {"context": "state", "forcing": "increasing", "forcing_strength": 0.5},
    {"context": "state", "pushforward_steps": 1},
    {"data_as_demonstrator": True},
    {"context": "state", "dropout": 0.3, "state_noise_std": 0.1, "layers": 2},
    {
        "input_noise_std": 0.1,
        "feedback_noise_std": 0.2,
        "output_noise_std": 0.1,
        "label_noise_std": 0.1,
    },
    {"time_reversal": True, "sign_augmentation": True, "offset": False, "batch_size": 4},
    {"rollout_steps": 1},
    {"rollout_steps": 2, "teacher_weight": 0.0},
    {"cell": "mlp"},
    PARALLEL,
    PARALLEL | {"context": "state", "residual": True, "layers": 2, "instance_norm": True},
    PARALLEL | {"context": "state", "read_in": "relu", "scaled_increments": True, "residual": True},
    PARALLEL | {"rollout_steps": 6, "dropout": 0.2, "head_layers": 1},
]


def described(chosen: dict[str, Any]) -> str:
    return "-".join(f"{name}={value}" for name, value in chosen.items())


@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("decoding", ["recurrent", "parallel"])
def test_gradient(
    make_candidate: Callable[..., TrainedNetwork], cell: str, context: str, decoding: str
) -> None:
    more = PARALLEL if decoding == "parallel" else {}
    candidates = [
        make_candidate(
            cell=cell,
            context=context,
            residual=True,
            teacher_weight=share,
            curriculum_fraction=fraction,
            **SEGMENTS | more,
        )
        for share, fraction in ((0.3, 0.0), (0.0, 1.0), (0.7, 0.0))
    ]
    check_next_gradient(training_of(candidates))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("chosen", OPTIONS, ids=described)
def test_gradient_with(
    make_candidate: Callable[..., TrainedNetwork], chosen: dict[str, Any], channels: int
) -> None:
    given: dict[str, Any] = {"cell": "gru", "teacher_weight": 0.4} | SEGMENTS | chosen
    training = training_of([make_candidate(**given)] * MEMBERS, channels)
    # The growth penalty takes the difference of two runs that have nearly met, which costs digits.
    tolerance = 1e-3 if "growth_penalty" in chosen else 1e-5
    check_next_gradient(training, tolerance)
    check_next_gradient(training, tolerance)


@pytest.mark.parametrize("steps", [1, 3, 8, 22])
@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"context": "state"},
        {"cell": "mlp"},
        {"context": "state", "read_in": "relu", "residual": True, "instance_norm": True},
        PARALLEL,
        PARALLEL | {"context": "state", "residual": True, "scaled_increments": True},
        PARALLEL | {"context": "state", "instance_norm": True, "parallel_segments": 1},
    ],
    ids=described,
)
def test_free_run(
    make_candidate: Callable[..., TrainedNetwork], chosen: dict[str, Any], steps: int
) -> None:
    candidate = make_candidate(**{"cell": "lstm"} | SEGMENTS | chosen)
    architecture = candidate.architecture
    assert architecture.context_steps == 6  # two segments of the context of 7
    forecaster = Forecaster(architecture, channels=2)
    generator = Generator().manual_seed(2)
    population = torch.stack([forecaster.initialise(generator) for _ in range(MEMBERS)])
    contexts = torch.randn(MEMBERS, 4, 6, 2, generator=generator)
    run = free_run(forecaster, population, contexts, steps)
    assert run.shape == (MEMBERS, 4, steps, 2)
    assert torch.equal(run, free_run(forecaster, population, contexts, steps + 2)[:, :, :steps])
    views = forecaster.layout().views(population)
    for member in range(MEMBERS):
        weights = {name: view[member].double() for name, view in views.items()}
        context = contexts[member].transpose(0, 1).double()
        found = run_network(Network(architecture, weights, batch=4), context, steps).forecasts
        expected = torch.stack([found[6 + step] for step in range(steps)], dim=1)
        torch.testing.assert_close(
            run[member].double(), expected.clamp(-CLIP_STD, CLIP_STD), rtol=1e-4, atol=1e-4
        )


def test_a_context_shorter_than_a_segment_is_one_segment(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(context_steps=4, segment_steps=6, rollout_steps=2)
    assert candidate.architecture.context_steps == 6
    assert candidate.rollout_steps == 6
    assert candidate.least_steps == 12
    forecaster = Forecaster(candidate.architecture)
    rows = torch.zeros(2, forecaster.layout().size)
    with pytest.raises(ValueError, match="whole segments of 6 values, but has 4"):
        free_run(forecaster, rows, torch.zeros(2, 1, 4, 1), 3)


def test_what_needs_segments_is_refused_without(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    with pytest.raises(ValueError, match="segment_steps above 1"):
        make_candidate(read_in="relu")
    with pytest.raises(ValueError, match="reads segment by segment"):
        make_candidate(cell="mlp", segment_steps=2, read_in="linear")
    with pytest.raises(ValueError, match="autonomous"):
        make_candidate(
            context="state", autonomous=True, segment_steps=2, decoding="parallel", residual=True
        )
