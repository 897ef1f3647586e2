"""Which candidates train in one cohort, and which of them are linear."""

from collections.abc import Callable
from typing import Any

import pytest

from models.training.trained_network import TrainedNetwork

Make = Callable[..., TrainedNetwork]

WINDOW: dict[str, Any] = {"context": "window"}
STATE: dict[str, Any] = {"context": "state", "rollout_steps": 2}


@pytest.mark.parametrize(
    ("base", "change"),
    [
        (WINDOW, {"cell": "gru"}),
        (WINDOW, {"units": 5}),
        (WINDOW, {"layers": 2}),
        (WINDOW, {"head_layers": 1}),
        (WINDOW, {"residual": True}),
        (WINDOW, {"context": "state"}),
        (WINDOW, {"context_steps": 5}),
        (STATE, {"context_steps": 5}),
        (STATE, {"autonomous": True}),
        (WINDOW, {"rollout_steps": 2}),
        (STATE, {"rollout_steps": 3}),
        (WINDOW, {"training_steps": 4}),
        (WINDOW, {"batch_size": 3}),
        (WINDOW, {"teacher_span": "rollout"}),
        (STATE, {"stateful": True}),
        (WINDOW, {"growth_penalty": True}),
        (WINDOW, {"layer_norm": True}),
        (WINDOW, {"hybrid": "ar"}),
        (STATE | {"hybrid": "ar"}, {"hybrid": "level-ar"}),
        (WINDOW, {"instance_norm": True}),
        (WINDOW | {"residual": True}, {"scaled_increments": True}),
        (WINDOW | {"cell": "orthogonal"}, {"reflections": 4}),
        (WINDOW | {"cell": "shplrnn"}, {"expanded_units": 7}),
    ],
    ids=lambda choice: "-".join(choice),
)
def test_settings_that_shape_the_computation_split_cohorts(
    make_candidate: Make, base: dict[str, Any], change: dict[str, Any]
) -> None:
    assert make_candidate(**base | change).cohort_key() != make_candidate(**base).cohort_key()


OTHER_STRATEGIES: dict[str, Any] = {
    "teacher_weight": 0.5,
    "curriculum_fraction": 0.5,
    "input_noise_std": 0.1,
    "feedback_noise_std": 0.1,
    "output_noise_std": 0.1,
    "label_noise_std": 0.1,
    "learning_rate": 0.1,
    "weight_decay": 0.1,
    "clip_norm": 0.1,
    "schedule": "cosine",
    "professor_weight": 0.5,
    "professor_detach": "none",
    "dropout": 0.5,
    "time_reversal": True,
    "offset": False,
    "growth_weight": 0.5,
    "velocity_weight": 0.5,
    "spectral_weight": 0.5,
    "amplitude_weight": 0.5,
    "forcing": "adaptive",
    "forcing_midpoint": 0.5,
    "forcing_strength": 0.5,
    "forcing_interval": 4,
    "pushforward_steps": 1,
    "data_as_demonstrator": True,
    "sign_augmentation": True,
    "scale_augmentation_std": 0.5,
    "state_noise_std": 0.5,
    "weight_average": "tail",
    "average_fraction": 0.5,
}


@pytest.mark.parametrize("name", OTHER_STRATEGIES)
def test_every_other_setting_leaves_the_cohort_as_it_is(make_candidate: Make, name: str) -> None:
    other = make_candidate(**{name: OTHER_STRATEGIES[name]})
    assert other.cohort_key() == make_candidate().cohort_key()


def test_all_other_settings_together_share_a_cohort(make_candidate: Make) -> None:
    assert make_candidate(**OTHER_STRATEGIES).cohort_key() == make_candidate().cohort_key()


@pytest.mark.parametrize(
    ("cell", "change"),
    [
        ("lru", {"damping": False, "initial_phases": "spectrum"}),
        ("cornn", {"cornn_step": 0.01, "cornn_stiffness": 1.0, "cornn_damping": 0.0}),
        ("lem", {"lem_step": 0.5}),
        ("antisymmetric", {"antisymmetric_step": 0.5, "antisymmetric_diffusion": 0.5}),
    ],
)
def test_numbers_of_a_cell_share_its_cohort(
    make_candidate: Make, cell: str, change: dict[str, Any]
) -> None:
    plain, other = make_candidate(cell=cell), make_candidate(cell=cell, **change)
    assert other != plain
    assert other.cohort_key() == plain.cohort_key()


LINEAR: dict[str, Any] = {"cell": "lru", "context": "state"}
# What the run without a loop over time can't do.
LOOPING: list[dict[str, Any]] = [
    {"dropout": 0.1},
    {"state_noise_std": 0.1},
    {"forcing": "sparse"},
    {"pushforward_steps": 1},
    {"data_as_demonstrator": True},
]
SPLITTING: list[dict[str, Any]] = [
    {"cell": "gru"},
    {"head_layers": 1},
    {"layer_norm": True},
    {"context": "window"},
    {"teacher_span": "rollout"},
    {"stateful": True},
    {"growth_penalty": True},
]


def test_how_the_state_is_found_splits_cohorts(make_candidate: Make) -> None:
    read = make_candidate(**LINEAR, autonomous=True)
    estimated = make_candidate(**LINEAR, autonomous=True, state_estimate="least-squares")
    assert read.cohort_key() != estimated.cohort_key()


@pytest.mark.parametrize("change", LOOPING, ids=lambda change: next(iter(change)))
def test_settings_that_need_a_loop_split_the_cohorts_of_linear_candidates(
    make_candidate: Make, change: dict[str, Any]
) -> None:
    linear, looping = make_candidate(**LINEAR), make_candidate(**LINEAR, **change)
    assert (linear.is_linear, looping.is_linear) == (True, False)
    assert linear.cohort_key() != looping.cohort_key()
    # With a second branch they loop anyway.
    beside = {"teacher_span": "rollout"} | LINEAR
    assert make_candidate(**beside).cohort_key() == make_candidate(**beside, **change).cohort_key()


@pytest.mark.parametrize(
    "change",
    [
        {"velocity_weight": 1.0, "spectral_weight": 1.0, "amplitude_weight": 1.0},
        {"sign_augmentation": True, "scale_augmentation_std": 0.5},
        {"weight_average": "exponential"},
        {"growth_weight": 1.0},
        {"input_noise_std": 1.0, "output_noise_std": 1.0, "label_noise_std": 1.0},
        {"feedback_noise_std": 1.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_losses_noise_and_averages_leave_a_candidate_linear(
    make_candidate: Make, change: dict[str, Any]
) -> None:
    linear, changed = make_candidate(**LINEAR), make_candidate(**LINEAR, **change)
    assert changed.is_linear
    assert changed.cohort_key() == linear.cohort_key()


@pytest.mark.parametrize("change", SPLITTING, ids=lambda change: next(iter(change)))
def test_a_candidate_that_needs_a_loop_over_time_is_not_linear(
    make_candidate: Make, change: dict[str, Any]
) -> None:
    choice = LINEAR | {"layers": 3, "residual": True}
    assert make_candidate(**choice).is_linear
    assert not make_candidate(**choice | change).is_linear


@pytest.mark.parametrize(
    ("choice", "branches"),
    [
        ({}, 1),
        ({"professor_weight": 0.5}, 1),
        ({"stateful": True}, 1),
        ({"teacher_span": "rollout"}, 2),
        ({"context": "state", "stateful": True}, 2),
        ({"growth_penalty": True}, 2),
        ({"growth_penalty": True, "teacher_span": "rollout"}, 3),
    ],
    ids=str,
)
def test_a_second_branch_is_run_only_for_what_needs_it(
    make_candidate: Make, choice: dict[str, Any], branches: int
) -> None:
    assert make_candidate(**choice).branches == branches
