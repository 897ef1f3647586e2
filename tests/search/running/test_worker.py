"""A worker spends the budget exactly, keeps what is finished and gives back what is not."""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest
import torch

from search.running.worker import Worker
from search.storage import StudyStore

Create = Callable[[str], StudyStore]
WorkerOn = Callable[[StudyStore, Callable[[], bool]], Worker]


def never() -> bool:
    return False


def after(calls: int) -> Callable[[], bool]:
    """A stop request that comes after so many optimiser steps."""
    counter: Iterator[int] = count()
    return lambda: next(counter) >= calls


def test_a_study_runs_to_its_end(database_url: str, create: Create, worker_on: WorkerOn) -> None:
    store = create(database_url)
    worker_on(store, never).run()
    counts = store.counts()
    assert counts.total == 8
    assert counts.complete + counts.pruned == 8
    assert counts.complete >= 1
    assert counts.pruned >= 1
    jobs = store.final_jobs()
    assert [job.purpose for job in jobs] == ["final"] * min(2, counts.complete) + ["test"]
    assert all(job.state == "done" and job.has_weights for job in jobs)
    assert not any(worker.alive for worker in store.workers())


def test_what_is_stored_of_a_trial(sqlite_url: str, create: Create, worker_on: WorkerOn) -> None:
    store = create(sqlite_url)
    worker_on(store, never).run()
    curves, replicas = store.curves(), store.replicas()
    for row in store.trial_rows():
        scores = row.user_attributes["replica_scores"]
        assert row.user_attributes["score"] == np.median(scores)
        assert row.user_attributes["verdict"]
        assert row.user_attributes["machine"].endswith(f"cpu, torch {torch.__version__}")
        assert row.user_attributes["parameters"] > 0
        is_limited = row.state == "complete"  # computed only for those
        assert (0 < row.user_attributes.get("limit", -1) < 1) == is_limited
        assert [r.score for r in replicas[row.trial_id]] == scores
        if row.state == "complete":
            assert row.value == np.median(scores)
            assert sorted(row.intermediate_values) == [1, 2]
            curve = np.frombuffer(curves[row.trial_id], dtype=np.float32)
            assert len(curve) == 15
        else:
            assert sorted(row.intermediate_values) == [1]


def test_a_stopped_worker_gives_back_and_the_next_one_goes_on(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    worker_on(store, after(9)).run()
    stopped = store.counts()
    assert stopped.running == 0
    assert stopped.waiting > 0
    before = {row.number: row.value for row in store.trial_rows() if row.state == "complete"}
    worker_on(store, never).run()
    counts = store.counts()
    assert (counts.total, counts.waiting, counts.running) == (8, 0, 0)
    after_all = {row.number: row.value for row in store.trial_rows()}
    assert before.items() <= after_all.items()


def test_a_trial_that_was_given_back_scores_as_if_it_had_never_been_stopped(
    sqlite_url: str, tmp_path_factory: pytest.TempPathFactory, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    worker_on(store, after(3)).run()
    waiting = [row.params for row in store.trial_rows() if row.state == "waiting"]
    worker_on(store, never).run()
    resumed = {row.number: row for row in store.trial_rows()}
    assert waiting == [resumed[number].params for number in range(len(waiting))]

    other = create(f"sqlite:///{tmp_path_factory.mktemp('other') / 'freerun.db'}")
    worker_on(other, never).run()
    undisturbed = {row.number: row for row in other.trial_rows()}
    for number in range(len(waiting)):
        one, two = resumed[number], undisturbed[number]
        assert one.params == two.params
        assert one.intermediate_values[1] == two.intermediate_values[1]


def test_more_trials_resume_and_keep_the_total_exact(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    store.set_budget(trials=3, minutes=None)
    worker_on(store, never).run()
    assert store.counts().total == 3
    first = [(row.number, row.value) for row in store.trial_rows()]
    store.set_budget(trials=7, minutes=None)
    worker_on(store, never).run()
    assert store.counts().total == 7
    assert [(row.number, row.value) for row in store.trial_rows()][:3] == first


def test_without_time_left_nothing_is_trained(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    store.set_budget(trials=8, minutes=1e-9)
    worker_on(store, never).run()
    assert store.counts().total == 0
    assert store.final_jobs() == []


def test_the_stop_flag_of_the_study_ends_a_worker(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    store.request_stop()
    worker_on(store, never).run()
    assert store.counts().total == 0


def test_a_candidate_that_breaks_is_failed_alone(
    sqlite_url: str,
    create: Create,
    worker_on: WorkerOn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory that runs out for one candidate does not take its cohort along."""
    store = create(sqlite_url)
    worker = worker_on(store, never)
    train = Worker._train
    broken: list[int] = []

    def out_of_memory(self: Worker, trials: list, candidates: list) -> None:  # type: ignore[type-arg]
        broken.extend(t.number for t in trials if t.number == 2 and len(trials) > 1)
        if any(trial.number == 2 for trial in trials):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] not enough memory")
        train(self, trials, candidates)

    monkeypatch.setattr(Worker, "_train", out_of_memory)
    worker.run()
    rows = {row.number: row for row in store.trial_rows()}
    assert broken == [2]
    assert rows[2].state == "failed"
    assert "not enough memory" in rows[2].user_attributes["message"]
    assert [row.number for row in rows.values() if row.state == "failed"] == [2]
