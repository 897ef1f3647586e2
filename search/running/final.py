"""The final: the best candidates trained again, the winner chosen and tested, as jobs to share."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from models import checkpoint
from models.candidate import Candidate
from models.diagnostics.scores import geometric_mean
from search.errors import FreerunError
from search.evaluation import CandidateResult, Cohort, baseline_results
from search.running.breaking import BREAKS, reason
from search.running.explaining import explain, explaining_jobs
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
    the least geometric mean over them is the winner, and only it is tested. A job that breaks has
    failed, with its message. `tick` is called with the job's id between optimiser steps, and raises
    LostJob where the job is another's by now. origin: what is stored of who does the job.
    """
    if not any(_unfinished(jobs) for jobs in _stages(store, definition)):
        return "done"
    job = store.claim_final_job(worker_id)
    if job is None:
        return "wait"
    (row,) = (row for row in store.trial_rows() if row.trial_id == job.trial_id)
    job_id = job.job_id
    try:
        plain, weights = _result(job, row.params, definition, data, device, lambda: tick(job_id))
    except LostJob:
        return "ran"
    except BREAKS as error:
        store.fail_final_job(worker_id, job_id, reason(error))
        return "ran"
    text = json.dumps({**plain, **origin}, allow_nan=False)
    store.finish_final_job(worker_id, job_id, text, weights)
    return "ran"


def _result(
    job: FinalJob,
    params: Mapping[str, Any],
    definition: StudyDefinition,
    data: TaskData,
    device: str,
    tick: Callable[[], None],
) -> tuple[dict[str, Any], bytes | None]:
    """Do a job; return its result as JSON values, and the networks of a final or a test."""
    if job.purpose not in ("final", "test"):

        def train_anew(
            candidate: Candidate, views: list[View]
        ) -> tuple[checkpoint.Checkpoint, CandidateResult]:
            cohort, result = train(candidate, views, definition.seed, "final", device, tick)
            return cohort.checkpoint(), result

        return explain(job, params, definition, data, train_anew), None
    purpose: Purpose = "test" if job.purpose == "test" else "final"
    views = job_views(definition, data, purpose)
    candidate = definition.full_space().resolve(params)
    cohort, result = train(candidate, views, definition.seed, purpose, device, tick)
    plain = result.to_plain()
    replica = result.median_replica.index
    plain["baselines"] = {b.name: b.to_plain(replica) for b in baseline_results(views)}
    return plain, checkpoint.save(cohort.checkpoint())


def _stages(store: StudyStore, definition: StudyDefinition) -> Iterator[list[FinalJob]]:
    """The jobs of the final, of the test, and of what explains the study; each once it is due.

    A stage is due when the jobs of the one before have ended.
    """
    yield _planned(store, [("final", list(finalist_trials(store, definition)))])
    winner = winning_job([job for job in store.final_jobs() if job.purpose == "final"])
    if winner is None:
        return
    yield _planned(store, [("test", [winner.trial_id])])
    rows = store.trial_rows() if definition.presets else []
    yield _planned(store, explaining_jobs(definition, rows, winner.trial_id))


def _planned(store: StudyStore, wanted: Iterable[tuple[str, list[int]]]) -> list[FinalJob]:
    """Jobs by purpose and trials, as they are; those that are missing are planned first."""
    known = {(job.purpose, job.trial_id): job for job in store.final_jobs()}
    jobs: list[FinalJob] = []
    for purpose, trial_ids in wanted:
        found = [known[purpose, i] for i in trial_ids if (purpose, i) in known]
        # Planning writes, and every worker looks here before each of its jobs.
        jobs += found if len(found) == len(trial_ids) else store.plan_final_jobs(purpose, trial_ids)
    return jobs


def _unfinished(jobs: list[FinalJob]) -> bool:
    return any(job.state not in ("done", "failed") for job in jobs)


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
    """The final job with the least geometric mean, the older of equals; None if all failed."""
    done = [job for job in jobs if job.result is not None]

    def rank(job: FinalJob) -> tuple[float, int]:
        return geometric_mean(json.loads(job.result or "")["replica_scores"]), job.trial_id

    return min(done, key=rank, default=None)


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
