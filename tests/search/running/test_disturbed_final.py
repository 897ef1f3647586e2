"""A final that is stopped, or whose workers are killed: nobody has won before it is done, and its
results are those of a study that nothing happened to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from search.analysis.study_results import winner_of
from search.errors import UsageError
from search.export.of_study import export_of
from search.records import FinalRecord
from search.running.worker import Worker
from search.storage.opening import open_storage
from tests.search.running.doomed import work_and_die

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from search.storage.study_store import StudyStore
    from tests.search.running.conftest import WorkerMaker

    Create = Callable[[str], StudyStore]


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.running.worker.BEAT_SECONDS", 0.0)
    monkeypatch.setattr("search.running.worker.REST_SECONDS", 0.0)


class Searching(Worker):
    def final(self) -> None:
        """Left to others."""


def never() -> bool:
    return False


def scores(store: StudyStore) -> dict[tuple[str, object], tuple[float, ...]]:
    """What each job found; all of them must be done."""
    jobs = store.final_jobs()
    assert {job.state for job in jobs} == {"done"}
    found = {(job.purpose, job.subject): FinalRecord.from_json(job.result or "") for job in jobs}
    return {key: (record.score, *record.replica_scores) for key, record in found.items()}


def test_a_stopped_final_names_no_winner_and_goes_on(
    sqlite_url: str, create: Create, worker_on: WorkerMaker
) -> None:
    store = create(sqlite_url)

    def stop_in_the_midst() -> bool:
        states = list(store.final_states().values())
        if states.count("done") == 3 and "running" in states:
            store.request_stop()
        return False

    worker_on(store, stop_in_the_midst).run()
    states = [job.state for job in store.final_jobs()]
    assert states.count("done") == 3
    assert "waiting" in states
    assert "running" not in states
    assert winner_of(store) is None
    with pytest.raises(UsageError, match="its final is not done"):
        export_of(store)
    store.clear_stop()
    worker_on(store, never).run()
    assert winner_of(store) is not None
    assert len(scores(store)) > 3


def test_a_worker_killed_in_the_final_changes_no_result(
    sqlite_url: str, tmp_path: Path, create: Create, worker_on: WorkerMaker
) -> None:
    store = create(sqlite_url)
    worker_on(store, never, Searching).run()
    copy = tmp_path / "undisturbed.db"
    with open_storage(sqlite_url, create=False) as storage, storage.engine.connect() as connection:
        connection.exec_driver_sql(f"VACUUM INTO '{copy}'")
    dead = work_and_die(sqlite_url, store.name, in_final=True)
    with open_storage(sqlite_url, create=False) as storage, storage.engine.begin() as connection:
        statement = "UPDATE freerun_workers SET last_beat = last_beat - 1000 WHERE pid = ?"
        connection.exec_driver_sql(statement, (dead,))
    assert [job.state for job in store.final_jobs()].count("running") == 1
    worker_on(store, never).run()
    assert sum(job.attempts for job in store.final_jobs()) == 1
    with open_storage(f"sqlite:///{copy}", create=False) as storage:
        undisturbed = storage.study(store.name)
        worker_on(undisturbed, never).run()
        assert scores(undisturbed) == scores(store)
