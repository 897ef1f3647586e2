"""Small candidates to train in tests, on one thread unless a test says otherwise."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from typing import Any

import pytest
import torch

from models.candidate import Architecture, Candidate, Strategy

# Fields that have a default of their own keep it.
DEFAULTS: dict[str, Any] = {
    field.name: field.default
    for kind in (Architecture, Strategy)
    for field in fields(kind)
    if field.default is not MISSING
} | {
    "cell": "rnn",
    "units": 4,
    "layers": 1,
    "head_layers": 0,
    "residual": False,
    "context": "window",
    "context_steps": 4,
    "reflections": 3,
    "expanded_units": 6,
    "rollout_steps": 1,
    "teacher_weight": 1.0,
    "curriculum_fraction": 0.0,
    "input_noise_std": 0.0,
    "feedback_noise_std": 0.0,
    "output_noise_std": 0.0,
    "label_noise_std": 0.0,
    "learning_rate": 1e-2,
    "weight_decay": 0.0,
    "clip_norm": 1e9,
    "schedule": "constant",
    "training_steps": 3,
    "batch_size": 2,
    "cornn_step": 0.3,
    "cornn_stiffness": 2.0,
    "cornn_damping": 0.5,
    "lem_step": 0.8,
    "antisymmetric_step": 0.3,
    "antisymmetric_diffusion": 0.1,
}


@pytest.fixture(scope="session")
def make_candidate() -> Callable[..., Candidate]:
    """A candidate from the fields that matter to a test; all others are small and plain."""

    def make(**chosen: Any) -> Candidate:
        values = DEFAULTS | chosen
        assert values.keys() == DEFAULTS.keys(), f"no such field: {chosen}"
        architecture, strategy = (
            {field.name: values[field.name] for field in fields(kind)}
            for kind in (Architecture, Strategy)
        )
        return Candidate(Architecture(**architecture), Strategy(**strategy), restarts=1)

    return make


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
