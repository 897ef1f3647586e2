"""What a dead worker held is run again by the next worker that is free, and soon found by any."""

from __future__ import annotations

import os
from math import inf
from typing import TYPE_CHECKING

import pytest

from search.contest import baseline_subject
from search.evaluation import baseline_candidates
from search.running.proposer import Proposer
from search.running.worker import Worker
from search.storage.opening import open_storage
from search.storage.records import FinishedTrial
from search.storage.study_store import StudyStore
from search.study.task_data import TaskData
from tests.search.running.doomed import work_and_die
from tests.search.stored import attempts, noted_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.candidate import Candidate
    from search.evaluation import Cohort
    from search.study.definition import StudyDefinition
    from tests.search.running.conftest import WorkerMaker

    Create = Callable[[str], StudyStore]

# Looks of a worker, one between two steps, after which what it waits for is not going to come.
PATIENCE = 3000


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.running.worker.BEAT_SECONDS", 0.0)
    monkeypatch.setattr("search.running.worker.REST_SECONDS", 0.0)


class Watched(Worker):
    """Notes how many candidates begin to train together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sizes: list[int] = []

    def cohort(self, candidates: Sequence[Candidate]) -> Cohort:
        self.sizes.append(len(candidates))
        return super().cohort(candidates)


def let_expire(url: str, pid: int) -> None:
    """Make the last heartbeat of a process older than a lease, as if it had died a while ago."""
    with open_storage(url, create=False) as storage, storage.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE freerun_workers SET last_beat = last_beat - 1000 WHERE pid = {pid}"
        )


def holds(store: StudyStore, pid: int) -> int:
    """How many trials and final jobs a process holds."""
    mine = [status for status in store.workers() if status.pid == pid]
    return sum(len(status.trial_ids) + len(status.job_ids) for status in mine)


def test_a_busy_worker_finds_the_dead_and_runs_what_they_held_before_anything_new(
    database_url: str, create: Create, worker_on: WorkerMaker
) -> None:
    store = create(database_url)
    store.set_budget(trials=12, minutes=None)
    dead = work_and_die(database_url, store.name)
    assert holds(store, dead) == store.counts().running == 4
    in_its_cohort: list[tuple[int, int]] = []
    looks = 0

    def look() -> bool:
        """Asked between two steps: kill the dead one for good, then see who holds what."""
        nonlocal looks
        looks += 1
        if holds(store, os.getpid()) and len(in_its_cohort) < 2:
            if not in_its_cohort:
                let_expire(database_url, dead)
            in_its_cohort.append((store.counts().waiting, holds(store, os.getpid())))
        return looks > PATIENCE

    worker = worker_on(store, look, Watched)
    worker.run()
    assert isinstance(worker, Watched)
    # Found between two optimiser steps of a cohort that it goes on with.
    assert in_its_cohort == [(0, 4), (4, 4)]
    assert worker.sizes[:4] == [4, 2, 1, 1]
    assert attempts(database_url) == [1] * 4 + [0] * 8
    assert store.counts().complete + store.counts().pruned == 12


def test_a_worker_without_anything_to_claim_waits_for_what_the_dead_hold(
    database_url: str, create: Create, worker_on: WorkerMaker
) -> None:
    store = create(database_url)
    store.set_budget(trials=4, minutes=None)
    dead = work_and_die(database_url, store.name)
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        if looks == 5:
            assert holds(store, os.getpid()) == 0
            assert holds(store, dead) == 4
            let_expire(database_url, dead)
        return looks > PATIENCE

    worker = worker_on(store, look, Watched)
    worker.run()
    assert isinstance(worker, Watched)
    assert worker.sizes == [2, 1, 1]
    assert attempts(database_url) == [1] * 4
    assert store.counts().complete + store.counts().pruned == 4


def test_waiting_for_others_trials_takes_one_statement_a_look(
    database_url: str,
    create: Create,
    worker_on: WorkerMaker,
    definition: StudyDefinition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = create(database_url)
    store.set_budget(trials=3, minutes=None)
    rival = store.register_worker(host=os.uname().nodename, pid=1, machine={})
    (proposal,) = Proposer(definition, sampler_seed=0).propose(at_most=1)
    first, second, third = [t.trial_id for t in store.claim_new(rival, [proposal] * 3)]
    # It beats once, at its beginning.
    monkeypatch.setattr("search.running.worker.BEAT_SECONDS", inf)
    said: list[list[str]] = []

    with noted_statements() as statements:

        def look() -> bool:
            said.append([text for text in statements if not text.startswith("BEGIN")])
            if len(said) == 4:
                store.finish(rival, [FinishedTrial(first, "failed")])
            elif len(said) == 8:
                store.give_back(rival, [second])
            elif len(said) == 9:
                store.finish(rival, [FinishedTrial(third, "failed")])
            statements.clear()
            return False

        worker = worker_on(store, look, Watched)
        worker.run()
    assert isinstance(worker, Watched)
    for texts in (said[2], said[3], said[6], said[7]):
        (text,) = texts
        assert text.startswith("SELECT freerun_leases.trial_id")
    assert worker.sizes == [1]
    assert [row.state.name for row in store.frozen_trials()] == ["FAIL", "COMPLETE", "FAIL"]


def test_waiting_for_others_final_jobs_takes_one_statement_a_look(
    database_url: str,
    create: Create,
    worker_on: WorkerMaker,
    definition: StudyDefinition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = create(database_url)
    store.set_budget(trials=2, minutes=None)

    class Searching(Worker):
        def final(self) -> None:
            """Left to others."""

    worker_on(store, lambda: False, Searching).run()
    complete = [trial.trial_id for trial in store.scored_trials() if trial.state == "complete"]
    baselines = [baseline_subject(n) for n in baseline_candidates(TaskData(definition, None))]
    store.plan_final_jobs("final", [*complete, *baselines])
    rival = store.register_worker(host=os.uname().nodename, pid=1, machine={})
    while store.claim_final_job(rival):
        pass
    assert holds(store, 1) == len(complete) + len(baselines)
    monkeypatch.setattr("search.running.worker.BEAT_SECONDS", inf)
    said: list[list[str]] = []

    with noted_statements() as statements:

        def look() -> bool:
            said.append([text for text in statements if not text.startswith("BEGIN")])
            if len(said) == 5:
                store.leave(rival)
            statements.clear()
            return False

        worker_on(store, look).run()
    for texts in said[2:5]:
        (text,) = texts
        assert text.startswith("SELECT freerun_finals.job_id, freerun_finals.state")
    jobs = store.final_jobs()
    assert {job.subject for job in jobs} >= {*complete, *baselines}
    assert {job.purpose for job in jobs} == {"final", "test"}
    assert all(job.state == "done" and job.worker_id != rival for job in jobs)
