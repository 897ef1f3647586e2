"""The [presets] section: quotas are spent, what a preset fixes is what the study is."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import RandomSampler
from pydantic import ValidationError

from models.methods import Choices
from search.errors import StudyFileError, UsageError
from search.study.definition import StudyDefinition, differing_keys
from search.study.presets import BY_NAME, PRESETS, open_names
from search.study.space import PRESET, parameters
from search.study.study_file import read_stored_definition, read_study_file

optuna.logging.set_verbosity(optuna.logging.WARNING)

HEAD = 'name = "x"\n[series]\nsource = "sine"\n'
TASK = "[task]\ntrain_steps = 600\nhorizon_steps = 400\n"
NAMES = [preset.name for preset in PRESETS]


def define(presets: dict[str, Any], **changes: Any) -> StudyDefinition:
    raw = {
        "name": "x",
        "series": {"source": "sine"},
        "task": {"train_steps": 600, "horizon_steps": 400},
        "presets": presets,
    }
    return StudyDefinition.model_validate({**raw, **changes})


def test_trials_are_the_sum_of_the_quotas() -> None:
    assert define({"baseline": 3, "lstm": 4}).search.trials == 7
    assert define({"baseline": 3}, search={"trials": 3, "replicas": 2}).search.trials == 3
    assert define({"baseline": 3}, search={"replicas": 2}).search.replicas == 2


def test_the_order_of_the_file_does_not_matter() -> None:
    one, other = define({"lstm": 4, "baseline": 3}), define({"baseline": 3, "lstm": 4})
    assert list(one.presets) == list(other.presets) == ["baseline", "lstm"]
    assert one.full_space().domains == other.full_space().domains


def test_json_brings_back_the_same_definition() -> None:
    definition = define(dict.fromkeys(NAMES, 2), space={"learning_rate": {"low": 0.1, "high": 1}})
    text = definition.model_dump_json()
    again = StudyDefinition.model_validate_json(text)
    assert again == definition
    assert again.model_dump_json() == text
    assert again.identity_hash == definition.identity_hash
    for name in NAMES:
        before, after = definition.presets[name].fixed, again.presets[name].fixed
        assert [(k, v, type(v)) for k, v in after.items()] == [
            (k, v, type(v)) for k, v in before.items()
        ]


def test_quotas_are_spent_and_the_presets_are_not() -> None:
    definition = define({"baseline": 3, "lstm": 4})
    raised = define({"baseline": 30, "lstm": 4})
    assert differing_keys(definition, raised) == []
    assert definition.identity_hash == raised.identity_hash
    more = define({"baseline": 3, "lstm": 4, "gru": 1})
    assert differing_keys(definition, more) == ["presets.gru"]
    assert "presets" in differing_keys(definition, define({}))
    stored = json.loads(definition.model_dump_json())
    stored["presets"]["lstm"]["fixed"]["batch_size"] = 8  # as if the table had been another
    older = read_stored_definition(json.dumps(stored))
    assert differing_keys(definition, older) == ["presets.lstm.batch_size"]


def test_a_preset_stays_what_it_is_when_later_methods_are_neutral_in_it() -> None:
    """As one of a version, or without a plug-in, that had no dropout."""
    definition = define({"recursive-three-loss": 3, "baseline": 4})
    stored = json.loads(definition.model_dump_json())
    assert stored["presets"]["baseline"]["fixed"].pop("dropout") == 0.0
    older = read_stored_definition(json.dumps(stored))
    assert differing_keys(definition, older) == []
    assert older.identity_hash == definition.identity_hash
    # There, it is not neutral.
    assert stored["presets"]["recursive-three-loss"]["fixed"].pop("dropout") == 0.2
    older = read_stored_definition(json.dumps(stored))
    assert differing_keys(definition, older) == ["presets.recursive-three-loss.dropout"]


def test_studies_without_presets_are_what_they_were() -> None:
    definition = define({})
    assert "presets" not in definition.identity()
    stored = json.loads(definition.model_dump_json())
    del stored["presets"]
    older = read_stored_definition(json.dumps(stored))
    assert older == definition
    assert older.identity_hash == definition.identity_hash


PROBLEMS = [
    ("lsmt = 5", "[presets] lsmt is no preset. Did you mean 'lstm'? There are: baseline, "),
    ("lstm = 0", "[presets] lstm must be from 1 to 1000000, but got 0; write how many trials it "
     "gets, for example lstm = 50"),
    ("lstm = -1", "[presets] lstm must be from 1 to 1000000, but got -1"),
    ('lstm = "5"', '[presets] lstm must be a whole number, but got "5"'),
    ("lstm = 5.0", "[presets] lstm must be a whole number, but got 5.0"),
    ("lstm = true", "[presets] lstm must be a whole number, but got true"),
    ("lstm = { trials = 5 }", "[presets] lstm must be a whole number, but got { trials = 5 }"),
    ("no-perturbation = 5", "[presets] no-perturbation is baseline on another series; write "
     "baseline in a study whose [series] has noise_std = 0"),
    ("lstm = 5\n[search]\ntrials = 6", "[search] trials must be 5, the sum of the quotas in "
     "[presets], but got 6; remove the key, or change a quota"),
    ("lstm = 5\n[search]\ntrials = true", "[search] trials must be a whole number, but got true; "
     "write for example trials = 200"),
    ("lstm = 5\n[space]\nlayers = 1", '[space] layers is open in no preset of this study, which '
     'has "lstm"; remove the key, or add a preset that leaves it open'),
    ("lstm = 5\n[space]\nlearning_rate = 1000", "[space] learning_rate must be from 1e-09 to 100, "
     "but got 1000"),
    ("lstm = 5\n[space]\ntraining_steps = 4", "[search] rungs must leave a training step before "
     "the first report, which comes after 1/8 of training, but got 4 with 4 training_steps; "
     "take fewer rungs or more steps"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "message"), PROBLEMS)
def test_a_problem_is_one_line(tmp_path: Path, section: str, message: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"{HEAD}{TASK}[presets]\n{section}\n")
    with pytest.raises(StudyFileError) as raised:
        read_study_file(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


def test_a_section_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("presets = 3\n" + HEAD + TASK)
    with pytest.raises(StudyFileError, match=r"\[presets\] must be a section of keys, but got 3"):
        read_study_file(path)


def test_a_preset_must_fit_the_task(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    task = "[task]\ntrain_steps = 10\nhorizon_steps = 4\n"
    path.write_text(f"{HEAD}{task}[presets]\nbaseline = 1\n")
    assert read_study_file(path).definition.space.keys() == {
        "hidden_units",
        "learning_rate",
        "training_steps",
    }
    path.write_text(f"{HEAD}{task}[presets]\nmulti-step = 1\n")
    with pytest.raises(StudyFileError, match=r"\[space\] window_steps \(preset multi-step\) and"):
        read_study_file(path)


def test_a_stored_preset_that_can_not_be_read_is_named() -> None:
    stored = json.loads(define({"lstm": 5}).model_dump_json())
    stored["presets"]["lstm"]["fixed"]["wings"] = 2
    with pytest.raises(StudyFileError, match=r"\[presets.lstm.fixed\] wings is no parameter"):
        read_stored_definition(json.dumps(stored))
    stored["presets"]["lstm"] = {"trials": 5}
    with pytest.raises(StudyFileError, match=r"\[presets\] lstm must have trials and fixed"):
        read_stored_definition(json.dumps(stored))
    stored = json.loads(define({"lstm": 5}).model_dump_json())
    del stored["presets"]["lstm"]["fixed"]["cell"]
    with pytest.raises(StudyFileError, match=r"\[space\] cell is missing"):
        read_stored_definition(json.dumps(stored))


def test_the_space_narrows_every_preset_that_leaves_a_parameter_open() -> None:
    space = {"hidden_units": [4, 5], "layers": 3}
    definition = define({"baseline": 1, "hyperparameters": 1}, space=space)
    assert definition.space["hidden_units"] == Choices((4, 5))
    trials = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(20):
        full = definition.full_space()
        params = full.suggest(trials.ask())
        layers = full.resolve(params).architecture.layers
        assert params["hidden_units"] in (4, 5)
        assert layers == (3 if params[PRESET] == "hyperparameters" else 1)


def test_what_is_searched_only_when_named_is_open_where_a_preset_can_have_it() -> None:
    chosen = {"baseline": 1, "multi-step": 1, "warmed-up": 1}
    space = {"dropout": [0.0, 0.3], "stateful": True}
    definition = define(chosen, space=space)
    for name, wants in (("baseline", False), ("multi-step", False), ("warmed-up", True)):
        opened = open_names(definition.space, definition.presets[name].fixed)
        assert ("dropout" in opened) == ("stateful" in opened) == wants
    with pytest.raises(ValidationError, match=r"professor_weight .preset warmed-up. is sampled"):
        define(chosen, space={"professor_weight": 1})
    with pytest.raises(ValidationError, match="dropout is open in no preset"):
        define({"baseline": 1}, space=space)


def test_a_trial_of_an_unknown_preset_is_refused() -> None:
    full = define({"baseline": 1, "lstm": 1}).full_space()
    params = {"hidden_units": 8, "learning_rate": 0.1, "training_steps": 200}
    with pytest.raises(UsageError, match='preset must be "baseline" or "lstm", but got "gru"'):
        full.resolve({**params, PRESET: "gru"})
    with pytest.raises(UsageError, match="but got None"):
        full.resolve(params)


@settings(deadline=None, max_examples=60)
@given(st.sets(st.sampled_from(NAMES), min_size=1), st.integers(0, 2**32 - 1))
def test_a_trial_samples_its_preset_and_what_that_leaves_open(chosen: set[str], seed: int) -> None:
    definition = define(dict.fromkeys(chosen, 1))
    full = definition.full_space()
    # One study, which refuses a parameter whose choices change from trial to trial.
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    for _ in range(4):
        trial = study.ask()
        params = full.suggest(trial)
        assert params == trial.params
        assert trial.distributions == full.distributions(params)
        fixed = BY_NAME[str(params[PRESET])].fixed
        known = {**fixed, **params}
        applying = {row.name for row in parameters() if row.when.holds(known)}
        assert set(params) == {PRESET, *(applying & set(definition.space) - set(fixed))}
        # The parameters that are stored tell all, in the terms of a space without presets.
        candidate = full.resolve(dict(params))
        assert candidate == define({}).full_space().resolve(known)
        study.tell(trial, 0.0)


def test_a_cohort_has_one_preset() -> None:
    full = define({"baseline": 1, "lstm": 1}).full_space()
    assert full.cohort_names == (PRESET, "hidden_units", "training_steps")
