"""One worker: claims, trains and finishes cohorts of trials until the budget is spent."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep

import numpy as np

from models.candidate import Candidate
from search.errors import FreerunError, UsageError
from search.evaluation import CandidateResult, Cohort
from search.running.final import Final, FurtherJobs, LostJob
from search.running.finishing import (
    TRAINING_ERRORS,
    error_message,
    failed_trial,
    finished_trial,
    register_here,
)
from search.running.halving import Halving
from search.running.pictures import ArtifactMaker, Pictures
from search.running.proposer import Proposed, Proposer, next_preset, preset_of
from search.storage.records import (
    Artifact,
    Beat,
    Budget,
    ClaimedTrial,
    FinishedTrial,
    Report,
)
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from search.study.limit import attainable_nmse
from search.study.task_data import TaskData

# Heartbeats come far more often than a lease ends, so that a long optimiser step loses nothing; and
# each looks for the dead, so that what they held waits soon after their lease.
BEAT_SECONDS = 2.0
# How long a worker that waits for others rests between two looks, each of one cheap statement.
REST_SECONDS = 0.5


class StopWork(FreerunError):
    """The worker was asked to end."""


class OutOfTime(FreerunError):
    """The study's running time is used up: the search ends, the final follows."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A trial that this worker holds, and the candidate that its parameters stand for."""

    trial: ClaimedTrial
    candidate: Candidate

    @property
    def trial_id(self) -> int:
        return self.trial.trial_id


@dataclass
class Worker:
    """Works on a study until nothing is left, or until it is asked to stop.

    make_artifacts: returns the files of a complete trial, given its result and name; it is called
    for those that `Pictures` chooses.
    stop_requested: is asked between optimiser steps, like the study's own stop flag and time.
    further_jobs: jobs that follow the final.
    """

    store: StudyStore
    definition: StudyDefinition
    data: TaskData
    make_artifacts: ArtifactMaker
    stop_requested: Callable[[], bool]
    device: str = "cpu"
    further_jobs: FurtherJobs | None = None
    worker_id: int = field(init=False)

    def __post_init__(self) -> None:
        self.space = self.definition.full_space()
        self.halving = Halving()
        keeps_files = self.definition.search.artifact_kib_per_trial > 0
        self.pictures = Pictures(self.make_artifacts if keeps_files else _no_artifacts)
        self.last_beat = -BEAT_SECONDS
        self.deadline: float | None = None

    def run(self) -> None:
        """Search, then take part in the final; give back what is running when asked to stop."""
        plugins = self.definition.plugins
        self.worker_id, self.origin = register_here(self.store, self.device, plugins)
        try:
            seeds = np.random.SeedSequence([self.definition.seed, self.worker_id])
            seed = int(seeds.generate_state(1)[0])
            self.proposer = Proposer(self.definition, seed, self.device)
            replicas = range(self.definition.search.replicas)
            self.views = [self.data.view("search", replica) for replica in replicas]
            self.search()
            self.final()
        except StopWork:
            pass
        finally:
            self.store.leave(self.worker_id)

    def cohort(self, candidates: Sequence[Candidate]) -> Cohort:
        """The training of candidates of one cohort key."""
        return Cohort(
            candidates,
            self.views,
            study_seed=self.definition.seed,
            purpose="search",
            rung_fractions=self.definition.search.rung_fractions,
            rung_replicas=self.definition.search.rung_replicas,
            device=self.device,
        )

    def search(self) -> None:
        """Run trials until the budget is used up and nobody runs one any more."""
        while True:
            self._beat()
            began = monotonic()
            trials = self._claim()
            if trials:
                self._run_cohort(trials)
                self.proposer.charge(trials[0].trial.cohort_key, monotonic() - began)
            elif not self._wait_for_trials():
                return

    def _wait_for_trials(self) -> bool:
        """Rest until there may be trials to claim; False once none can come any more.

        What others run may be given back, by themselves or once they are dead: then it is run here.
        """
        while True:
            # Before the look at what waits, so that nothing is missed that is given back after it.
            held = self.store.held_trials()
            trials = self.store.open_trials()
            if trials.waiting and self._has_time():
                return True
            if not trials.held:
                return False
            while self.store.held_trials() == held:
                beat = self._rest()
                if beat is not None and not beat.budget.exhausted:
                    return True

    def _claim(self) -> list[Claimed]:
        """Trials that were given back come first, then new ones within the budget."""
        while self._has_time():
            waiting = self._claim_waiting()
            if waiting:
                return waiting
            budget = self.store.budget()
            if budget.exhausted:
                break
            self._learn()
            asked_for = self._claim_enqueued()
            if asked_for:
                return asked_for
            proposed = self._propose(budget)
            claimed = self.store.claim_new(self.worker_id, proposed)
            if claimed:
                # By parameters: a claim whose first answer was lost may have lost some of them.
                return [
                    Claimed(trial, next(p.candidate for p in proposed if p.params == trial.params))
                    for trial in claimed
                ]
            # Others took the rest of that quota meanwhile, or trials were given back.
            self.proposer.forget()
        return []

    def _learn(self) -> None:
        """Take in what finished since the last time."""
        scored = self.store.scored_trials()
        # A trial of another program has no cohort, and is compared with none.
        self.pictures.learn(trial for trial in scored if trial.cohort_key is not None)
        self.proposer.learn(scored, lambda ids: self.store.frozen_trials(ids, attributes=False))
        for trial in scored:
            if trial.cohort_key is not None:
                self.halving.learn([trial], self._group(trial.cohort_key))

    def _group(self, cohort_key: str) -> str | None:
        """What trials are compared within before they are complete: a preset, or a closed form.

        Closed forms report after a part of their replicas, networks after a part of their training;
        and the best of each form is wanted, whatever others reach.
        """
        if self.definition.presets:
            return preset_of(cohort_key)
        name = self.proposer.families.of_key(cohort_key)
        if name is None or self.proposer.families.all[name].is_trained:
            return None
        return name

    def _claim_waiting(self) -> list[Claimed]:
        """Trials that were given back, no more than a cohort may have."""
        found = self.store.claim_waiting(self.worker_id, self.proposer.cohort_members)
        waiting = [Claimed(trial, self.space.resolve(trial.params)) for trial in found]
        size = self.proposer.cohort_size([claimed.candidate for claimed in waiting])
        if size < len(waiting):
            # Those of several cohorts wait together where these had a key in common.
            others = [trial.trial_id for trial in waiting[size:]]
            self.store.give_back(self.worker_id, others)
        return waiting[:size]

    def _claim_enqueued(self) -> list[Claimed]:
        """A trial that another program enqueued; one that can't be run fails, with the reason."""
        for trial in self.store.enqueued():
            try:
                proposed = self.proposer.completed(trial.params)
            except UsageError as error:
                self.store.refuse_enqueued(trial.trial_id, str(error))
                continue
            claimed = self.store.claim_enqueued(self.worker_id, trial.trial_id, proposed)
            if claimed:
                return [Claimed(own, proposed.candidate) for own in claimed]
            # Another worker was faster, or the quota of its preset is used up.
            self.proposer.forget()
        return []

    def _propose(self, budget: Budget) -> list[Proposed]:
        at_most, preset = budget.trials_left, next_preset(budget.quotas)
        if preset is not None:
            left = budget.quotas[preset].left
            at_most = left if at_most is None else min(at_most, left)
        seconds_left = None if self.deadline is None else self.deadline - monotonic()
        return self.proposer.propose(at_most, seconds_left, preset)

    def _run_cohort(self, trials: Sequence[Claimed]) -> None:
        """Train trials as one cohort; what breaks is trained again in halves, and fails alone."""
        parts = [list(trials)]
        try:
            while parts:
                part = parts.pop()
                broken = self._broken(part)
                if broken is None:
                    continue
                # The memory of what broke is free for its halves.
                gc.collect()
                held = self._beat().held_trials
                left = [trial for trial in part if trial.trial_id in held]
                if len(part) == 1:
                    failed = [failed_trial(t.trial_id, broken, self.origin) for t in left]
                    self.store.finish(self.worker_id, failed)
                else:
                    middle = (len(left) + 1) // 2
                    parts += [half for half in (left[middle:], left[:middle]) if half]
        except OutOfTime:
            self.store.give_back(self.worker_id, [trial.trial_id for trial in trials])
        finally:
            self.proposer.forget()

    def _broken(self, trials: Sequence[Claimed]) -> str | None:
        """Train trials as one cohort; return what broke, None where nothing did."""
        candidates = [claimed.candidate for claimed in trials]
        began = monotonic()
        try:
            self._train(trials, self.cohort(candidates))
        except TRAINING_ERRORS as error:
            return error_message(error)
        self.proposer.cost.learn(candidates, monotonic() - began)
        return None

    def _train(self, trials: Sequence[Claimed], cohort: Cohort) -> None:
        networks = len(cohort.runs)
        group = self._group(trials[0].trial.cohort_key)
        running = set(range(len(trials)))
        for rung in cohort:
            if rung is None:
                beat = self._tick(for_search=True)
                held = {trials[i].trial_id for i in running} if beat is None else beat.held_trials
                gone = {i for i in running if trials[i].trial_id not in held}
            else:
                scores = {i: result.score for i, result in rung.results.items() if i in running}
                reports = [Report(trials[i].trial_id, rung.rung, s) for i, s in scores.items()]
                lost = self.store.report(self.worker_id, reports)
                gone = {i for i in running if trials[i].trial_id in lost}
                if rung.is_last:
                    ended = list(scores)
                elif self.definition.search.pruner == "halving":
                    ended = self.halving.losers(rung.rung, scores, group)
                else:
                    ended = []
                finished = [
                    self._finished(trials[i], rung.is_last, rung.results[i], networks)
                    for i in ended
                    if i not in gone
                ]
                if finished:
                    self.store.finish(self.worker_id, finished)
                gone |= set(ended)
            running -= gone
            if not running:
                return
            if gone:
                cohort.drop(sorted(gone))

    def _finished(
        self, claimed: Claimed, is_complete: bool, result: CandidateResult, networks: int
    ) -> FinishedTrial:
        trial_id = claimed.trial_id
        if not is_complete:
            return finished_trial(trial_id, "pruned", result, self.origin, networks)
        group = self._group(claimed.trial.cohort_key)
        pictures = self.pictures.of(result, f"trial {claimed.trial.number}", group)
        limit = attainable_nmse(self.definition, claimed.candidate.architecture.context_steps)
        return finished_trial(trial_id, "complete", result, self.origin, networks, pictures, limit)

    def final(self) -> None:
        """Do the jobs of the final and those that follow it, until all of them have ended."""
        final = Final(self.store, self.definition, self.data, self.device, self.further_jobs)
        while not self.store.budget().stop_requested:
            # Before all else, so that no job ends unseen between the looks.
            states = self.store.final_states()
            if final.is_over():
                return
            if not final.run_job(self.worker_id, self._tick_job, self.origin):
                # Nothing can be claimed before another job has ended, or was given back.
                while self.store.final_states() == states:
                    self._rest()

    def _tick_job(self, job_id: int) -> None:
        beat = self._tick(for_search=False)
        if beat is not None and job_id not in beat.held_jobs:
            raise LostJob

    def _tick(self, *, for_search: bool) -> Beat | None:
        """Between two optimiser steps: stop if asked to, beat if due."""
        if self.stop_requested():
            raise StopWork
        if for_search and not self._has_time():
            raise OutOfTime
        return self._beat() if monotonic() - self.last_beat >= BEAT_SECONDS else None

    def _has_time(self) -> bool:
        return self.deadline is None or monotonic() < self.deadline

    def _beat(self) -> Beat:
        """Prolong the leases, learn the deadline, and take what dead workers hold.

        Raises StopWork where it was asked to stop.
        """
        beat = self.store.beat(self.worker_id)
        self.last_beat = monotonic()
        if beat.to_sweep:
            self.store.sweep()
        if beat.budget.stop_requested or self.stop_requested():
            raise StopWork
        left = beat.budget.seconds_left
        self.deadline = None if left is None else self.last_beat + left
        return beat

    def _rest(self) -> Beat | None:
        sleep(REST_SECONDS)
        return self._tick(for_search=False)


def _no_artifacts(_result: CandidateResult, _name: str) -> Sequence[Artifact]:
    """The files of a trial in a study that keeps none."""
    return ()
