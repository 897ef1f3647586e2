"""A restored study trains what was cut off again, with the same seeds, and nothing beyond it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from search.storage.backups import back_up, restore
from search.storage.opening import open_storage
from tests.search.running.doomed import work_and_die
from tests.search.stored import attempts

if TYPE_CHECKING:
    from collections.abc import Callable

    from search.storage.study_store import StudyStore
    from tests.search.running.conftest import WorkerMaker

TRIALS = 4


def quietly(_done: int, _total: int | None) -> None:
    """Told of the progress."""


def values(store: StudyStore) -> list[tuple[object, ...]]:
    return [
        (trial.number, trial.params, trial.state, trial.value, trial.intermediate_values)
        for trial in store.frozen_trials()
    ]


def test_a_restored_study_ends_with_its_budget_and_the_same_scores(
    database_url: str,
    another_url: str,
    create: Callable[[str], StudyStore],
    worker_on: WorkerMaker,
    tmp_path: Path,
) -> None:
    store = create(database_url)
    store.set_budget(trials=TRIALS, minutes=None)
    dead = work_and_die(database_url, store.name)
    assert store.counts().running == TRIALS
    back_up(database_url, tmp_path / "b", quietly)
    (gone,) = store.workers()
    assert gone.pid == dead
    store.give_back(gone.worker_id, gone.trial_ids)
    worker_on(store, lambda: False).run()
    assert restore(tmp_path / "b", another_url, quietly).waiting == TRIALS
    with open_storage(another_url, create=False) as storage:
        again = storage.study(store.name)
        worker_on(again, lambda: False).run()
        assert again.budget().used_trials == again.counts().total == TRIALS
        assert values(again) == values(store)
        assert attempts(another_url) == [0] * TRIALS
        assert [job.state for job in again.final_jobs()] == [j.state for j in store.final_jobs()]
        assert {job.state for job in again.final_jobs()} == {"done"}
