"""The table of presets: each attempt of the report is `baseline` plus its named change."""

from pathlib import Path

import pytest

from models.methods import Choices, Scalar, SettingError, smallest
from models.methods.registry import method_named
from models.network.cells.cell import Cell
from models.network.options.context import Window
from models.training.losses.squared_error import ProfessorForcing, SquaredError
from models.training.options.noise import Noise
from models.training.trained_network import TrainedNetwork
from search.study.definition import StudyDefinition
from search.study.presets import (
    BASELINE_NAME,
    BY_NAME,
    PRESETS,
    REPORT_STD,
    VARIED,
    open_names,
    read_stored_quotas,
    within,
)
from search.study.space import PRESET, Parameter, check_complete, parameter_named, parameters
from search.study.study_file import read_study_file

STUDIES = Path(__file__).parents[3] / "studies"

DEFAULTS = {row.name: row.default for row in parameters() if row.searched}
MULTI_STEP: dict[str, Scalar] = {
    "window_rollout_steps": 16,
    "teacher_weight": 0.0,
    "curriculum_fraction": 0.0,
    "feedback_noise_std": 0.0,
    "teacher_span": "warm-up",
}
BESIDE: dict[str, Scalar] = {"teacher_span": "rollout", "professor_detach": "teacher"}
# What the report changed in each attempt, its noise in the units of the series.
CHANGES: dict[str, dict[str, Scalar]] = {
    "baseline": {},
    "hyperparameters": {},
    "extra-fc": {"head_layers": 1},
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "multi-step": MULTI_STEP,
    "feedback-noise": {**MULTI_STEP, "feedback_noise_std": 0.2},
    "input-noise": {"input_noise_std": 0.1},
    "output-noise": {"output_noise_std": 0.05},
    "label-noise": {"label_noise_std": 0.1},
    "residual": {"residual": True, "scaled_increments": False},
    "professor-forcing": {
        **MULTI_STEP,
        **BESIDE,
        "teacher_weight": 1.0,
        "professor_weight": 1.0,
    },
    "recursive-three-loss": {
        **BESIDE,
        "cell": "lstm",
        "layers": 2,
        "context": "state",
        "warm_up_steps": 500,
        "rollout_steps": 50,
        "stateful": True,
        "teacher_weight": 0.5,
        "professor_weight": 0.5,
        "curriculum_fraction": 0.0,
        "feedback_noise_std": 0.0,
        "dropout": 0.2,
        "weight_decay": 1e-4,
        "clip_norm": 10.0,
        "batch_size": 12,
    },
}
# What has no meaning once the state is warmed up.
GONE = {"recursive-three-loss": {"window_steps", "window_rollout_steps"}}
ALSO_OPEN = {"hyperparameters": {"layers", "batch_size", "weight_decay"}}


def named(name: str) -> Parameter:
    found = parameter_named(name)
    assert found is not None
    return found


def test_every_attempt_of_the_report_is_there() -> None:
    assert {preset.name for preset in PRESETS if preset.is_attempt} == set(CHANGES)
    assert len(BY_NAME) == len(PRESETS)
    assert PRESETS[0].name == BASELINE_NAME


@pytest.mark.parametrize("name", CHANGES)
def test_an_attempt_is_the_baseline_plus_its_named_change(name: str) -> None:
    baseline, preset = BY_NAME[BASELINE_NAME].fixed, BY_NAME[name].fixed
    also_open = ALSO_OPEN.get(name, set())
    gone = also_open | GONE.get(name, set())
    in_stds = {
        key: pytest.approx(float(value) / REPORT_STD, rel=2e-3) if "noise" in key else value
        for key, value in CHANGES[name].items()
    }
    expected = {key: value for key, value in {**baseline, **in_stds}.items() if key not in gone}
    assert {key: preset[key] for key in expected} == expected
    # What has a meaning only because of the change, and is not named by it, is off.
    others = {key: value for key, value in preset.items() if key not in expected}
    assert others == {key: named(key).neutral for key in others}
    assert set(open_names(DEFAULTS, preset)) == {*VARIED, *also_open}


def test_the_reports_noise_is_converted_by_the_standard_deviation_of_its_series() -> None:
    assert pytest.approx(0.735, abs=5e-4) == REPORT_STD


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_what_a_preset_fixes_has_a_meaning_applies_and_is_enough(preset: object) -> None:
    fixed = BY_NAME[preset.name].fixed  # type: ignore[attr-defined]
    space = within(DEFAULTS, fixed)
    check_complete(space)
    for name, value in fixed.items():
        row = named(name)
        kept = row.values.check(name, value)
        assert (kept, type(kept)) == (value, type(value))
        assert row.when.can_hold(space)


@pytest.mark.parametrize("name", ["warmed-up", "running-on-state"])
def test_what_is_not_of_the_report_leaves_the_default_space_open(name: str) -> None:
    fixed = BY_NAME[name].fixed
    assert fixed["context"] == "state"
    assert open_names(DEFAULTS, fixed) == [
        row.name
        for row in parameters()
        if row.name in DEFAULTS
        and row.when.can_hold(within(DEFAULTS, fixed))
        and row.name not in fixed
    ]


def network_of(name: str) -> TrainedNetwork:
    """The smallest candidate of a preset."""
    definition = StudyDefinition.model_validate(
        {
            "name": "x",
            "series": {"source": "sine"},
            "task": {"train_steps": 600, "horizon_steps": 400},
            "presets": {name: 1},
        }
    )
    space = definition.full_space()
    params: dict[str, Scalar] = {PRESET: name, "learning_rate": 0.01}
    for parameter in open_names(definition.space, BY_NAME[name].fixed):
        if parameter != "learning_rate":
            params[parameter] = smallest(definition.space[parameter])
    candidate = space.resolve(params)
    assert isinstance(candidate, TrainedNetwork)
    return candidate


def test_the_baseline_is_the_reports_first_network() -> None:
    network = network_of("baseline")
    architecture, error = network.architecture, network[SquaredError]
    assert (network.cell.name, architecture.layers, architecture.head_layers) == ("rnn", 1, 0)
    assert network.find(Window) == Window(steps=4)
    assert (network.rollout_steps, error.teacher_weight, network.restarts) == (1, 1.0, 1)
    assert network.find(Noise) is None
    assert network.optimiser.weight_decay == 0.0


def test_the_recipe_has_its_numbers_and_may_have_its_learning_rate() -> None:
    network = network_of("recursive-three-loss")
    assert network.carries_state
    assert network.branches == 2
    # An epoch a step: the chunks of a batch are as long as the report's series.
    assert network.optimiser.batch_size * network.rollout_steps == 600
    # Free-running, teacher-forced and matching loss, 1 : 1 : 1.
    share = network[SquaredError].teacher_weight
    assert 1 - share == share == network[ProfessorForcing].professor_weight
    definition = read_study_file(STUDIES / "report.toml").definition
    assert definition.space["learning_rate"].contains(2e-4)
    assert definition.space["hidden_units"].contains(32)


def test_professor_forcing_adds_only_the_match_to_teacher_forcing() -> None:
    network = network_of("professor-forcing")
    error = network[SquaredError]
    assert (error.teacher_weight, network[ProfessorForcing].professor_weight) == (1.0, 1.0)
    assert error.teacher_span == "rollout"


@pytest.mark.parametrize("name", ["report", "report-clean"])
def test_the_studies_of_the_report_give_every_preset_enough(name: str) -> None:
    definition = read_study_file(STUDIES / f"{name}.toml").definition
    for preset in PRESETS:
        if preset.name in definition.presets:
            least = 30 if preset.is_attempt else 5
            assert definition.presets[preset.name].trials >= least, preset.name
    assert definition.search.sampler == "random"
    assert definition.search.pruner == "none"
    assert smallest(definition.space["training_steps"]) == 200
    if name == "report":
        assert list(definition.presets) == [preset.name for preset in PRESETS]
        attempts = sum(definition.presets[p.name].trials for p in PRESETS if p.is_attempt)
        assert attempts >= 2000
    else:
        assert definition.series.is_generated
        clean = {"noise_std": 0.0}
        assert clean.items() <= definition.series.model_dump().items()


def test_the_multi_step_loss_is_over_the_free_run_alone() -> None:
    network = network_of("multi-step")
    error = network[SquaredError]
    assert (network.rollout_steps, error.teacher_weight) == (16, 0.0)
    assert error.curriculum_fraction == 0.0


@pytest.mark.parametrize("name", ["report", "report-clean"])
def test_the_studies_of_the_report_train_networks_alone(name: str) -> None:
    definition = read_study_file(STUDIES / f"{name}.toml").definition
    cells = definition.full_space().domains["cell"]
    assert isinstance(cells, Choices)
    cores = [method_named("cell", str(cell)) for cell in cells.values]
    assert all(core is not None and issubclass(core, Cell) for core in cores)


@pytest.mark.parametrize("plain", [3, {}, {"trials": 1}, {"trials": 1, "fixed": "cell"}])
def test_a_damaged_stored_preset_is_named(plain: object) -> None:
    with pytest.raises(SettingError, match="must h"):
        read_stored_quotas({"baseline": plain})
