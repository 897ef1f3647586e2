"""Final jobs are planned once, done once, and survive the death of their workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from search.storage.leases import MAX_ATTEMPTS
from search.storage.records import FinishedTrial, Subject
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    from tests.search.storage.conftest import Propose, Silence


@pytest.fixture
def trials(study: StudyStore, worker: int, propose: Propose) -> list[int]:
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(3))]
    study.finish(worker, [FinishedTrial(trial_id, "complete", 0.5) for trial_id in ids])
    return ids


def test_planning_again_adds_only_what_is_new(study: StudyStore, trials: list[int]) -> None:
    assert study.plan_final_jobs("final", []) == []
    planned = study.plan_final_jobs("final", trials[:2])
    assert [(job.purpose, job.trial_id, job.state) for job in planned] == [
        ("final", trials[0], "waiting"),
        ("final", trials[1], "waiting"),
    ]
    again = study.plan_final_jobs("final", trials)
    assert again[:2] == planned
    assert [job.trial_id for job in again] == trials
    (test,) = study.plan_final_jobs("test", trials[:1])
    assert study.final_jobs() == [*again, test]


def test_a_job_may_be_about_something_else_than_a_trial(
    study: StudyStore, worker: int, trials: list[int]
) -> None:
    subjects: list[Subject] = ["baseline ssa", trials[1], "ensemble 1", trials[0]]
    planned = study.plan_final_jobs("final", subjects)
    found = [(job.subject, job.trial_id) for job in planned]
    assert found == [
        (trials[0], trials[0]),
        (trials[1], trials[1]),
        ("baseline ssa", None),
        ("ensemble 1", None),
    ]
    assert study.plan_final_jobs("final", ["ensemble 1", "baseline ssa"]) == planned[2:]
    (test,) = study.plan_final_jobs("test", ["baseline ssa"])
    assert study.final_jobs() == [*planned, test]
    claimed = [study.claim_final_job(worker) for _ in planned]
    assert [job and job.subject for job in claimed] == [job.subject for job in planned]


def test_a_job_is_claimed_and_done_once(study: StudyStore, worker: int, trials: list[int]) -> None:
    other = study.register_worker(host="here", pid=2, machine={})
    study.plan_final_jobs("final", trials[:1])
    job = study.claim_final_job(worker)
    assert job is not None
    assert (job.trial_id, job.state, job.worker_id) == (trials[0], "running", worker)
    assert study.workers()[0].job_ids == (job.job_id,)
    assert study.claim_final_job(other) is None
    assert study.claim_final_job(worker) is None

    assert not study.finish_final_job(other, job.job_id, "{}")
    assert study.finish_final_job(worker, job.job_id, '{"score": 1}', b"\0weights")
    assert study.finish_final_job(worker, job.job_id, '{"score": 1}', b"\0weights")
    (done,) = study.final_jobs()
    assert (done.state, done.result, done.has_weights) == ("done", '{"score": 1}', True)
    assert study.final_weights(job.job_id) == b"\0weights"
    assert study.claim_final_job(worker) is None
    # Planned again, it stays as it is.
    assert study.plan_final_jobs("final", trials[:1]) == [done]


def test_a_job_without_weights(study: StudyStore, worker: int, trials: list[int]) -> None:
    study.plan_final_jobs("test", trials[:1])
    job = study.claim_final_job(worker)
    assert job is not None
    assert study.finish_final_job(worker, job.job_id, "{}")
    assert not study.final_jobs()[0].has_weights
    assert study.final_weights(job.job_id) is None


def test_final_jobs_run_after_the_budget_is_spent_and_a_stop(
    study: StudyStore, worker: int, trials: list[int]
) -> None:
    study.set_budget(trials=3, minutes=None)
    study.request_stop()
    study.plan_final_jobs("final", trials)
    assert study.claim_final_job(worker) is not None


def test_a_leaving_worker_gives_its_job_back(
    study: StudyStore, worker: int, trials: list[int]
) -> None:
    study.plan_final_jobs("final", trials[:1])
    study.claim_final_job(worker)
    study.leave(worker)
    (job,) = study.final_jobs()
    assert (job.state, job.worker_id, job.attempts) == ("waiting", None, 0)


def test_a_dead_workers_job_is_given_back_and_fails_in_the_end(
    study: StudyStore, worker: int, trials: list[int], silence: Silence
) -> None:
    study.plan_final_jobs("final", trials[:1])
    for attempt in range(MAX_ATTEMPTS):
        lost = study.register_worker(host="here", pid=attempt, machine={})
        job = study.claim_final_job(lost)
        assert job is not None
        assert job.attempts == attempt
        silence(lost)
        assert study.sweep().final_jobs == (job.job_id,)
        assert not study.finish_final_job(lost, job.job_id, "{}")
    (failed,) = study.final_jobs()
    assert failed.state == "failed"
    assert "lost 3 times" in str(failed.message)
    assert study.claim_final_job(worker) is None


def test_a_job_that_cannot_be_done_says_why(
    study: StudyStore, worker: int, trials: list[int]
) -> None:
    study.plan_final_jobs("final", trials[:1])
    job = study.claim_final_job(worker)
    assert job is not None
    assert study.fail_final_job(worker, job.job_id, "diverged")
    (failed,) = study.final_jobs()
    assert (failed.state, failed.message) == ("failed", "diverged")
