import json
import math
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from pydantic import ValidationError

from models.methods import largest
from models.methods.series_properties import SeriesProperties
from search.study.definition import StudyDefinition, differing_keys
from search.study.space import parameters

RAW: dict[str, Any] = {
    "name": "sine",
    "series": {"source": "sine"},
    "task": {"train_steps": 600, "horizon_steps": 400},
}
DEFAULTS = {row.name: row.default for row in parameters() if row.searched}
TABLE = {"source": "table", "path": "t.csv", "time": "t", "columns": ["x"]}


def define(**changes: Any) -> StudyDefinition:
    """The definition of RAW with some keys replaced; sections are merged."""
    raw = dict(RAW)
    for key, value in changes.items():
        is_section = isinstance(value, dict) and key in raw and key != "series"
        raw[key] = raw[key] | value if is_section else value
    return StudyDefinition.model_validate(raw)


def test_defaults_follow_the_task_and_the_series() -> None:
    task = define().task
    assert task.validation_steps == task.test_horizon_steps == task.test_steps == 400
    assert task.start_points == 1
    assert task.score_against == "signal"
    assert define(task={"test_horizon_steps": 1000}).task.test_steps == 1000
    assert define(series=TABLE).task.score_against == "observations"
    assert define().search.rung_fractions == (0.125, 0.25, 0.5, 1.0)
    assert define(search={"rungs": 1}).search.rung_fractions == (1.0,)


def test_horizons_of_errors_are_part_of_a_study_unless_they_are_the_usual_ones() -> None:
    plain, named = define(), define(task={"error_horizons": [1, 84]})
    assert named.task.error_horizons == (1, 84)
    assert "error_horizons" not in plain.identity()["task"]
    assert differing_keys(plain, named) == ["task.error_horizons"]
    assert define(task={"error_horizons": list(plain.task.error_horizons)}) == plain


@pytest.mark.parametrize(
    "definition",
    [
        define(),
        define(task={"error_horizons": [1, 84]}),
        define(series=TABLE),
        define(
            seed=2**63 - 1,
            series={"source": "sine", "phase": 0, "amplitude": 1, "noise_std": 1 / 3},
            search={"minutes": 2, "workers": 3, "sampler": "random"},
            space={
                "learning_rate": {"low": 1, "high": 2},
                "batch_size": {"low": 4, "high": 16, "step": 4},
                "teacher_weight": 1,
                "input_noise_std": [0, 0.1],
                "layers": {"low": 1, "high": 3, "log": True},
            },
        ),
    ],
)
def test_json_brings_back_the_same_definition_and_hash(definition: StudyDefinition) -> None:
    text = definition.model_dump_json()
    again = StudyDefinition.model_validate_json(text)
    assert again == definition
    assert again.model_dump_json() == text
    assert again.identity_hash == definition.identity_hash
    assert differing_keys(again, definition) == []
    assert json.loads(json.dumps(definition.identity())) == definition.identity()


def test_python_values_bring_back_the_same_definition() -> None:
    definition = define(space={"cell": "gru"})
    raw = definition.model_dump(exclude={"plugins"})  # no key of a study file
    assert StudyDefinition.model_validate(raw) == definition


def test_spelling_out_a_default_changes_nothing() -> None:
    # Those of context and rollout are cut to what fits the task.
    cut = {name for name, domain in define().space.items() if domain != DEFAULTS[name]}
    contexts = {"warm_up_steps", "window_steps", "smoothing_steps", "direct_window", "seasons_read"}
    assert cut <= {*contexts, "rollout_steps", "window_rollout_steps"}
    spelt_out = define(
        task={"validation_steps": 400, "score_against": "signal"},
        search={"replicas": 4},
        space={name: default.to_plain() for name, default in DEFAULTS.items() if name not in cut},
    )
    assert spelt_out == define()
    assert spelt_out.identity_hash == define().identity_hash


def test_the_name_and_what_is_spent_are_no_part_of_the_identity() -> None:
    other = define(name="other", search={"trials": 9, "minutes": 1, "workers": 7})
    assert differing_keys(other, define()) == []
    assert other.identity_hash == define().identity_hash
    assert "name" not in define().identity()


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"seed": 1}, ["seed"]),
        ({"series": {"source": "sine", "noise_std": 0.1}}, ["series.noise_std"]),
        # Hardly longer, so that the same defaults fit.
        ({"task": {"train_steps": 601}}, ["task.train_steps"]),
        ({"search": {"replicas": 5, "rungs": 3}}, ["search.replicas", "search.rungs"]),
        ({"space": {"batch_size": [4]}}, ["space.batch_size"]),
        (
            {"space": {"learning_rate": {"low": 1e-3, "high": 0.05, "log": True}}},
            ["space.learning_rate.low"],
        ),
        ({"space": {"learning_rate": 1}}, ["space.learning_rate"]),
    ],
)
def test_any_other_change_is_named(changes: dict[str, Any], keys: list[str]) -> None:
    other = define(**changes)
    assert differing_keys(define(), other) == differing_keys(other, define()) == keys
    assert other.identity_hash != define().identity_hash


def test_what_a_change_leaves_out_of_the_space_is_named_too() -> None:
    other = define(space={"cell": ["lru"]})
    left_out = {f"space.{name}" for name in set(define().space) - set(other.space)}
    assert "space.hidden_units" in left_out
    assert set(differing_keys(define(), other)) == {"space.cell", *left_out}


def test_a_stored_definition_keeps_its_space_when_defaults_change() -> None:
    stored = json.loads(define().model_dump_json())
    del stored["space"]["label_noise_std"]  # as if this parameter had come with a later version
    stored["space"]["restarts"] = [1, 2]  # as if the default had been another
    older = StudyDefinition.model_validate_json(json.dumps(stored))
    assert "label_noise_std" not in older.space
    assert differing_keys(older, define()) == ["space.label_noise_std", "space.restarts"]


def test_a_file_that_goes_on_with_a_stored_study_keeps_what_neither_named() -> None:
    def file(space: dict[str, Any]) -> StudyDefinition:
        return StudyDefinition.of_file({**RAW, "space": space}, SeriesProperties(train_steps=600))

    raw = json.loads(file({"batch_size": [8]}).model_dump_json())
    raw["space"]["restarts"] = [1, 2]  # as if the default had been another
    del raw["space"]["label_noise_std"]  # as if this parameter had come with a later version
    stored = StudyDefinition.model_validate_json(json.dumps(raw))
    for space in ({"batch_size": [8]}, {"batch_size": [8], "restarts": [1, 2]}):
        assert file(space).continuing(stored).space == stored.space
        assert differing_keys(file(space).continuing(stored), stored) == []
    # Another choice, one more, and one that is named no longer.
    for space, key in (
        ({"batch_size": [4]}, "space.batch_size"),
        ({"batch_size": [8], "restarts": [1, 4]}, "space.restarts"),
        ({}, "space.batch_size"),
    ):
        assert differing_keys(file(space).continuing(stored), stored) == [key]
    del raw["named"]  # of version 0.1.0
    unknown = StudyDefinition.model_validate_json(json.dumps(raw))
    assert differing_keys(file({"batch_size": [8]}).continuing(unknown), unknown) == []


def test_a_file_that_goes_on_with_a_stored_study_keeps_the_periods_that_it_began_with() -> None:
    def found(*periods: float) -> StudyDefinition:
        return StudyDefinition.of_file(RAW, SeriesProperties(600, periods=periods))

    stored = found(73.0, 168.0)
    goes_on = found(24.0, 168.0).continuing(stored)
    assert goes_on.properties == stored.properties
    assert goes_on.space == stored.space
    assert differing_keys(goes_on, stored) == []


def noise_free(**task: Any) -> StudyDefinition:
    """The definition of a file on a table without noise."""
    raw = {
        "name": "x",
        "series": {"source": "table", "path": "t.csv", "time": "t", "columns": ["v"]},
        "task": {"train_steps": 600, "horizon_steps": 100, **task},
    }
    return StudyDefinition.of_file(raw, SeriesProperties(train_steps=600, is_noise_free=True))


def test_a_table_without_noise_leaves_blocks_out_and_searches_what_forecasts_it() -> None:
    definition = noise_free()
    assert definition.task.validation == "blocks"
    assert definition.space["cell"].to_plain() == ["esn", "nvar", "kernel-ridge"]
    assert definition.space["segment_steps"].to_plain() == [1, 2, 4]
    assert definition.space["regularisation"].to_plain() == ["given"]
    assert largest(definition.space["ridge"]) == 1e-4
    assert noise_free(validation="end").task.validation == "end"


def test_a_study_that_began_before_noise_was_looked_for_goes_on_as_it_began() -> None:
    raw = json.loads(noise_free().model_dump_json())
    raw["task"]["validation"] = "end"  # as if the default had been another
    del raw["properties"]["is_noise_free"]
    raw["named"] = []
    stored = StudyDefinition.model_validate_json(json.dumps(raw))
    assert stored.properties == SeriesProperties(train_steps=600)
    assert differing_keys(noise_free().continuing(stored), stored) == []
    named = noise_free(validation="blocks")
    assert differing_keys(named.continuing(stored), stored) == ["task.validation"]
    # And the other way round: the stored study has blocks, whether the file names them or not.
    blocks = StudyDefinition.model_validate_json(noise_free().model_dump_json())
    for file in (noise_free(), named):
        assert differing_keys(file.continuing(blocks), blocks) == []
    ended = noise_free(validation="end").continuing(blocks)
    assert differing_keys(ended, blocks) == ["task.validation"]


def test_a_stored_definition_samples_in_the_order_of_its_space() -> None:
    """A study goes on as it began when a later version has its parameters in another order."""
    stored = json.loads(define(space={"cell": ["rnn", "lru"]}).model_dump_json())
    order = ["offset", "cell", "learning_rate", "restarts", "head_layers", "layers"]
    order += [name for name in stored["space"] if name not in order]
    assert order != list(stored["space"])
    stored["space"] = {name: stored["space"][name] for name in order}
    definition = StudyDefinition.model_validate_json(json.dumps(stored))
    assert list(definition.space) == order
    assert list(json.loads(definition.model_dump_json())["space"]) == order
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        params = definition.full_space().suggest(trial)
        assert list(trial.params) == list(params) == [name for name in order if name in params]
        candidate = definition.full_space().resolve(params)
        assert candidate.architecture.core.name == params["cell"]


@pytest.mark.parametrize("name", ["a", "sine-2", "a.b_c", "-x", "0", "x" * 100])
def test_names_that_a_file_may_have_are_accepted(name: str) -> None:
    assert define(name=name).name == name


@pytest.mark.parametrize(
    "changes",
    [
        *({"name": name} for name in ["", ".x", "..", "a/b", "a b", "a\n", "ü", "x" * 101, "a\\b"]),
        {"seed": -1},
        {"seed": 2**63},
        {"seed": True},
        {"task": {"train_steps": 1}},
        {"task": {"horizon_steps": 0}},
        {"task": {"validation_steps": 399}},
        {"task": {"start_points": 0}},
        {"task": {"start_points": 2}},
        {"task": {"validation_steps": 410, "start_points": 12}},
        {"task": {"test_steps": 500}},
        {"task": {"score_against": "truth"}},
        {"series": TABLE, "task": {"score_against": "signal"}},
        {"series": TABLE, "task": {"test_steps": 399}},
        {"search": {"trials": 0}},
        {"search": {"trials": 1.0}},
        {"search": {"minutes": 0}},
        {"search": {"minutes": math.nan}},
        {"search": {"minutes": math.inf}},
        {"search": {"workers": 0}},
        {"search": {"replicas": 0}},
        {"search": {"rungs": 0}},
        {"search": {"finalists": 0}},
        {"search": {"final_replicas": 0}},
        {"search": {"test_draws": 0}},
        {"search": {"sampler": "cmaes"}},
        {"search": {"artifact_mib": -1}},
        {"search": {"rungs": 10}},
        {"space": {"training_steps": [7, 400]}},
        {"space": {"warm_up_steps": 600}},
        {"extra": 1},
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        define(**changes)


def test_bounds_are_inclusive() -> None:
    assert define(task={"validation_steps": 410, "start_points": 11}).task.start_points == 11
    assert define(space={"training_steps": 8}).search.rungs == 4


def test_the_identity_names_a_validation_only_where_it_is_another_than_it_was() -> None:
    task = {"validation_steps": 500, "test_steps": 400}
    plain = define(series=TABLE, task=task)
    assert "validation" not in plain.identity()["task"]
    assert define(series=TABLE, task=task | {"validation": "end"}).identity() == plain.identity()
    rolling = define(series=TABLE, task=task | {"validation": "rolling"})
    assert differing_keys(plain, rolling) == ["task.validation"]


def stored_before_unused_rows(definition: StudyDefinition) -> StudyDefinition:
    """A definition as an earlier version stored it, read again."""
    plain = json.loads(definition.model_dump_json())
    del plain["task"]["unused_rows"]
    return StudyDefinition.model_validate_json(json.dumps(plain))


def test_a_stored_study_keeps_where_its_unused_rows_are() -> None:
    of_file = define(series=TABLE)
    assert of_file.task.unused_rows == "first"
    stored = stored_before_unused_rows(of_file)
    assert stored.task.unused_rows == "between"
    assert "unused_rows" not in stored.identity()["task"]
    # The file that it was made from goes on with it; one that says otherwise does not.
    assert differing_keys(stored, of_file.continuing(stored)) == []
    named = define(series=TABLE, task={"unused_rows": "first"})
    assert differing_keys(stored, named.continuing(stored)) == ["task.unused_rows"]
    assert stored_before_unused_rows(define()).identity() == define().identity()


def stored_before_first_replicas(definition: StudyDefinition) -> StudyDefinition:
    """A definition as an earlier version stored it, read again."""
    plain = json.loads(definition.model_dump_json())
    del plain["search"]["first_replicas"]
    return StudyDefinition.model_validate_json(json.dumps(plain))


def test_a_stored_study_goes_on_with_all_replicas_from_the_first_rung() -> None:
    of_file = define(search={"replicas": 8})
    stored = stored_before_first_replicas(of_file)
    assert stored.search.rung_replicas == (8, 8, 8, 8)
    assert "first_replicas" not in stored.identity()["search"]
    # The file that it was made from goes on with it; one that says otherwise does not.
    assert differing_keys(stored, of_file.continuing(stored)) == []
    named = define(search={"replicas": 8, "first_replicas": 4})
    assert differing_keys(stored, named.continuing(stored)) == ["search.first_replicas"]
    spelt_out = define(search={"replicas": 8, "first_replicas": 8})
    assert spelt_out.identity() == stored.identity()


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"replicas": 8, "first_replicas": 1}, (1, 2, 4, 8)),
        ({"replicas": 8, "first_replicas": 3}, (3, 3, 4, 8)),
        ({"replicas": 4, "first_replicas": 1}, (1, 1, 2, 4)),
        ({"replicas": 5, "first_replicas": 1, "rungs": 2}, (3, 5)),
        ({"replicas": 1}, (1, 1, 1, 1)),
        ({"replicas": 8, "rungs": 1}, (8,)),
        ({"replicas": 8, "pruner": "none"}, (8, 8, 8, 8)),
    ],
)
def test_as_large_a_share_of_replicas_is_scored_as_of_training_is_done(
    search: dict[str, Any], expected: tuple[int, ...]
) -> None:
    assert define(search=search).search.rung_replicas == expected


@pytest.mark.parametrize(
    ("search", "rule"),
    [
        ({"replicas": 2, "first_replicas": 3}, "must be at most replicas = 2, but got 3"),
        ({"pruner": "none", "first_replicas": 3}, 'must be left out with pruner = "none"'),
    ],
)
def test_first_replicas_that_make_no_sense_are_refused(search: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=f"first_replicas {rule}"):
        define(search=search)


def test_a_generated_series_has_no_rows_to_leave_over() -> None:
    with pytest.raises(ValidationError, match="must be left out for a generated series"):
        define(task={"unused_rows": "between"})


def test_a_mean_of_blocks_is_another_study_and_no_mean_is_the_study_that_it_was() -> None:
    plain = define(series=TABLE, task={"validation": "blocks"})
    assert "averaging" not in plain.model_dump()["task"]
    assert plain.task.score_averaging == "geometric mean"
    named = define(series=TABLE, task={"validation": "blocks", "averaging": "geometric mean"})
    assert differing_keys(named, plain) == []
    mean = define(series=TABLE, task={"validation": "blocks", "averaging": "mean"})
    assert mean.task.score_averaging == "mean"
    assert differing_keys(mean, plain) == ["task.averaging"]
    again = StudyDefinition.model_validate_json(mean.model_dump_json())
    assert again.task.score_averaging == "mean"


@pytest.mark.parametrize("validation", ["rolling", "blocks"])
def test_a_generated_series_has_no_cuts(validation: str) -> None:
    with pytest.raises(ValidationError, match='must be "end" for a generated series'):
        define(task={"validation": validation})


def test_with_blocks_candidates_must_fit_into_the_longer_half() -> None:
    task, space = {"validation": "blocks"}, {"warm_up_steps": 200, "rollout_steps": 101}
    assert define(series=TABLE, space=space).task.gapless_steps == 600
    assert define(series=TABLE, task=task).task.gapless_steps == 300
    with pytest.raises(ValidationError, match='"blocks" leaves half of train_steps = 600'):
        define(series=TABLE, task=task, space=space)


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError):
        define().seed = 3  # type: ignore[misc]
