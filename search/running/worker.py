"""One worker: claims cohorts of trials, trains and tells them, until the budget is used up."""

import os
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from time import monotonic, sleep
from typing import Any

import numpy as np
import torch

from models.candidate import Candidate
from search.errors import FreerunError
from search.evaluation import CandidateResult, Cohort, trial_attributes
from search.running.final import run_final_job
from search.running.halving import Halving
from search.running.proposer import Proposer, next_preset
from search.storage import (
    Artifact,
    Budget,
    ClaimedTrial,
    FinishedTrial,
    Proposal,
    Replica,
    Report,
    StudyStore,
)
from search.study.attainable import attainable_nmse
from search.study.definition import StudyDefinition
from search.study.space import PRESET
from search.study.task_data import TaskData

# A worker beats far more often than a lease lasts, so that a long optimiser step loses nothing.
BEAT_SECONDS = 2.0
# How long a worker rests when others still run what it waits for.
REST_SECONDS = 0.5

ArtifactMaker = Callable[[CandidateResult, str], Sequence[Artifact]]


class StopWork(FreerunError):
    """The worker was asked to end."""


class OutOfTime(FreerunError):
    """The study's running time is used up: the search ends, the final follows."""


@dataclass
class Worker:
    """Works on a study until nothing is left, or until it is told to stop.

    `make_artifacts` draws what is kept of a complete trial (given its result and name);
    `stop_requested` is asked between optimiser steps, as are the study's own stop flag and time.
    """

    store: StudyStore
    definition: StudyDefinition
    data: TaskData
    make_artifacts: ArtifactMaker
    stop_requested: Callable[[], bool]
    device: str = "cpu"
    worker_id: int = field(init=False)

    def __post_init__(self) -> None:
        self.space = self.definition.full_space()
        self.halving = Halving()
        self.machine = machine(self.device)
        self.last_beat = -BEAT_SECONDS
        self.deadline: float | None = None

    def run(self) -> None:
        """Search, then take part in the final; give back what is running when told to stop."""
        self.worker_id = self.store.register_worker(
            host=socket.gethostname(), pid=os.getpid(), machine=self.machine
        )
        self.proposer = Proposer(self.definition, sampler_seed=self._sampler_seed())
        replicas = range(self.definition.search.replicas)
        self.views = [self.data.view("search", replica) for replica in replicas]
        try:
            self._search()
            self._final()
        except StopWork:
            pass
        finally:
            self.store.leave(self.worker_id)

    def _sampler_seed(self) -> int:
        return int(
            np.random.SeedSequence([self.definition.seed, self.worker_id]).generate_state(1)[0]
        )

    def _search(self) -> None:
        while True:
            self._beat()
            self.store.sweep()
            trials = self._claim()
            if trials:
                self._run_cohort(trials)
                continue
            counts = self.store.counts()
            # What others run may be given back: then it is run here.
            if not counts.running and not (counts.waiting and self._has_time()):
                return
            self._rest()

    def _claim(self) -> list[ClaimedTrial]:
        """Trials that were given back come first, then new ones within the budget."""
        if not self._has_time():
            return []
        waiting = self.store.claim_waiting(self.worker_id, self.definition.search.cohort_members)
        if waiting:
            return waiting
        while not (budget := self.store.budget()).exhausted:
            finished = self.store.finished_trials()
            self.proposer.learn(finished)
            self.halving.learn(finished)
            claimed = self.store.claim_new(self.worker_id, self._propose(budget))
            if claimed:
                return claimed
            # Others took the rest of that quota meanwhile; another may be left.
            self.proposer.forget()
        return []

    def _propose(self, budget: Budget) -> list[Proposal]:
        at_most, preset = budget.trials_left, next_preset(budget.quotas)
        if preset is not None:
            left = budget.quotas[preset].left
            at_most = left if at_most is None else min(at_most, left)
        seconds_left = None if self.deadline is None else self.deadline - monotonic()
        return self.proposer.propose(at_most, seconds_left, preset)

    def _run_cohort(self, trials: Sequence[ClaimedTrial]) -> None:
        candidates = [self.space.resolve(trial.params) for trial in trials]
        began = monotonic()
        try:
            self._train(trials, candidates)
            self.proposer.cost.learn(candidates, monotonic() - began)
        except OutOfTime:
            self.store.give_back(self.worker_id, [trial.trial_id for trial in trials])
        except (RuntimeError, MemoryError) as error:
            # torch says that memory ran out, too, by a RuntimeError.
            self._split(trials, error)
        finally:
            self.proposer.forget()

    def _split(self, trials: Sequence[ClaimedTrial], error: BaseException) -> None:
        """Train what broke one by one; a candidate that breaks alone has failed."""
        held = self.store.beat(self.worker_id).held_trials
        for trial in trials:
            if trial.trial_id not in held:
                continue
            if len(trials) == 1:
                failed = FinishedTrial(trial.trial_id, "failed", message=str(error))
                self.store.finish(self.worker_id, [failed])
            else:
                self._run_cohort([trial])

    def _train(self, trials: Sequence[ClaimedTrial], candidates: Sequence[Candidate]) -> None:
        search = self.definition.search
        cohort = Cohort(
            candidates,
            self.views,
            study_seed=self.definition.seed,
            purpose="search",
            rung_fractions=search.rung_fractions,
            device=self.device,
        )
        networks = len(cohort.runs)
        preset = trials[0].params.get(PRESET)  # of all of them, as it is part of the cohort key
        running = set(range(len(trials)))
        position = {trial.trial_id: i for i, trial in enumerate(trials)}
        for rung in cohort:
            if rung is None:
                lost = self._tick({trials[i].trial_id for i in running})
                gone = {position[trial_id] for trial_id in lost}
            else:
                scores = {i: result.score for i, result in rung.results.items() if i in running}
                told = {trials[i].trial_id: score for i, score in scores.items()}
                reports = [Report(i, rung.rung, score) for i, score in told.items()]
                gone = {position[i] for i in self.store.report(self.worker_id, reports)}
                if rung.is_last:
                    ended = dict.fromkeys(scores, "complete")
                elif search.pruner == "halving":
                    losers = self.halving.losers(rung.rung, scores, preset)
                    ended = dict.fromkeys(losers, "pruned")
                else:
                    ended = {}
                finished = [
                    self._finished(trials[i], state, rung.results[i], networks)
                    for i, state in ended.items()
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
        self, trial: ClaimedTrial, state: str, result: CandidateResult, networks: int
    ) -> FinishedTrial:
        is_complete = state == "complete"
        attributes: dict[str, Any] = {
            **trial_attributes(result),
            "cohort_networks": networks,
            "worker": f"{socket.gethostname()}:{os.getpid()}",
            "machine": shown_machine(self.machine),
        }
        if is_complete:
            context_steps = self.space.resolve(trial.params).architecture.context_steps
            limit = attainable_nmse(self.definition, context_steps)
            attributes |= {} if limit is None else {"limit": limit}
        return FinishedTrial(
            trial.trial_id,
            "complete" if is_complete else "pruned",
            value=result.score if is_complete else None,
            user_attributes=attributes,
            artifacts=self.make_artifacts(result, f"trial {trial.number}") if is_complete else (),
            curve=result.curve.astype(np.float32).tobytes() if is_complete else None,
            replicas=[
                Replica(r.index, r.scores.nmse, r.training_loss, r.restart) for r in result.replicas
            ],
        )

    def _final(self) -> None:
        """Do final jobs until all are done; then one worker does the winner's test."""
        while not self.store.budget().stop_requested:
            job = run_final_job(
                self.store, self.definition, self.data, self.worker_id, self.device, self._tick_job
            )
            if job == "done":
                return
            if job == "wait":
                self._rest()

    def _tick_job(self) -> None:
        self._tick(set(), for_search=False)

    def _tick(self, mine: set[int], *, for_search: bool = True) -> set[int]:
        """Between two optimiser steps: stop if asked to, beat if due; which trials were lost."""
        if self.stop_requested():
            raise StopWork
        if for_search and not self._has_time():
            raise OutOfTime
        if monotonic() - self.last_beat < BEAT_SECONDS:
            return set()
        self._beat()
        return mine - self.held

    def _has_time(self) -> bool:
        return self.deadline is None or monotonic() < self.deadline

    def _beat(self) -> None:
        """Prolong the leases and learn the deadline. Raises StopWork where it was asked to stop."""
        beat = self.store.beat(self.worker_id)
        self.last_beat = monotonic()
        self.held = beat.held_trials
        if beat.stop_requested or self.stop_requested():
            raise StopWork
        left = beat.seconds_left
        self.deadline = None if left is None else self.last_beat + left

    def _rest(self) -> None:
        sleep(REST_SECONDS)
        self._tick(set(), for_search=False)


def machine(device: str) -> dict[str, Any]:
    """What the exactness of a score depends on: processor type and versions."""
    return {
        "processor": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": device,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "freerun": version("freerun"),
    }


def shown_machine(machine: Mapping[str, Any]) -> str:
    """A type of machine in a line: processor, device, torch."""
    processor = f"{machine['processor']} {machine['cpu_capability']}"
    return f"{processor}, {machine['device']}, torch {machine['torch']}"
