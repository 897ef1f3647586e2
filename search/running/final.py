"""The final: the best candidates trained again, the winner chosen and tested, as jobs to share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from optuna.trial import TrialState

from models import checkpoint
from models.candidate import Candidate
from models.checkpoint import Checkpoint
from search.errors import FreerunError
from search.evaluation import CandidateResult, Cohort, baseline_results
from search.records import FinalRecord, Origin, ranked
from search.running.finishing import TRAINING_ERRORS, error_message
from search.series import Purpose
from search.storage.records import FinalJob
from search.storage.study_store import StudyReader, StudyStore
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View

Train = Callable[[Candidate, Sequence[View]], tuple[Checkpoint, CandidateResult]]


class LostJob(FreerunError):
    """The worker was cut off for so long that another does its job by now."""


class CompleteTrial(NamedTuple):
    """A complete trial without its results."""

    trial_id: int
    params: Mapping[str, Any]


class FurtherJobs(Protocol):
    """Jobs that follow the winner's test, of a kind that only some studies have."""

    def plan(
        self, definition: StudyDefinition, trials: Sequence[CompleteTrial], winner: int
    ) -> Iterable[tuple[str, Sequence[int]]]:
        """Return the purposes of the jobs, each with the ids of its trials.

        trials: the complete ones, the best first; winner: id of the one that won.
        """

    def run(
        self,
        purpose: str,
        params: Mapping[str, Any],
        definition: StudyDefinition,
        data: TaskData,
        train: Train,
    ) -> Origin:
        """Do a job for the trial of some parameters; return its result, which is stored as JSON.

        train: trains a candidate on views as the final does.
        """


class Final:
    """The jobs that follow a search, as one worker plans and does them.

    The finalists are the best complete trials, distinct as candidates. Each is trained again on
    final_replicas fresh draws with fresh initialisations and scored on validation. The one with the
    least geometric mean over them is the winner, and only it is tested. Further jobs come last.
    """

    def __init__(
        self,
        store: StudyStore,
        definition: StudyDefinition,
        data: TaskData,
        device: str = "cpu",
        further: FurtherJobs | None = None,
    ) -> None:
        self.store, self.definition, self.data = store, definition, data
        self.device, self.further = device, further
        self._stages = iter((self._plan_finals, self._plan_test, self._plan_further))
        self._planned: set[int] = set()

    def is_over(self) -> bool:
        """Plan the next stage once all jobs of the one before have ended; say whether none is left.

        Every worker plans: a job that another has planned is not planned again.
        """
        while True:
            states = self.store.final_states()
            if any(states[job_id] not in ("done", "failed") for job_id in self._planned):
                return False
            plan = next(self._stages, None)
            if plan is None:
                return True
            self._planned = {job.job_id for job in plan()}

    def run_job(self, worker_id: int, tick: Callable[[int], None], origin: Origin) -> bool:
        """Claim and do one job; False where none waits.

        A job whose training raises one of `TRAINING_ERRORS` has failed, with its message. tick: is
        called with the job's id between optimiser steps, and raises LostJob where the job is
        another worker's by now. origin: who does the job.
        """
        job = self.store.claim_final_job(worker_id)
        if job is None:
            return False
        try:
            record, weights = self._result(job, lambda: tick(job.job_id))
        except LostJob:
            return True
        except TRAINING_ERRORS as error:
            self.store.fail_final_job(worker_id, job.job_id, error_message(error))
            return True
        text = record.model_copy(update=origin.model_dump()).to_json()
        self.store.finish_final_job(worker_id, job.job_id, text, weights)
        return True

    def _result(self, job: FinalJob, tick: Callable[[], None]) -> tuple[Origin, bytes | None]:
        """Do a job; return its result, and the networks of a final or a test."""
        (trial,) = self.store.frozen_trials([job.trial_id], attributes=False)
        seed, device = self.definition.seed, self.device
        if job.purpose not in ("final", "test"):
            assert self.further is not None, job.purpose
            again = partial(train, study_seed=seed, purpose="final", device=device, tick=tick)
            record = self.further.run(job.purpose, trial.params, self.definition, self.data, again)
            return record, None
        purpose: Purpose = "test" if job.purpose == "test" else "final"
        views = job_views(self.definition, self.data, purpose)
        candidate = self.definition.full_space().resolve(trial.params)
        networks, result = train(candidate, views, seed, purpose, device, tick)
        return final_record(result, views), checkpoint.save(networks)

    def _plan_finals(self) -> list[FinalJob]:
        return self.store.plan_final_jobs("final", finalists(self.store, self.definition))

    def _plan_test(self) -> list[FinalJob]:
        winner = self._winner()
        return [] if winner is None else self.store.plan_final_jobs("test", [winner])

    def _plan_further(self) -> list[FinalJob]:
        winner = self._winner()
        if winner is None or self.further is None:
            return []
        wanted = self.further.plan(self.definition, complete_trials(self.store), winner)
        return [job for purpose, ids in wanted for job in self.store.plan_final_jobs(purpose, ids)]

    def _winner(self) -> int | None:
        finals = {
            job.trial_id: FinalRecord.from_json(job.result)
            for job in self.store.final_jobs()
            if job.purpose == "final" and job.result is not None
        }
        return next(iter(ranked(finals)), None)


def complete_trials(study: StudyReader) -> list[CompleteTrial]:
    """Return a study's complete trials, the best first, the older of equals."""
    trials = study.frozen_trials(attributes=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    complete.sort(key=lambda trial: (trial.value, trial.number))
    return [CompleteTrial(trial._trial_id, trial.params) for trial in complete]


def finalists(study: StudyReader, definition: StudyDefinition) -> list[int]:
    """Return the ids of the best complete trials with distinct candidates, the best first."""
    space = definition.full_space()
    candidates: list[Candidate] = []
    ids: list[int] = []
    for trial in complete_trials(study):
        candidate = space.resolve(trial.params)
        if candidate not in candidates:
            candidates.append(candidate)
            ids.append(trial.trial_id)
        if len(ids) == definition.search.finalists:
            break
    return ids


def final_record(result: CandidateResult, views: Sequence[View]) -> FinalRecord:
    """Return what a final or a test found on its views, with the baselines on the same views."""
    replica = result.record.example.replica
    baselines = {each.name: each.record(replica) for each in baseline_results(views)}
    return FinalRecord(**dict(result.record), baselines=baselines)


def job_views(definition: StudyDefinition, data: TaskData, purpose: Purpose) -> list[View]:
    """Return what the replicas of a final or a test see: fresh draws, or the table again."""
    search = definition.search
    is_test = purpose == "test" and definition.series.is_generated
    replicas = search.test_draws if is_test else search.final_replicas
    return [data.view(purpose, replica) for replica in range(replicas)]


def train(
    candidate: Candidate,
    views: Sequence[View],
    study_seed: int,
    purpose: Purpose,
    device: str,
    tick: Callable[[], None],
) -> tuple[Checkpoint, CandidateResult]:
    """Train one candidate to the end on its views and score it."""
    cohort = Cohort([candidate], views, study_seed=study_seed, purpose=purpose, device=device)
    for rung in cohort:
        if rung is not None:
            return cohort.checkpoint(), rung.results[0]
        tick()
    raise AssertionError("a cohort ends with its last rung")
