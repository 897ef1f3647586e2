"""The final: the best candidates trained again, the winner chosen and tested, as jobs to share."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from models import checkpoint
from models.candidate import Candidate
from search.errors import FreerunError
from search.evaluation import CandidateResult, Cohort, baseline_results
from search.running.breaking import BREAKS, reason
from search.series import Purpose
from search.storage import FinalJob, StudyStore
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View


class LostJob(FreerunError):
    """The worker was cut off for so long that another does its job by now."""


def run_final_job(
    store: StudyStore,
    definition: StudyDefinition,
    data: TaskData,
    worker_id: int,
    device: str,
    tick: Callable[[int], None],
    origin: Mapping[str, Any],
) -> Literal["ran", "wait", "done"]:
    """Do one job of the final, or say that others are at the last ones, or that all is done.

    The finalists are the best complete trials, distinct as candidates. Each is trained again on
    final_replicas fresh draws with fresh initialisations and scored on validation; the one with
    the least score is the winner, and only it is tested. A job that breaks has failed, with its
    message. `tick` is called with the job's id between optimiser steps, and raises LostJob where
    the job is another's by now. origin: what is stored of who does the job, and where.
    """
    finalists = finalist_trials(store, definition)
    if not finalists:
        return "done"
    jobs = store.plan_final_jobs("final", list(finalists))
    if all(job.state in ("done", "failed") for job in jobs):
        winner = winning_job([job for job in store.final_jobs() if job.purpose == "final"])
        if winner is None:
            return "done"
        jobs = store.plan_final_jobs("test", [winner.trial_id])
        if all(job.state in ("done", "failed") for job in jobs):
            return "done"
    store.sweep()
    job = store.claim_final_job(worker_id)
    if job is None:
        return "wait"
    purpose: Purpose = "test" if job.purpose == "test" else "final"
    views = job_views(definition, data, purpose)
    (row,) = (row for row in store.trial_rows() if row.trial_id == job.trial_id)
    candidate = definition.full_space().resolve(row.params)
    job_id = job.job_id
    try:
        cohort, result = train(
            candidate, views, definition.seed, purpose, device, lambda: tick(job_id)
        )
    except LostJob:
        return "ran"
    except BREAKS as error:
        store.fail_final_job(worker_id, job_id, reason(error))
        return "ran"
    plain = {**result.to_plain(), **origin}
    replica = result.median_replica.index
    plain["baselines"] = {b.name: b.to_plain(replica) for b in baseline_results(views)}
    weights = checkpoint.save(cohort.checkpoint())
    store.finish_final_job(worker_id, job_id, json.dumps(plain, allow_nan=False), weights)
    return "ran"


def finalist_trials(store: StudyStore, definition: StudyDefinition) -> dict[int, Candidate]:
    """The best complete trials' candidates by trial id, best first."""
    space = definition.full_space()
    complete = [row for row in store.trial_rows() if row.state == "complete"]
    complete.sort(key=lambda row: (row.value, row.number))
    finalists: dict[int, Candidate] = {}
    for row in complete:
        candidate = space.resolve(row.params)
        if candidate not in finalists.values():
            finalists[row.trial_id] = candidate
        if len(finalists) == definition.search.finalists:
            break
    return finalists


def winning_job(jobs: list[FinalJob]) -> FinalJob | None:
    """The final job with the least score, the older trial of equals; None if all failed."""
    done = [job for job in jobs if job.result is not None]
    return min(
        done, key=lambda job: (json.loads(job.result or "")["score"], job.trial_id), default=None
    )


def job_views(definition: StudyDefinition, data: TaskData, purpose: Purpose) -> list[View]:
    """What the replicas of a final or a test see: fresh draws, or the table again."""
    search = definition.search
    is_test = purpose == "test" and definition.series.is_generated
    replicas = search.test_draws if is_test else search.final_replicas
    return [data.view(purpose, replica) for replica in range(replicas)]


def train(
    candidate: Candidate,
    views: list[View],
    study_seed: int,
    purpose: Purpose,
    device: str,
    tick: Callable[[], None],
) -> tuple[Cohort, CandidateResult]:
    """Train one candidate to the end on its views and score it."""
    cohort = Cohort([candidate], views, study_seed=study_seed, purpose=purpose, device=device)
    for rung in cohort:
        if rung is not None:
            return cohort, rung.results[0]
        tick()
    raise AssertionError("a cohort ends with its last rung")
