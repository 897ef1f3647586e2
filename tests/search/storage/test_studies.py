"""Studies are created, listed and found; other Optuna programs see and may delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna
import pytest

from search.errors import UnknownStudyError, UnknownTrialError, UsageError
from search.storage.records import Counts, FinishedTrial
from search.storage.studies import Storage, StudyExistsError
from search.storage.study_store import StudyStore
from search.storage.tables import metadata

if TYPE_CHECKING:
    from tests.search.storage.conftest import Propose, RunSql


def create(storage: Storage, name: str) -> StudyStore:
    return storage.create_study(name, definition="{}", definition_hash="abc")


def test_a_study_keeps_what_it_was_created_with(storage: Storage) -> None:
    data = bytes(range(256)) * 1000
    created = storage.create_study(
        "sunspots",
        definition='{"seed": 1}',
        definition_hash="abc",
        data=data,
        data_hash="def",
        data_description="sunspots.csv",
        attributes={"freerun": "0.1.0"},
    )
    for study in (created, storage.study("sunspots")):
        assert study.name == "sunspots"
        assert (study.definition, study.definition_hash) == ('{"seed": 1}', "abc")
        assert (study.data(), study.data_hash) == (data, "def")
        assert study.data_description == "sunspots.csv"
        assert study.created > 1.7e9


def test_a_generated_series_needs_no_data(storage: Storage) -> None:
    assert create(storage, "sine").data() is None


def test_a_name_can_be_used_once(storage: Storage) -> None:
    create(storage, "sine")
    with pytest.raises(StudyExistsError, match="named 'sine' already"):
        create(storage, "sine")
    assert len(storage.studies()) == 1


def test_an_unknown_name_is_refused_with_the_nearest(storage: Storage) -> None:
    create(storage, "sunspots")
    with pytest.raises(
        UnknownStudyError, match=r"no study named 'sunspot'\. Did you mean 'sunspots'"
    ):
        storage.study("sunspot")


def test_the_list_has_counts_and_best_values(storage: Storage, propose: Propose) -> None:
    assert storage.studies() == []
    create(storage, "empty")
    study = create(storage, "sine")
    worker = study.register_worker(host="here", pid=1, machine={})
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(6))]
    study.report(worker, [(ids[2], 1, 0.01)])
    study.finish(
        worker,
        [
            FinishedTrial(ids[0], "complete", 0.5),
            FinishedTrial(ids[1], "complete", 0.25),
            FinishedTrial(ids[2], "pruned"),
            FinishedTrial(ids[3], "failed"),
        ],
    )
    study.give_back(worker, ids[4:5])
    empty, sine = storage.studies()
    assert (empty.name, empty.counts, empty.best_value) == ("empty", Counts(), None)
    expected = Counts(complete=2, pruned=1, failed=1, running=1, waiting=1)
    assert (sine.name, sine.counts, sine.best_value) == ("sine", expected, 0.25)
    assert study.counts() == expected
    assert expected.total == 6
    assert (empty.workers, empty.last_active) == (0, empty.created)
    assert sine.workers == 1
    assert sine.last_active >= sine.created
    study.leave(worker)
    assert [own.workers for own in storage.studies()] == [0, 0]
    best = study.best_trial()
    assert best is not None
    assert best.number == 1


def test_an_unknown_trial_is_refused(storage: Storage, propose: Propose) -> None:
    study = create(storage, "sine")
    with pytest.raises(UnknownTrialError, match="it has no trial yet"):
        study.trial(0)
    worker = study.register_worker(host="here", pid=1, machine={})
    study.claim_new(worker, propose(3))
    assert study.trial(0).number == 0
    with pytest.raises(UnknownTrialError, match="numbers go from 0 to 2"):
        study.trial(3)


def test_plain_optuna_opens_the_study(
    storage: Storage, plain_optuna: optuna.storages.RDBStorage
) -> None:
    storage.create_study(
        "sine", definition="{}", definition_hash="abc", attributes={"resume": "freerun run sine"}
    )
    plain = optuna.load_study(study_name="sine", storage=plain_optuna)
    assert plain.direction == optuna.study.StudyDirection.MINIMIZE
    assert plain.user_attrs == {"resume": "freerun run sine"}


@pytest.mark.parametrize("by", ["plain", "ours"])
def test_a_study_deleted_by_optuna_leaves_no_rows(
    storage: Storage,
    propose: Propose,
    plain_optuna: optuna.storages.RDBStorage,
    run_sql: RunSql,
    by: str,
) -> None:
    study = create(storage, "old")
    worker = study.register_worker(host="here", pid=1, machine={})
    (trial,) = study.claim_new(worker, propose(1))
    study.finish(worker, [FinishedTrial(trial.trial_id, "complete", 0.5, curve=b"1234")])
    # A plain program knows nothing of our tables, nor of foreign keys on SQLite.
    deleting = plain_optuna if by == "plain" else storage.optuna
    optuna.delete_study(study_name="old", storage=deleting)
    assert storage.studies() == []
    with pytest.raises(UnknownStudyError):
        storage.study("old")

    new = create(storage, "new")
    worker = new.register_worker(host="here", pid=1, machine={})
    new.claim_new(worker, propose(1))
    assert new.counts() == Counts(running=1)
    assert run_sql("SELECT * FROM freerun_curves") == []


def test_a_study_is_deleted_with_all_that_is_stored_of_it(
    storage: Storage, propose: Propose, run_sql: RunSql
) -> None:
    def rows() -> dict[str, int]:
        tables = [*metadata.tables, "studies", "trials", "trial_params", "trial_values"]
        return {name: run_sql(f"SELECT count(*) FROM {name}")[0][0] for name in tables}

    kept = storage.create_study("kept", definition="{}", definition_hash="abc")
    kept.claim_new(kept.register_worker(host="here", pid=1, machine={}), propose(1))
    before = rows()
    study = storage.create_study("gone", definition="{}", definition_hash="abc")
    worker = study.register_worker(host="here", pid=2, machine={})
    (trial, _) = study.claim_new(worker, propose(2))
    study.finish(worker, [FinishedTrial(trial.trial_id, "complete", 0.5, curve=b"1234")])
    study.plan_final_jobs("final", [trial.trial_id])
    with pytest.raises(UsageError, match=r"no workers .* `freerun stop gone`"):
        storage.delete_study("gone")
    study.leave(worker)
    storage.delete_study("gone")
    assert rows() == before
    with pytest.raises(UnknownStudyError):
        storage.delete_study("gone")
    assert [summary.name for summary in storage.studies()] == ["kept"]
