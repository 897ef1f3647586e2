"""Candidates as JSON, as members of cohorts, and what can't go together."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.candidate import Candidate, from_plain, to_plain
from models.closed_form.closed_form import FittedForm
from models.training.trained_network import TrainedNetwork

DATA = Path(__file__).parents[1] / "data" / "0.1.0"
EXPORTS = sorted(DATA.glob("*/candidate.json"))
Make = Callable[..., TrainedNetwork]


def plain_of(export: Path) -> dict[str, Any]:
    """A candidate as version 0.1.0 wrote it."""
    plain: dict[str, Any] = json.loads(export.read_text())["candidate"]
    return plain


def test_json_round_trip(make_candidate: Callable[..., Candidate]) -> None:
    for candidate in (
        make_candidate(cell="lstm", residual=True, learning_rate=0.1),
        make_candidate(cell="ssa", regularisation="held-out", time_reversal=True, offset=False),
    ):
        again = from_plain(json.loads(json.dumps(to_plain(candidate))))
        assert again == candidate
        assert hash(again) == hash(candidate)
        assert repr(again) == repr(candidate)


def test_a_candidate_is_a_network_or_a_closed_form(
    make_candidate: Callable[..., Candidate],
) -> None:
    """Neither has a setting of the other."""
    network, form = make_candidate(), make_candidate(cell="ar", learning_rate=0.1, layers=2)
    assert isinstance(network, TrainedNetwork)
    assert isinstance(form, FittedForm)
    assert "ridge" not in network.values()
    assert form.values() == {
        "cell": "ar",
        "ar_order": 4,
        "regularisation": "given",
        "ridge": 0.0,
        "offset": True,
    }


@pytest.mark.parametrize("export", EXPORTS, ids=lambda path: path.parent.name)
def test_a_candidate_of_version_0_1_0_is_read_with_all_its_values(export: Path) -> None:
    plain = plain_of(export)
    candidate = from_plain(plain)
    old = {**plain["architecture"], **plain["strategy"], "restarts": plain["restarts"]}
    renamed = {"reservoir_units", "modes", "hidden_units", "warm_up_steps", "ar_order"}
    for name, value in candidate.values().items():
        if name not in renamed:
            assert (name, value) == (name, old[name])
    assert candidate.architecture.context_steps == old["context_steps"]
    assert from_plain(to_plain(candidate)) == candidate


def test_exports_of_version_0_1_0_are_of_both_kinds() -> None:
    kinds = {type(from_plain(plain_of(export))) for export in EXPORTS}
    assert kinds == {TrainedNetwork, FittedForm}


def test_a_setting_that_no_method_has_is_refused(make_candidate: Make) -> None:
    plain = to_plain(make_candidate())
    plain["settings"]["momentum"] = 0.9
    with pytest.raises(ValueError, match="momentum is a setting of no method here"):
        from_plain(plain)
    old = plain_of(EXPORTS[0])
    old["strategy"]["drop_out"] = 0.5
    with pytest.raises(ValueError, match="Did you mean 'dropout'"):
        from_plain(old)


@pytest.mark.parametrize("part", ["architecture", "strategy", "restarts"])
def test_a_candidate_of_version_0_1_0_without_a_part_is_refused(part: str) -> None:
    plain = plain_of(EXPORTS[0])
    del plain[part]
    with pytest.raises(KeyError, match=part):
        from_plain(plain)


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


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "gru"},
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
def test_only_a_linear_state_is_estimated(make_candidate: Make, change: dict[str, Any]) -> None:
    choice = LINEAR | {"autonomous": True, "state_estimate": "least-squares"} | change
    with pytest.raises(ValueError, match="least-squares"):
        make_candidate(**choice)


def test_a_window_has_no_state_to_estimate_or_to_carry(make_candidate: Make) -> None:
    """These are settings of another context, and not looked at."""
    choice = {"autonomous": True, "state_estimate": "least-squares", "stateful": True}
    assert make_candidate(context="window", **choice) == make_candidate(context="window")


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


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"scaled_increments": True}, "scaled_increments needs residual"),
        (
            {"instance_norm": True, "context": "state", "stateful": True},
            "must not go with stateful",
        ),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(
    make_candidate: Make, choice: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make_candidate(**choice)


def test_a_window_mlp_has_a_window_whatever_context_is_named(make_candidate: Make) -> None:
    mlp = make_candidate(cell="mlp", context="state")
    assert mlp == make_candidate(cell="mlp", context="window")
    assert not mlp.architecture.has_state
    assert mlp.architecture.context_steps == 4


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            {"cell": "lru", "context": "state", "autonomous": True, "layers": 2, "units": 1},
            "lru, 2 x 1 complex mode, warm-up of 4, running on its state, one-step loss",
        ),
        (
            {"cell": "gru", "residual": True, "instance_norm": True, "rollout_steps": 8},
            "gru, 4 units, window of 4, instance norm, residual, free-running loss over 8 steps",
        ),
        ({"cell": "ssa", "ssa_rank": 3, "offset": True}, "ssa, window of 4, rank 3"),
    ],
    ids=lambda choice: choice["cell"] if isinstance(choice, dict) else None,
)
def test_a_candidate_is_described_in_a_few_words(
    make_candidate: Callable[..., Candidate], choice: dict[str, Any], words: str
) -> None:
    assert make_candidate(**choice).description() == words
