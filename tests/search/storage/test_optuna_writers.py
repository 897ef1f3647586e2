"""Bulk writing writes the rows that Optuna's public calls would write."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, event

from search.storage.opening import open_storage
from search.storage.records import Artifact, FinishedTrial, Report
from search.storage.studies import Storage
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.search.storage.conftest import Propose, RunSql

INF, NAN = float("inf"), float("nan")
OPTUNA_TABLES = {
    "studies": "study_id",
    "study_directions": "study_id, objective",
    "trials": "trial_id",
    "trial_params": "param_id",
    "trial_values": "trial_id, objective",
    "trial_intermediate_values": "trial_id, step",
    "trial_user_attributes": "trial_id, key",
    "trial_system_attributes": "trial_id, key",
}
REPORTS = ((1, 0.75), (2, INF), (3, -INF), (4, NAN), (5, 1 / 3))


def live(study: StudyStore, propose: Propose) -> None:
    """Do all that can happen to trials."""
    worker = study.register_worker(host="here", pid=1, machine={})
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(5))]
    for step, value in REPORTS:
        study.report(worker, [Report(trial_id, step, value) for trial_id in ids])
    study.report(worker, [(ids[0], 1, 0.5)])
    study.give_back(worker, [ids[3]])
    finished = [
        FinishedTrial(
            ids[0],
            "complete",
            0.125,
            user_attributes={"list": [1, 2.5, None], "text": "é", "nan": NAN},
            artifacts=[Artifact("curve.csv", b"1,2"), Artifact("odd", b"?")],
        ),
        FinishedTrial(ids[1], "complete", INF),
        FinishedTrial(ids[2], "pruned"),
        FinishedTrial(ids[4], "failed", user_attributes={"message": "no room"}),
    ]
    study.finish(worker, finished)
    study.claim_waiting(worker, 1)
    study.report(worker, [(ids[3], 1, NAN)])
    study.finish(worker, [FinishedTrial(ids[3], "pruned")])
    study.claim_new(worker, propose(1))


def rows_of(run_sql: RunSql, study_id: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of a study in Optuna's tables, without surrogate keys, times and random ids."""
    tables = {}
    for table, order in OPTUNA_TABLES.items():
        names = [column.name for column in optuna_table(table).columns]
        of_study = "study_id = :study"
        if "study_id" not in names:
            of_study = f"trial_id IN (SELECT trial_id FROM trials WHERE {of_study})"
        found = run_sql(
            f"SELECT {', '.join(names)} FROM {table} WHERE {of_study} ORDER BY {order}",
            study=study_id,
        )
        tables[table] = [comparable(dict(zip(names, row, strict=True))) for row in found]
    return tables


def optuna_table(name: str) -> Any:
    return optuna.storages._rdb.models.BaseModel.metadata.tables[name]


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    keyed = {k: v for k, v in row.items() if not (k.endswith("_id") or k == "study_name")}
    for key in ("datetime_start", "datetime_complete"):
        if key in keyed:
            keyed[key] = keyed[key] is not None
    if str(keyed.get("key")).startswith("artifacts:"):
        # An id, then a JSON text within JSON.
        meta = json.loads(json.loads(keyed["value_json"]))
        assert keyed["key"] == f"artifacts:{meta.pop('artifact_id')}"
        return {"key": "artifacts:", "value": json.dumps(meta)}
    return keyed


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    statements: list[str] = []

    def count(*details: Any) -> None:
        statements.append(details[2])

    event.listen(Engine, "before_cursor_execute", count)
    yield statements
    event.remove(Engine, "before_cursor_execute", count)


@pytest.fixture
def twins(
    storage: Storage, database_url: str, propose: Propose, run_sql: RunSql
) -> Iterator[tuple[Storage, StudyStore, StudyStore]]:
    """The same trials written in bulk, and by public calls under another schema version."""
    bulk = storage.create_study("bulk", definition="{}", definition_hash="abc")
    with counted_statements() as few:
        live(bulk, propose)
    run_sql("UPDATE version_info SET schema_version = 11")
    with open_storage(database_url, create=False) as other:
        public = other.create_study("public", definition="{}", definition_hash="abc")
        with counted_statements() as many:
            live(public, propose)
        assert len(many) > 2 * len(few)
        yield storage, bulk, public
    run_sql("UPDATE version_info SET schema_version = 12")


def test_every_row_is_the_same(
    twins: tuple[Storage, StudyStore, StudyStore], run_sql: RunSql
) -> None:
    _, bulk, public = twins
    by_bulk, by_public = rows_of(run_sql, bulk.study_id), rows_of(run_sql, public.study_id)
    for table in OPTUNA_TABLES:
        assert by_bulk[table], table
        if table == "trial_system_attributes":
            # Artifacts have random keys, hence no order.
            for rows in (by_bulk[table], by_public[table]):
                rows.sort(key=json.dumps)
        assert by_bulk[table] == by_public[table]


def test_every_trial_is_the_same(
    twins: tuple[Storage, StudyStore, StudyStore], plain_optuna: optuna.storages.RDBStorage
) -> None:
    _, bulk, public = twins
    pairs = zip(
        plain_optuna.get_all_trials(bulk.study_id),
        plain_optuna.get_all_trials(public.study_id),
        strict=True,
    )
    states = []
    for by_bulk, by_public in pairs:
        assert plain(by_bulk) == plain(by_public)
        states.append(by_bulk.state)
        for trial in (by_bulk, by_public):
            trial._validate()
            assert plain(plain_optuna.get_trial(trial._trial_id)) == plain(trial)
    assert states == [
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.RUNNING,
    ]


def plain(trial: FrozenTrial) -> str:
    """All fields of a trial, NaN included, without its id, times and random keys."""
    artifacts = sorted(
        json.dumps({**json.loads(value), "artifact_id": ""})
        for key, value in trial.system_attrs.items()
        if key.startswith("artifacts:")
    )
    system = {k: v for k, v in trial.system_attrs.items() if not k.startswith("artifacts:")}
    return repr(
        (
            trial.number,
            trial.state,
            trial.values,
            trial.params,
            trial.distributions,
            sorted(trial.user_attrs.items()),
            sorted(system.items()),
            sorted(trial.intermediate_values.items()),
            trial.datetime_complete is None,
            artifacts,
        )
    )


def test_our_reader_returns_what_optunas_does(
    twins: tuple[Storage, StudyStore, StudyStore], plain_optuna: optuna.storages.RDBStorage
) -> None:
    _, bulk, _ = twins
    ours = bulk.frozen_trials()
    theirs = plain_optuna.get_all_trials(bulk.study_id)
    for our, their in zip(ours, theirs, strict=True):
        assert repr(sorted(our.system_attrs.items())) == repr(sorted(their.system_attrs.items()))
        assert plain(our) == plain(their)
        assert our._trial_id == their._trial_id
        assert our.datetime_start == their.datetime_start
        assert our.datetime_complete == their.datetime_complete
    without = bulk.frozen_trials([our._trial_id for our in ours[:2]], attributes=False)
    assert [trial.params for trial in without] == [trial.params for trial in theirs[:2]]
    assert [trial.values for trial in without] == [trial.values for trial in theirs[:2]]
    assert not any(trial.user_attrs or trial.system_attrs for trial in without)


def test_scores_are_those_of_the_trials(
    twins: tuple[Storage, StudyStore, StudyStore], plain_optuna: optuna.storages.RDBStorage
) -> None:
    _, bulk, _ = twins
    finished = [t for t in plain_optuna.get_all_trials(bulk.study_id) if t.state.is_finished()]
    for scored, their in zip(bulk.scored_trials(), finished, strict=True):
        assert (scored.trial_id, scored.value) == (their._trial_id, their.value)
        assert repr(scored.reports) == repr(their.intermediate_values)
        assert scored.state == {"FAIL": "failed"}.get(their.state.name, their.state.name.lower())
        assert scored.cohort_key == "a"
