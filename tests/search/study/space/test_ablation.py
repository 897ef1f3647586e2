"""A candidate without each of its components."""

from dataclasses import asdict

import pytest

from models.candidate import Candidate
from models.methods import Choices, Scalar
from search.study.space import Space, complete_space
from search.study.space.ablation import BY_NAME, taken_along, without_each

SPACE = Space(complete_space({}, train_steps=600))
LINEAR: dict[str, Scalar] = {
    "cell": "lru",
    "modes": 2,
    "layers": 1,
    "head_layers": 0,
    "context": "state",
    "warm_up_steps": 300,
    "autonomous": True,
    "state_estimate": "least-squares",
    "offset": False,
    "damping": False,
    "rollout_steps": 64,
    "teacher_weight": 0.3,
    "curriculum_fraction": 0.5,
    "time_reversal": True,
    "input_noise_std": 0.1,
    "output_noise_std": 0.0,
    "label_noise_std": 0.05,
    "initial_phases": "spectrum",
    "learning_rate": 0.05,
    "weight_decay": 1e-3,
    "clip_norm": 1.0,
    "schedule": "cosine",
    "training_steps": 400,
    "batch_size": 8,
    "restarts": 4,
}


NOT_OF_AN_MLP = {
    "modes",
    "context",
    "warm_up_steps",
    "rollout_steps",
    "autonomous",
    "state_estimate",
    "damping",
    "initial_phases",
}


def changed(candidate: Candidate, other: Candidate) -> set[str]:
    def flat(each: Candidate) -> dict[str, object]:
        return {
            **asdict(each.architecture),
            **asdict(each.strategy),
            "restarts": each.restarts,
        }

    one, two = flat(candidate), flat(other)
    return {name for name in one if one[name] != two[name]}


@pytest.mark.parametrize(
    ("component", "fields"),
    [
        ("restarts", {"restarts"}),
        ("no offset", {"offset"}),
        ("state estimate", {"state_estimate"}),
        # What rests on it goes with it.
        ("autonomous", {"autonomous", "state_estimate"}),
        ("rollout loss", {"rollout_steps", "teacher_weight", "curriculum_fraction"}),
        ("input noise", {"input_noise_std"}),
    ],
)
def test_without_a_component_all_else_stays(component: str, fields: set[str]) -> None:
    whole = SPACE.resolve(LINEAR)
    assert changed(whole, without_each(SPACE, LINEAR)[component]) == fields


def test_what_rests_on_a_component_is_said_to_go_with_it() -> None:
    along = taken_along(SPACE, LINEAR)
    assert along.keys() == without_each(SPACE, LINEAR).keys()
    assert along["autonomous"] == ("state estimate",)
    assert set(along["context"]) >= {"autonomous", "state estimate"}
    assert set(along["cell"]) >= {"autonomous", "state estimate", "no damping", "phases"}
    assert along["state estimate"] == along["no offset"] == ()
    assert along["rollout loss"] == ("curriculum",)


def test_what_a_candidate_does_not_have_is_not_taken_from_it() -> None:
    found = without_each(SPACE, LINEAR)
    assert found.keys() <= BY_NAME.keys()
    assert not found.keys() & {"layers", "head", "residual", "output noise", "feedback noise"}
    assert all(candidate != SPACE.resolve(LINEAR) for candidate in found.values())


def test_another_cell_or_context_is_a_whole_candidate() -> None:
    found = without_each(SPACE, LINEAR)
    assert (found["cell"].architecture.cell, found["cell"].architecture.units) == ("rnn", 16)
    window = found["context"].architecture
    assert (window.context, window.context_steps, window.autonomous) == ("window", 4, False)


def test_a_window_mlp_has_a_cell_that_reads_its_windows_in_its_place() -> None:
    space = Space(complete_space({"cell": Choices(("rnn", "mlp"))}, train_steps=600))
    mlp: dict[str, Scalar] = LINEAR | {
        "cell": "mlp",
        "hidden_units": 8,
        "window_steps": 64,
        "window_rollout_steps": 16,
    }
    found = without_each(space, {name: mlp[name] for name in mlp if name not in NOT_OF_AN_MLP})
    instead = found["cell"].architecture
    assert (instead.cell, instead.context, instead.context_steps) == ("rnn", "window", 64)


def test_sizes_and_knobs_are_no_components() -> None:
    knobs = {"reflections", "cornn step", "lem step", "forcing midpoint", "growth weight"}
    assert not BY_NAME.keys() & knobs
    assert {"layer norm", "forcing", "growth penalty", "weight average"} <= BY_NAME.keys()


def test_a_closed_form_has_no_component_of_training() -> None:
    space = Space(complete_space({"cell": Choices(("ar",))}, train_steps=600))
    params: dict[str, Scalar] = {
        "cell": "ar",
        "ar_order": 32,
        "residual": True,
        "offset": False,
        "time_reversal": True,
        "regularisation": "given",
        "ridge": 1e-3,
    }
    assert without_each(space, params).keys() == {"residual", "no offset", "both ways", "ridge"}
