"""The budget is exact, with any number of workers and over any number of resumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from search.storage.records import FinishedTrial
from search.storage.studies import Storage
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    from tests.search.storage.conftest import Propose, RunSql, Silence, Swarm


def pass_time(run_sql: RunSql, seconds: float) -> None:
    """Let the study believe that `seconds` have passed since the last heartbeat."""
    run_sql("UPDATE freerun_budgets SET counted_until = counted_until - :s", s=seconds)


def test_a_study_without_limits_allows_every_trial(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    assert len(study.claim_new(worker, propose(50))) == 50
    budget = study.budget()
    assert (budget.trials, budget.minutes, budget.used_trials) == (None, None, 50)
    assert not budget.exhausted
    assert study.beat(worker).budget.seconds_left is None


def test_no_trial_is_claimed_beyond_the_limit(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.set_budget(trials=5, minutes=None)
    first = study.claim_new(worker, propose(3))
    assert len(study.claim_new(worker, propose(3))) == 2
    assert study.claim_new(worker, propose(3)) == []
    # Whatever becomes of them, they count.
    study.finish(worker, [FinishedTrial(first[0].trial_id, "failed")])
    study.give_back(worker, [first[1].trial_id])
    assert study.claim_new(worker, propose(3)) == []
    assert study.budget().exhausted
    assert len(study.claim_waiting(worker, 8)) == 1


def test_a_raised_limit_allows_the_difference(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.set_budget(trials=2, minutes=None)
    study.claim_new(worker, propose(9))
    study.set_budget(trials=3, minutes=None)
    assert len(study.claim_new(worker, propose(9))) == 1
    study.set_budget(trials=1, minutes=None)
    assert study.claim_new(worker, propose(9)) == []
    assert study.budget().trials_left == 0


def test_a_budget_is_exact_with_several_processes(
    storage: Storage, study: StudyStore, database_url: str, swarm: Swarm
) -> None:
    study.set_budget(trials=43, minutes=None)
    numbers = swarm(4, "claim", database_url)
    assert sorted(number for of_process in numbers for number in of_process) == list(range(43))
    assert study.counts().complete == 43


def test_time_runs_while_a_worker_is_alive(study: StudyStore, worker: int, run_sql: RunSql) -> None:
    study.set_budget(trials=None, minutes=1)
    pass_time(run_sql, 20)
    assert study.budget().spent_seconds == pytest.approx(20, abs=5)
    left = study.beat(worker).budget.seconds_left
    assert left == pytest.approx(40, abs=5)
    # A second worker adds no time of its own.
    study.register_worker(host="here", pid=2, machine={})
    pass_time(run_sql, 20)
    assert study.beat(worker).budget.seconds_left == pytest.approx(20, abs=5)


def test_no_time_is_counted_while_no_worker_is_alive(
    study: StudyStore, worker: int, run_sql: RunSql
) -> None:
    study.set_budget(trials=None, minutes=1)
    study.leave(worker)
    pass_time(run_sql, 30)
    study.register_worker(host="here", pid=2, machine={})
    assert study.budget().spent_seconds < 5


def test_time_is_counted_after_one_of_two_workers_leaves(
    study: StudyStore, worker: int, run_sql: RunSql
) -> None:
    other = study.register_worker(host="here", pid=2, machine={})
    study.leave(worker)
    pass_time(run_sql, 30)
    study.beat(other)
    assert study.budget().spent_seconds == pytest.approx(30, abs=5)


def test_the_time_after_a_workers_death_is_not_counted(
    study: StudyStore, worker: int, run_sql: RunSql, silence: Silence
) -> None:
    silence(worker)
    pass_time(run_sql, 1000)
    study.register_worker(host="here", pid=2, machine={})
    assert study.budget().spent_seconds < 5


def test_nothing_is_claimed_when_the_time_is_up(
    study: StudyStore, worker: int, propose: Propose, run_sql: RunSql
) -> None:
    study.set_budget(trials=None, minutes=0.5)
    (trial,) = study.claim_new(worker, propose(1))
    study.give_back(worker, [trial.trial_id])
    pass_time(run_sql, 31)
    assert study.claim_new(worker, propose(1)) == []
    assert study.claim_waiting(worker, 1) == []
    assert study.beat(worker).budget.seconds_left == 0
    assert study.budget().exhausted
    study.set_budget(trials=None, minutes=1)
    assert len(study.claim_waiting(worker, 1)) == 1


def test_a_stop_request_is_seen_and_withdrawn(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    assert not study.beat(worker).budget.stop_requested
    study.request_stop()
    assert study.beat(worker).budget.stop_requested
    assert study.claim_new(worker, propose(1)) == []
    study.give_back(worker, [trial.trial_id])
    assert study.claim_waiting(worker, 1) == []
    study.clear_stop()
    assert not study.beat(worker).budget.stop_requested
    assert len(study.claim_waiting(worker, 1)) == 1
