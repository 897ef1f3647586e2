"""Candidates of version 0.1.0 are the networks that they were: their seeds, and their weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from models.candidate import candidate_of, from_plain
from models.cohort import Member
from models.methods import Choices
from models.methods.registry import methods_of
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from models.version_1 import seed_key, settings_of
from search.evaluation import initialisation_seed
from search.study.space import Space
from tests.search.study.space.samples import full_space, sample

# Parameters of two candidates of each cell, one of them with as many settings as there are, and the
# seeds that version 0.1.0 gave to the first initialisation of the first two replicas.
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "0.1.0" / "seeds.json").read_text()
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["params"]["cell"])
def test_seeds_are_those_of_version_0_1_0(row: dict[str, Any]) -> None:
    candidate = candidate_of(row["params"])
    found = [initialisation_seed(0, "search", candidate, replica, 0) for replica in range(2)]
    assert found == row["seeds"]


CELLS = tuple(sorted({row["params"]["cell"] for row in ROWS}))


def test_there_are_seeds_of_every_cell_that_version_0_1_0_had() -> None:
    assert len(CELLS) == 14
    assert set(CELLS) <= {core.name for core in methods_of("cell")}


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_the_form_of_version_0_1_0_says_all_of_a_candidate(seed: int) -> None:
    """The key of a seed is a candidate of that version, without its default values."""
    space = {**full_space(), "cell": Choices(CELLS)}
    del space["channels"]  # of which there was one
    params = sample(seed, space)
    sampled = Space(space).resolve(params)
    later = seed_key(sampled, sampled.restarts).get("later", {})
    candidate = Space(space).resolve({n: v for n, v in params.items() if n not in later})
    key = seed_key(candidate, candidate.restarts)
    assert key.keys() == {"architecture", "strategy", "restarts"}
    assert from_plain(json.loads(json.dumps(key))) == candidate


@pytest.mark.parametrize(
    ("cell", "context", "names"),
    [
        ("gru", "state", ("hidden_units", "warm_up_steps", "rollout_steps")),
        ("gru", "window", ("hidden_units", "window_steps", "window_rollout_steps")),
        ("mlp", "window", ("hidden_units", "window_steps", "window_rollout_steps")),
        ("lru", "state", ("modes", "warm_up_steps", "rollout_steps")),
        ("esn", "state", ("reservoir_units", "warm_up_steps", "rollout_steps")),
        ("nvar", "state", ("nvar_delays", "warm_up_steps", "rollout_steps")),
        ("ar", "state", ("hidden_units", "ar_order", "rollout_steps")),
        ("ssa", "state", ("hidden_units", "ssa_window", "rollout_steps")),
    ],
)
def test_fields_of_version_0_1_0_become_the_settings_of_a_study_file(
    cell: str, context: str, names: tuple[str, str, str]
) -> None:
    units, context_steps, rollout_steps = names
    architecture = {"cell": cell, "context": context, "units": 5, "context_steps": 9}
    assert settings_of(architecture, {"rollout_steps": 7, "dropout": 0.1}, restarts=2) == {
        "cell": cell,
        "context": context,
        units: 5,
        context_steps: 9,
        rollout_steps: 7,
        "dropout": 0.1,
        "restarts": 2,
    }


# Mean and root mean square of the weights after training, from the version before forcing, further
# losses, augmentation, state noise and averages. Rounded, since other processors round otherwise.
OLDER: dict[str, tuple[dict[str, Any], tuple[float, float]]] = {
    "gru": (
        {"cell": "gru", "context": "state", "teacher_span": "rollout", "professor_weight": 0.5}
        | {"time_reversal": True, "curriculum_fraction": 0.5, "dropout": 0.2},
        (0.00288, 0.228456),
    ),
    "lru": ({"cell": "lru", "context": "state", "output_noise_std": 0.1}, (-0.570817, 2.08445)),
}


@pytest.mark.parametrize(("choice", "expected"), OLDER.values(), ids=OLDER)
def test_an_older_candidate_is_the_network_it_was(
    make_candidate: Callable[..., TrainedNetwork],
    choice: dict[str, Any],
    expected: tuple[float, float],
) -> None:
    candidate = make_candidate(
        rollout_steps=5,
        training_steps=10,
        teacher_weight=0.5,
        input_noise_std=0.1,
        feedback_noise_std=0.1,
        **choice,
    )
    values = torch.randn(1, 40, 1, generator=Generator().manual_seed(0))
    training = Trainer([Member(candidate, 0, seed=11)], values)
    for _ in training:
        pass
    weights = training.weights[0]
    found = float(weights.mean()), float(weights.square().mean().sqrt())
    assert found == pytest.approx(expected, abs=2e-5)
