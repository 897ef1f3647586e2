"""Candidates as JSON and as members of cohorts."""

import json
from collections.abc import Callable

import pytest

from models.candidate import Candidate


def test_json_round_trip(make_candidate: Callable[..., Candidate]) -> None:
    candidate = make_candidate(cell="lstm", residual=True, learning_rate=0.1)
    assert Candidate.from_dict(json.loads(json.dumps(candidate.to_dict()))) == candidate


def test_unknown_fields_are_refused(make_candidate: Callable[..., Candidate]) -> None:
    plain = make_candidate().to_dict()
    plain["strategy"]["momentum"] = 0.9
    with pytest.raises(TypeError):
        Candidate.from_dict(plain)


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "gru"},
        {"units": 5},
        {"layers": 2},
        {"head_layers": 1},
        {"residual": True},
        {"context": "state"},
        {"context_steps": 5},
        {"autonomous": True},
        {"rollout_steps": 2},
        {"training_steps": 4},
        {"batch_size": 3},
        {"teacher_span": "rollout"},
        {"stateful": True},
        {"growth_penalty": True},
        {"layer_norm": True},
        {"instance_norm": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_shapes_the_computation_splits_cohorts(
    make_candidate: Callable[..., Candidate], change: dict[str, object]
) -> None:
    assert make_candidate(**change).cohort_key() != make_candidate().cohort_key()


def test_other_strategies_share_a_cohort(make_candidate: Callable[..., Candidate]) -> None:
    other = make_candidate(
        teacher_weight=0.5,
        curriculum_fraction=0.5,
        input_noise_std=0.1,
        feedback_noise_std=0.1,
        output_noise_std=0.1,
        label_noise_std=0.1,
        learning_rate=0.1,
        weight_decay=0.1,
        clip_norm=0.1,
        schedule="cosine",
        professor_weight=0.5,
        professor_detach="none",
        dropout=0.5,
        time_reversal=True,
        offset=False,
        damping=False,
        growth_weight=0.5,
        velocity_weight=0.5,
        spectral_weight=0.5,
        amplitude_weight=0.5,
        forcing="adaptive",
        forcing_midpoint=0.5,
        forcing_strength=0.5,
        forcing_interval=4,
        pushforward_steps=1,
        data_as_demonstrator=True,
        sign_augmentation=True,
        scale_augmentation_std=0.5,
        state_noise_std=0.5,
        weight_average="tail",
        average_fraction=0.5,
        cornn_step=0.01,
        cornn_stiffness=1.0,
        cornn_damping=0.0,
        lem_step=0.5,
        antisymmetric_step=0.5,
        antisymmetric_diffusion=0.5,
    )
    assert other.cohort_key() == make_candidate().cohort_key()


LINEAR = {"cell": "lru", "context": "state"}
# What the run without a loop over time can't do.
LOOPING: list[dict[str, object]] = [
    {"dropout": 0.1},
    {"state_noise_std": 0.1},
    {"forcing": "sparse"},
    {"pushforward_steps": 1},
    {"data_as_demonstrator": True},
]


def test_how_the_state_is_found_splits_cohorts(make_candidate: Callable[..., Candidate]) -> None:
    read = make_candidate(**LINEAR, autonomous=True)
    estimated = make_candidate(**LINEAR, autonomous=True, state_estimate="least-squares")
    assert read.cohort_key() != estimated.cohort_key()


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "gru"},
        {"context": "window"},
        {"autonomous": False},
        {"head_layers": 1},
        {"residual": True},
        {"layer_norm": True},
        {"teacher_span": "rollout"},
        {"stateful": True},
        {"growth_penalty": True},
        *LOOPING,
    ],
    ids=lambda change: next(iter(change)),
)
def test_only_a_linear_state_is_estimated(
    make_candidate: Callable[..., Candidate], change: dict[str, object]
) -> None:
    choice = LINEAR | {"autonomous": True, "state_estimate": "least-squares"} | change
    with pytest.raises(ValueError, match="least-squares"):
        make_candidate(**choice)


@pytest.mark.parametrize("change", LOOPING, ids=lambda change: next(iter(change)))
def test_what_needs_a_loop_over_time_splits_the_cohorts_of_linear_candidates(
    make_candidate: Callable[..., Candidate], change: dict[str, object]
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
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_matter_of_reading_leaves_a_candidate_linear(
    make_candidate: Callable[..., Candidate], change: dict[str, object]
) -> None:
    linear = make_candidate(**LINEAR)
    assert make_candidate(**LINEAR, **change).cohort_key() == linear.cohort_key()


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "gru"},
        {"head_layers": 1},
        {"layer_norm": True},
        {"context": "window"},
        {"teacher_span": "rollout"},
        {"stateful": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_needs_a_loop_over_time_is_not_linear(
    make_candidate: Callable[..., Candidate], change: dict[str, object]
) -> None:
    choice = {"cell": "lru", "context": "state", "layers": 3, "residual": True} | change
    assert not make_candidate(**choice).is_linear


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
    make_candidate: Callable[..., Candidate], choice: dict[str, object], branches: int
) -> None:
    assert make_candidate(**choice).branches == branches


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"cell": "mlp", "context": "state"}, 'must go with context "window"'),
        ({"scaled_increments": True}, "must go with residual"),
        (
            {"instance_norm": True, "context": "state", "stateful": True},
            "must not go with stateful",
        ),
    ],
    ids=str,
)
def test_what_can_not_go_together_is_refused(
    make_candidate: Callable[..., Candidate], choice: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make_candidate(**choice)
