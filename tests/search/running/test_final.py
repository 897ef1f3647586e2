"""The final asks the database for no more than it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from search.records import Origin
from search.running.final import Final
from search.running.worker import Worker
from search.storage.study_store import StudyStore
from search.study.task_data import TaskData
from tests.search.stored import noted_statements

if TYPE_CHECKING:
    from search.study.definition import StudyDefinition
    from tests.search.running.conftest import WorkerMaker


class Searcher(Worker):
    """Leaves the final to others."""

    def final(self) -> None:
        pass


def test_a_final_job_loads_one_trial_and_a_look_at_the_final_writes_nothing(
    database_url: str,
    create: Callable[[str], StudyStore],
    worker_on: WorkerMaker,
    definition: StudyDefinition,
) -> None:
    store = create(database_url)
    worker_on(store, lambda: False, Searcher).run()
    final = Final(store, definition, TaskData(definition, None))
    assert not final.is_over()  # planned the jobs
    worker = store.register_worker(host="here", pid=1, machine={})
    for left in (1, 0):
        with noted_statements() as statements:
            assert final.run_job(worker, lambda job_id: None, Origin())
        (load,) = (text for text in statements if "FROM trial_params" in text)
        ids = load.rpartition("WHERE trials.trial_id IN (")[2].partition(")")[0]
        assert "," not in ids
        assert "FROM" not in ids
        if left:
            with noted_statements() as statements:
                assert not final.is_over()
            assert all(text.startswith(("BEGIN", "SELECT")) for text in statements)
