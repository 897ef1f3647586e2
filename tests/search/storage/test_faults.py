"""Killed workers, lost connections, and a database that goes away."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from search.errors import StorageError
from search.storage.opening import open_storage
from search.storage.records import FinishedTrial, Swept
from search.storage.studies import Storage
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import PostgresServer
    from tests.search.storage.conftest import Propose, RunSql, Silence, Start


def passing_error(storage: Storage, statement: str) -> OperationalError:
    """An error of the database after which a transaction may succeed."""
    is_sqlite = storage.url.startswith("sqlite")
    cause = sqlite3.OperationalError("locked") if is_sqlite else psycopg.OperationalError("gone")
    return OperationalError(statement, None, cause)


@contextmanager
def first_time(name: str, action: Callable[[Connection], None]) -> Iterator[None]:
    """Call a function at the next such event of an engine only."""
    calls = 0

    def act_once(connection: Connection) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            action(connection)

    event.listen(Engine, name, act_once)
    try:
        yield
    finally:
        event.remove(Engine, name, act_once)
    assert calls > 0


def lost_answer(storage: Storage) -> AbstractContextManager[None]:
    """Let the next commit succeed and its confirmation get lost."""

    def commit_and_fail(connection: Connection) -> None:
        connection.connection.commit()
        raise passing_error(storage, "COMMIT")

    return first_time("commit", commit_and_fail)


def outage(storage: Storage) -> AbstractContextManager[None]:
    """Let the next transaction find no database."""

    def fail(connection: Connection) -> None:
        raise passing_error(storage, "BEGIN")

    return first_time("begin", fail)


def test_a_killed_workers_trials_run_again(
    study: StudyStore, database_url: str, start: Start, silence: Silence, worker: int
) -> None:
    with start(1, "hold", database_url) as process:
        assert process.stdout is not None
        dead, *held = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert study.sweep().given_back == ()
    assert study.counts().running == 2
    silence(dead)
    assert study.sweep().given_back == tuple(held)
    claimed = [*study.claim_waiting(worker, 8), *study.claim_waiting(worker, 8)]
    assert [(trial.trial_id, trial.attempts) for trial in claimed] == [(i, 1) for i in held]
    assert study.trial(0).intermediate_values == {}
    ends = [FinishedTrial(trial_id, "complete", 0.5) for trial_id in held]
    assert study.finish(worker, ends) == []
    assert study.counts().total == study.counts().complete == 2


def test_a_claim_whose_answer_is_lost_is_made_once(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    with lost_answer(storage):
        claimed = study.claim_new(worker, propose(3))
    assert [trial.number for trial in claimed] == [0, 1, 2]
    assert [trial.params for trial in claimed] == [proposal.params for proposal in propose(3)]
    ids = [trial.trial_id for trial in claimed]
    assert study.beat(worker).held_trials == set(ids)
    study.give_back(worker, ids)
    with lost_answer(storage):
        assert [trial.trial_id for trial in study.claim_waiting(worker, 2)] == ids[:2]
    assert study.counts().waiting == 1


def test_a_final_job_whose_claim_is_lost_is_claimed_once(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(2))]
    study.finish(worker, [FinishedTrial(i, "complete", 0.5) for i in ids])
    study.plan_final_jobs("final", ids)
    with lost_answer(storage):
        job = study.claim_final_job(worker)
    assert job is not None
    assert [job.state for job in study.final_jobs()] == ["running", "waiting"]


def test_a_finish_whose_answer_is_lost_loses_no_trial(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    with lost_answer(storage):
        assert study.report(worker, [(trial.trial_id, 1, 0.5)]) == []
    with lost_answer(storage):
        assert study.finish(worker, [FinishedTrial(trial.trial_id, "complete", 0.5)]) == []
    assert study.counts().complete == 1


def test_new_finished_trials_are_not_skipped_when_an_answer_is_lost(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    study.finish(worker, [FinishedTrial(trial.trial_id, "complete", 0.5)])
    with lost_answer(storage):
        assert len(study.scored_trials()) == 1


def test_nothing_is_taken_right_after_an_outage(
    storage: Storage, study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    silence(worker)
    with outage(storage):
        # The workers were cut off too, so they are late without being dead.
        assert study.sweep() == Swept((), (), ())
    assert study.sweep().given_back == (trial.trial_id,)


def test_broken_connections_are_replaced(
    postgres: PostgresServer, postgres_url: str, propose: Propose
) -> None:
    database = postgres_url.partition("?")[0].rpartition("/")[2]

    def cut() -> None:
        postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        )

    with open_storage(postgres_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        worker = study.register_worker(host="here", pid=1, machine={})
        cut()
        (trial,) = study.claim_new(worker, propose(1))
        with first_time("begin", lambda _: cut()):
            assert study.report(worker, [(trial.trial_id, 1, 0.5)]) == []
        with first_time("commit", lambda _: cut()):
            assert study.finish(worker, [FinishedTrial(trial.trial_id, "complete", 0.5)]) == []
        assert study.trial(0).intermediate_values == {1: 0.5}
        assert study.counts().complete == study.counts().total == 1


def test_patience_has_an_end(postgres: PostgresServer, empty_postgres_url: str) -> None:
    with open_storage(empty_postgres_url, create=True, patience_seconds=0) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        name = empty_postgres_url.partition("?")[0].rpartition("/")[2]
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
        with pytest.raises(StorageError, match="did not answer for 0 s") as gone:
            study.counts()
        assert "What is finished is kept" in str(gone.value)


def test_a_worker_that_is_asked_to_stop_does_not_wait_for_the_database(
    postgres: PostgresServer, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.storage.database.HURRIED_SECONDS", 0.0)
    asked = iter([False, False])
    with open_storage(
        empty_postgres_url, create=True, stop_requested=lambda: next(asked, True)
    ) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        name = empty_postgres_url.partition("?")[0].rpartition("/")[2]
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
        with pytest.raises(StorageError, match=r"did not answer for \d s"):
            study.counts()
    assert next(asked, None) is None, "it never asked"


def test_a_locked_file_is_waited_for(sqlite_url: str, propose: Propose) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    with open_storage(sqlite_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        # Readers don't wait for a writer.
        assert study.counts().total == 0
        blocker.execute("ROLLBACK")
        blocker.close()
        study.request_stop()
        assert study.budget().stop_requested


def test_two_hosts_on_one_file_are_refused(sqlite_url: str, postgres_url: str) -> None:
    with open_storage(sqlite_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        here = study.register_worker(host="here", pid=1, machine={})
        with pytest.raises(StorageError, match=r"here and there both use it\. Use a PostgreSQL"):
            study.register_worker(host="there", pid=1, machine={})
        study.leave(here)
        study.register_worker(host="there", pid=1, machine={})
    with open_storage(postgres_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        for host in ("here", "there"):
            study.register_worker(host=host, pid=1, machine={})


def test_several_workers_race_for_the_same_waiting_trials(
    study: StudyStore, worker: int, propose: Propose, run_sql: RunSql
) -> None:
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(4))]
    study.give_back(worker, ids)
    other = study.register_worker(host="here", pid=2, machine={})
    first = study.claim_waiting(worker, 3)
    second = study.claim_waiting(other, 3)
    assert [t.trial_id for t in first] == ids[:3]
    assert [t.trial_id for t in second] == ids[3:]
    assert run_sql("SELECT count(*) FROM freerun_leases") == [(4,)]
