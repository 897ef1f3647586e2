"""A candidate without each of its components."""

import pytest

from models.candidate import Candidate
from models.methods import Choices, Scalar
from models.network.cells.rnn import RNN
from models.network.options.context import Window
from models.training.trained_network import TrainedNetwork
from search.study.space import Space, complete_space, parameter_named, parameters
from search.study.space.ablation import components, taken_along, without_each
from tests.search.study.space.samples import full_space, samples, settings_of

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
    one, two = settings_of(candidate), settings_of(other)
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
        ("clipping", {"clip_norm"}),
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
    assert found.keys() <= components().keys()
    assert not found.keys() & {"layers", "head", "residual", "output noise", "feedback noise"}
    assert all(candidate != SPACE.resolve(LINEAR) for candidate in found.values())


def test_another_cell_or_context_is_a_whole_candidate() -> None:
    found = without_each(SPACE, LINEAR)
    plain, windows = found["cell"], found["context"]
    assert isinstance(plain, TrainedNetwork)
    assert plain.cell == RNN(hidden_units=16)
    window = windows.architecture
    assert windows.find(Window) == Window(steps=4)
    assert (window.has_state, window.context_steps, window.autonomous) == (False, 4, False)


def test_a_window_mlp_has_a_cell_that_reads_its_windows_in_its_place() -> None:
    space = Space(complete_space({"cell": Choices(("rnn", "mlp"))}, train_steps=600))
    mlp: dict[str, Scalar] = LINEAR | {
        "cell": "mlp",
        "hidden_units": 8,
        "window_steps": 64,
        "window_rollout_steps": 16,
    }
    found = without_each(space, {name: mlp[name] for name in mlp if name not in NOT_OF_AN_MLP})
    instead = found["cell"]
    assert isinstance(instead, TrainedNetwork)
    assert instead.cell == RNN(hidden_units=16)
    assert instead.find(Window) == Window(steps=64)


def test_components_are_the_parameters_that_declare_an_ablation() -> None:
    declaring = [p for p in parameters() if p.ablation is not None]
    assert len(components()) == len(declaring)
    for parameter, component in zip(declaring, components().values(), strict=True):
        assert parameter.ablation is not None
        assert component.without == parameter.ablation.instead
        assert parameter.name in component.values
        for name, value in component.values.items():
            other = parameter_named(name)
            assert other is not None
            assert other.values.check(name, value) == value


def test_sizes_and_strengths_are_no_components() -> None:
    """How much there is of something: no candidate is without it."""
    strengths = {"reflections", "cornn step", "lem step", "forcing midpoint", "growth weight"}
    assert not components().keys() & strengths
    assert {"layer norm", "forcing", "growth penalty", "weight average"} <= components().keys()


def test_a_component_changes_what_it_says_and_leaves_what_does_not_rest_on_it() -> None:
    space = Space(full_space())
    for params in samples()[:40]:
        whole = space.resolve(params)
        for name, plain in without_each(space, params).items():
            values = components()[name].values
            assert changed(whole, plain) & values.keys()
            own = settings_of(plain)
            kept = {key for key in values if key in plain.values()}
            assert all(own[key] == values[key] for key in kept), name


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
