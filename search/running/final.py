"""The final: the best candidates trained again, the winner chosen and tested, as jobs to share."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol

from optuna.trial import TrialState

from models import checkpoint
from models.candidate import Candidate
from models.checkpoint import Checkpoint
from models.ensemble import Ensemble, any_from_plain, any_to_plain, save_any
from models.ensemble.ensemble_checkpoint import AnyCandidate
from search.contest import (
    baseline_of,
    baseline_subject,
    ensemble_members,
    ensemble_subject,
    is_baseline,
    is_ensemble,
    is_trial,
    ranked,
    winner_of_jobs,
)
from search.errors import FreerunError
from search.evaluation import CandidateResult, baseline_candidates
from search.evaluation.ensembles import Member, best_ensemble
from search.evaluation.level_share import level_share
from search.records import FinalRecord, Origin, TrialRecord
from search.running.finishing import TRAINING_ERRORS, error_message
from search.running.training import baseline_views, final_record, job_views, train, train_any
from search.series import Purpose
from search.storage.records import FinalJob, Subject
from search.storage.study_store import StudyReader, StudyStore
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View

Train = Callable[[Candidate, Sequence[View]], tuple[Checkpoint, CandidateResult]]


# A family is in the final for its own sake where its score is at most so many times the best one.
NEAR_BEST = 2.0
# And an architecture: on noise, the median of four draws errs by a factor of two, and the best of
# hundreds by more.
NEAR_ARCHITECTURE = 10.0
# On a table, the best of so many families are finalists if need be, for the ensemble.
MOST_FAMILIES = 16
# Where the search was limited in time, what follows the first few finalists may take this share of
# that time, on one core.
TIME_SHARE = 0.5
CERTAIN_FINALISTS = 3


class LostJob(FreerunError):
    """The worker was cut off for so long that another does its job by now."""


class CompleteTrial(NamedTuple):
    """A complete trial without its results; value: its score."""

    trial_id: int
    params: Mapping[str, Any]
    value: float


class FurtherJobs(Protocol):
    """Jobs that follow the winner's test, of a kind that only some studies have."""

    def plan(
        self,
        definition: StudyDefinition,
        trials: Sequence[CompleteTrial],
        winner: int,
        losses: Callable[[Sequence[int]], Mapping[int, float]],
    ) -> Iterable[tuple[str, Sequence[int]]]:
        """Return the purposes of the jobs, each with the ids of its trials.

        trials: the complete ones, the best first; winner: id of the best one in the final; losses:
        returns the training losses of trials by their ids.
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

    The finalists are the best complete trials, distinct as candidates, and the baselines. Each is
    trained again on final_replicas fresh draws with fresh initialisations and scored on validation;
    on a table an ensemble is then made of the best of them. `search.contest` says who wins. Of
    trials and ensembles only the winner is tested, beside the baselines. Further jobs come last.
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
        stages = (self._plan_finals, self._plan_ensemble, self._plan_test, self._plan_further)
        self._stages = iter(stages)
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
        purpose, subject = job.purpose, job.subject
        if purpose not in ("final", "test"):
            return self._further(job, tick), None
        if purpose == "final" and is_ensemble(subject):
            return self._ensemble()
        wanted: Purpose = "test" if purpose == "test" else "final"
        candidate = self._candidate(subject, wanted)
        views_of = baseline_views if is_baseline(subject) else job_views
        networks, result = train_any(
            candidate,
            views_of(self.definition, self.data, wanted),
            self.definition.seed,
            wanted,
            self.device,
            tick,
        )
        plain = None if is_trial(subject) else any_to_plain(candidate)
        levels: dict[str, Any] = {}
        is_asked = self._has_new_level or self._tells_levels
        if wanted == "final" and isinstance(networks, Checkpoint) and is_asked:
            share = level_share(networks, job_views(self.definition, self.data, wanted)[0])
            levels = {"level_share": share, "level_is_new": self._has_new_level}
        return final_record(result, plain, **levels), save_any(networks)

    @cached_property
    def _has_new_level(self) -> bool:
        return self.data.properties().has_new_level

    @property
    def _tells_levels(self) -> bool:
        """Whether candidates learn the levels of what validates them from the rows around it."""
        task = self.definition.task
        return task.validation == "blocks" and task.score_averaging == "mean"

    def _further(self, job: FinalJob, tick: Callable[[], None]) -> Origin:
        assert self.further is not None, job.purpose
        seed, device = self.definition.seed, self.device
        again = partial(train, study_seed=seed, purpose="final", device=device, tick=tick)
        params = self._params(job.subject)
        return self.further.run(job.purpose, params, self.definition, self.data, again)

    def _params(self, subject: Subject) -> Mapping[str, Any]:
        assert isinstance(subject, int), subject
        (trial,) = self.store.frozen_trials([subject], attributes=False)
        return trial.params

    def _candidate(self, subject: Subject, purpose: Purpose) -> AnyCandidate:
        """What a subject trains; in the test, baselines and ensembles are those of the final."""
        if is_trial(subject):
            return self.definition.full_space().resolve(self._params(subject))
        name = baseline_of(subject)
        if name is not None and purpose == "final":
            return baseline_candidates(self.data)[name]
        plain = self._finals()[subject].candidate
        assert plain is not None, subject
        return any_from_plain(plain)

    def _ensemble(self) -> tuple[FinalRecord, bytes]:
        """Make the ensemble of the best finalists from the networks that they kept."""
        jobs = {job.subject: job for job in self._with_weights()}
        finals = {subject: self._finals()[subject] for subject in jobs}
        members = []
        for subject in ensemble_members(finals):
            content = self.store.final_weights(jobs[subject].job_id)
            assert content is not None, subject
            candidate = self._candidate(subject, "final")
            assert not isinstance(candidate, Ensemble)
            networks = checkpoint.load(content)
            parameters = finals[subject].parameters
            members.append(Member(self._named(subject), candidate, networks, parameters))
        views = job_views(self.definition, self.data, "final")
        ensemble, networks_of_all, result = best_ensemble(members, views)
        return final_record(result, any_to_plain(ensemble)), save_any(networks_of_all)

    def _named(self, subject: Subject) -> str:
        if isinstance(subject, int):
            (trial,) = self.store.frozen_trials([subject], attributes=False)
            return f"trial {trial.number}"
        return str(baseline_of(subject))

    def _plan_finals(self) -> list[FinalJob]:
        trials = finalists(self.store, self.definition)
        if not trials:
            return []
        others = [baseline_subject(name) for name in baseline_candidates(self.data)]
        return self.store.plan_final_jobs("final", [*trials, *others])

    def _plan_ensemble(self) -> list[FinalJob]:
        """On a table; of a generated series it is asked which single forecaster runs freely."""
        if self.definition.series.is_generated:
            return []
        finals = {job.subject: self._finals()[job.subject] for job in self._with_weights()}
        members = ensemble_members(finals)
        if not members:
            return []
        return self.store.plan_final_jobs("final", [ensemble_subject(members)])

    def _plan_test(self) -> list[FinalJob]:
        """The winner's test, and beside it those of the baselines."""
        finals = self._finals()
        has_draws = self.definition.series.is_generated
        winner = winner_of_jobs(self.store.final_jobs(), finals, has_draws=has_draws)
        if winner is None:
            return []
        others = [own for own in finals if is_baseline(own) and own != winner]
        return self.store.plan_final_jobs("test", [winner, *others])

    def _plan_further(self) -> list[FinalJob]:
        best = next(filter(is_trial, ranked(self._finals())), None)
        if self.further is None or not isinstance(best, int):
            return []
        trials = complete_trials(self.store)
        wanted = self.further.plan(self.definition, trials, best, self._training_losses)
        return [job for purpose, ids in wanted for job in self.store.plan_final_jobs(purpose, ids)]

    def _training_losses(self, ids: Sequence[int]) -> dict[int, float]:
        """Medians over replicas; infinite where no loss is known."""
        losses = {
            trial._trial_id: TrialRecord.from_attributes(trial.user_attrs).training_loss
            for trial in self.store.frozen_trials(ids)
        }
        return {key: math.inf if loss is None else loss for key, loss in losses.items()}

    def _finals(self) -> dict[Subject, FinalRecord]:
        return {
            job.subject: FinalRecord.from_json(job.result)
            for job in self.store.final_jobs()
            if job.purpose == "final" and job.result is not None
        }

    def _with_weights(self) -> list[FinalJob]:
        """The finals that are done and kept their networks."""
        jobs = self.store.final_jobs()
        return [job for job in jobs if job.purpose == "final" and job.result and job.has_weights]


def complete_trials(study: StudyReader) -> list[CompleteTrial]:
    """Return a study's complete trials, the best first, the older of equals.

    Trials of other programs are left aside, whose values may mean anything.
    """
    own = study.own_trials()
    trials = [t for t in study.frozen_trials(attributes=False) if t._trial_id in own]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    scored = [(trial.value, trial.number, trial) for trial in complete if trial.value is not None]
    scored.sort(key=lambda ranked: ranked[:2])
    return [CompleteTrial(trial._trial_id, trial.params, value) for value, _, trial in scored]


def finalists(study: StudyReader, definition: StudyDefinition) -> list[int]:
    """Return the ids of the best complete trials with distinct candidates.

    The best of each family comes first, as far as its score is near the best one: what differs errs
    differently, so that their mean is better than any. The best of each further architecture
    follows, since the few replicas of a search tell architectures apart less well than those of the
    final, and most trials are of one. The next best candidates come last. On a table, where an
    ensemble is made, families may be more than `finalists` says, and what takes too long is left
    out.
    """
    space = definition.full_space()
    families: dict[Hashable, int] = {}
    of_architectures: list[int] = []
    others: list[int] = []
    seen: set[Hashable] = set()
    candidates: set[Candidate] = set()
    best: float | None = None
    for trial in complete_trials(study):
        candidate = space.resolve(trial.params)
        if candidate in candidates:
            continue
        candidates.add(candidate)
        best = trial.value if best is None else best
        family, architecture = candidate.family(), candidate.cohort_key()
        if family not in families and trial.value <= NEAR_BEST * best:
            families[family] = trial.trial_id
            seen.add(architecture)
        elif architecture not in seen and trial.value <= NEAR_ARCHITECTURE * best:
            seen.add(architecture)
            of_architectures.append(trial.trial_id)
        else:
            others.append(trial.trial_id)
    of_families, others = list(families.values()), [*of_architectures, *others]
    most = definition.search.finalists
    if definition.series.is_generated:
        return [*of_families, *others][:most]
    of_families = of_families[: max(most, MOST_FAMILIES)]
    return _affordable(
        [*of_families, *others[: max(most - len(of_families), 0)]], study, definition
    )


def _affordable(ids: list[int], study: StudyReader, definition: StudyDefinition) -> list[int]:
    """Leave out trials whose final would take too long, see `TIME_SHARE`."""
    minutes, search = study.budget().minutes, definition.search
    if minutes is None:
        return ids
    left, kept = TIME_SHARE * 60.0 * minutes, ids[:CERTAIN_FINALISTS]
    by_id = {trial._trial_id: trial for trial in study.frozen_trials(ids)}
    for trial_id in ids[CERTAIN_FINALISTS:]:
        record = TrialRecord.from_attributes(by_id[trial_id].user_attrs)
        seconds = (record.seconds or 0.0) / search.replicas * search.final_replicas
        if seconds <= left:
            left -= seconds
            kept.append(trial_id)
    return kept
