"""Makes a study of thousands of trials in a minute or two, to look at: nothing in it was trained.

    python benchmarks/big_study.py --storage sqlite:///big.db --trials 10000

Its candidates are random ones of studies/sine.toml's space; what their free runs do is invented, by
a rule on a few of their parameters, and scored and drawn as a worker does. Half of the trials that
reach a rung are pruned there; some failed, some still run, and the final is done.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Literal

import numpy as np
import optuna
import torch
from optuna.trial import TrialState

from models import checkpoint
from models.candidate import Candidate
from models.diagnostics.scores import score
from models.diagnostics.verdict import verdict
from models.network.forecaster import Forecaster
from search.analysis.study_results import winner_of
from search.errors import UserError
from search.evaluation import (
    CandidateResult,
    ReplicaResult,
    baseline_candidates,
    baseline_record,
    baseline_results,
)
from search.plotting.artifacts import trial_artifacts
from search.records import Example, Origin
from search.running.finishing import finished_trial
from search.running.halving import Halving
from search.running.proposer import cohort_key
from search.running.training import final_record
from search.series import FloatArray
from search.storage.opening import open_storage
from search.storage.records import Artifact, ClaimedTrial, FinishedTrial, Proposal, Report
from search.storage.studies import Storage
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from search.study.limit import attainable_nmse
from search.study.space import Space
from search.study.study_file import read_study_file
from search.study.task_data import TaskData, View

STUDY_FILE = Path(__file__).parents[1] / "studies" / "sine.toml"
COHORT, WORKERS, STILL_RUNNING = 20, 8, 32
FAILED_SHARE = 0.01
MESSAGES = (
    "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory",
    "lost 3 times: each worker that trained it died",
)
# Of each kind of free run there are so many to choose from.
VARIANTS = 8
FinishedState = Literal["complete", "pruned"]
KINDS = ("tracks", "phase drift", "wrong frequency", "decays", "flat", "copies", "diverges")


@dataclass(frozen=True)
class Kept:
    """An invented result with what a worker keeps of it; drawn once, told of many trials."""

    result: CandidateResult
    artifacts: Sequence[Artifact]


def make_big_study(
    storage: Storage, name: str, trials: int, seed: int = 0, running: int = STILL_RUNNING
) -> StudyStore:
    """Make the study and return it; running: how many trials have not ended."""
    definition, _ = read_study_file(STUDY_FILE)
    search = definition.search.model_copy(update={"trials": trials, "minutes": None})
    definition = definition.model_copy(update={"name": name, "search": search, "seed": seed})
    store = storage.create_study(
        name,
        definition=definition.model_dump_json(),
        definition_hash=definition.identity_hash,
        artifact_bytes_per_trial=search.artifact_kib_per_trial * 2**10,
        artifact_bytes_per_study=search.artifact_mib * 2**20,
    )
    store.set_budget(trials=trials, minutes=None)
    _Maker(store, definition, seed).make(trials, running)
    return store


class _Maker:
    def __init__(self, store: StudyStore, definition: StudyDefinition, seed: int) -> None:
        self.store, self.definition = store, definition
        self.space = definition.full_space()
        self.data = TaskData(definition, None)
        self.dice = random.Random(seed)
        replicas = range(definition.search.replicas)
        self.views = [self.data.view("search", replica) for replica in replicas]
        self.bank = {kind: self._variants(kind) for kind in KINDS}
        self.halving = Halving()
        self.finished = 0

    def make(self, trials: int, running: int) -> None:
        """Tell all trials but the last, which run on, then the final."""
        workers = [
            self.store.register_worker(host="here", pid=1000 + i, machine=_MACHINE)
            for i in range(WORKERS)
        ]
        ended = max(COHORT, trials - running)
        sampled = sampled_params(self.space, trials, self.dice)
        for start in range(0, ended, COHORT):
            worker = workers[(start // COHORT) % WORKERS]
            self._run(worker, _taken(sampled, min(COHORT, ended - start)))
        self._final(workers[0])
        for worker in workers[1:-1]:
            self.store.leave(worker)
        self._claim(workers[-1], list(sampled))

    def _claim(self, worker: int, params: Sequence[Mapping[str, object]]) -> list[ClaimedTrial]:
        proposals = [
            Proposal(
                dict(p),  # type: ignore[arg-type]
                self.space.distributions(p),  # type: ignore[arg-type]
                cohort_key(self.space.resolve(p)),  # type: ignore[arg-type]
            )
            for p in params
        ]
        return self.store.claim_new(worker, proposals) if proposals else []

    def _run(self, worker: int, params: Sequence[Mapping[str, object]]) -> None:
        running = {trial.trial_id: trial for trial in self._claim(worker, params)}
        broken = [i for i in running if self.dice.random() < FAILED_SHARE]
        message = self.dice.choice(MESSAGES)
        told = [FinishedTrial(i, "failed", user_attributes={"message": message}) for i in broken]
        running = {i: trial for i, trial in running.items() if i not in broken}
        ends = {i: self._choose(trial) for i, trial in running.items()}
        rungs = self.definition.search.rungs
        for rung in range(1, rungs + 1):
            # What is not trained to its end is worse than it could be.
            scores = {i: ends[i].result.score * (1 + 0.4 * (rungs - rung)) for i in running}
            self.store.report(worker, [Report(i, rung, scores[i]) for i in running])
            gone = self.halving.losers(rung, scores) if rung < rungs else list(running)
            self.halving.values[None, rung] += scores.values()
            state: FinishedState = "complete" if rung == rungs else "pruned"
            told += [self._finished(running.pop(i), ends[i], state) for i in gone]
            if not running:
                break
        self.store.finish(worker, told)

    def _choose(self, trial: ClaimedTrial) -> Kept:
        """What a trial's free runs do: structure first, then luck."""
        params = trial.params
        merit = self.dice.gauss(0.0, 0.7)
        merit += 1.2 * (params["cell"] == "lru") + 0.8 * (params["context"] == "state")
        merit += 0.6 * bool(params.get("autonomous")) + 0.4 * (params.get("offset") is False)
        merit -= abs(np.log10(float(params["learning_rate"])) + 1.7)  # type: ignore[arg-type]
        if merit > 1.2:
            kind = "tracks"
        elif merit > 0.2:
            kind = self.dice.choice(("phase drift", "wrong frequency", "tracks"))
        else:
            kind = self.dice.choice(KINDS[1:])
        kept = self.dice.choice(self.bank[kind])
        # A little off, so that no two trials have the same score.
        factor = 1 + 0.1 * self.dice.random()
        return replace(kept, result=_scaled(kept.result, factor))

    def _finished(self, trial: ClaimedTrial, kept: Kept, state: FinishedState) -> FinishedTrial:
        limit, artifacts = None, kept.artifacts if state == "complete" else ()
        if state == "complete":
            context_steps = self.space.resolve(trial.params).architecture.context_steps
            limit = attainable_nmse(self.definition, context_steps)
        return finished_trial(
            trial.trial_id, state, kept.result, _ORIGIN, 4 * COHORT, artifacts, limit
        )

    def _final(self, worker: int) -> None:
        rows = [row for row in self.store.frozen_trials() if row.state == TrialState.COMPLETE]
        rows.sort(key=lambda row: (row.value, row.number))
        best = rows[: self.definition.search.finalists]
        for purpose in ("final", "test"):
            winner = winner_of(self.store)
            chosen = best if winner is None else [r for r in best if r._trial_id == winner.subject]
            self.store.plan_final_jobs(purpose, [row._trial_id for row in chosen])
            while (job := self.store.claim_final_job(worker)) is not None:
                (row,) = (row for row in chosen if row._trial_id == job.trial_id)
                search = self.definition.search
                number = search.test_draws if purpose == "test" else search.final_replicas
                views = [self.data.view(purpose, i) for i in range(number)]
                result = invented_result(views, "tracks", seed=row.number)
                replica = result.record.example.replica
                found = baseline_results(baseline_candidates(self.data), views)
                beside = {name: baseline_record(own, replica) for name, own in found.items()}
                text = final_record(result, baselines=beside).to_json()
                weights = _weights(self.space.resolve(row.params), number)
                self.store.finish_final_job(worker, job.job_id, text, weights)

    def _variants(self, kind: str) -> list[Kept]:
        results = [invented_result(self.views, kind, seed) for seed in range(VARIANTS)]
        return [Kept(result, trial_artifacts(result)) for result in results]


_MACHINE = {
    "processor": "x86_64",
    "cpu_capability": "AVX2",
    "device": "cpu",
    "python": "3.11",
    "torch": "2",
    "freerun": "0",
}
_ORIGIN = Origin(worker=1, host="here", machine=_MACHINE)


def sampled_params(
    space: Space, number: int, dice: random.Random
) -> Iterator[Mapping[str, object]]:
    """Parameters of random candidates."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=dice.randrange(2**31))
    study = optuna.create_study(sampler=sampler)
    for _ in range(number):
        yield space.suggest(study.ask())


def invented_result(views: Sequence[View], kind: str, seed: int) -> CandidateResult:
    """A result whose free runs do what their kind says, scored as those of trained networks."""
    replicas = [_replica(view, i, kind, seed) for i, view in enumerate(views)]
    return CandidateResult(
        tuple(replicas),
        views[0].scored_against,
        parameters=40 * (seed % VARIANTS + 1),
        seconds=1.5 + seed % VARIANTS,
    )


def _replica(view: View, index: int, kind: str, seed: int) -> ReplicaResult:
    dice = np.random.default_rng((seed, index))
    start = view.starts[0]
    truth = view.truth[start : start + view.horizon_steps]
    training = view.values[: view.train_steps]
    mean, std = training.mean(axis=0), training.std(axis=0)
    forecast = _forecast(kind, truth, view.values[start - 1], float(std[0]), seed, dice)
    scores = score(forecast[None], truth[None], view.variance, mean, std)
    loss = 0.05 + 0.2 * float(dice.random())
    return ReplicaResult(
        index=index,
        restart=0,
        training_loss=loss,
        loss_curve={12: 20 * loss, 50: 6 * loss, 100: 3 * loss, 200: 1.4 * loss, 400: loss},
        scores=scores,
        verdict=str(
            verdict(
                forecast[None], truth[None], view.values[None, start - 1], mean, std, scores.nmse
            )
        ),
        example=Example(index, start, view.values[:start, 0], truth[:, 0], forecast[:, 0]),
    )


def _forecast(
    kind: str, truth: FloatArray, last: FloatArray, std: float, seed: int, dice: np.random.Generator
) -> FloatArray:
    """A free run `[time, channel]` of a kind; higher seeds are worse."""
    steps = np.arange(len(truth))[:, np.newaxis] / len(truth)
    worse = (seed % VARIANTS + 1) / VARIANTS
    # The truth read at other times: faster, slower or later.
    bent = {"phase drift": steps * (1 - 0.3 * worse * steps), "wrong frequency": steps**2}
    if kind in bent:
        at = (bent[kind][:, 0] * (len(truth) - 1)).astype(int)
        return np.asarray(truth[at])
    noise = std * dice.standard_normal(truth.shape)
    runs = {
        "tracks": truth + 0.3 * worse * std * np.sin(9 * steps + float(dice.random())),
        "decays": truth * np.exp(-6 * worse * steps) + 0.02 * noise,
        "flat": 0.02 * noise,
        "copies": np.broadcast_to(last, truth.shape) + 0.01 * noise,
        "diverges": truth + std * np.expm1(12 * worse * steps),
    }
    return np.asarray(runs[kind])


def _scaled(result: CandidateResult, factor: float) -> CandidateResult:
    """The same result with all errors, losses and seconds times a factor."""
    return replace(
        result,
        seconds=result.seconds * factor,
        replicas=tuple(
            replace(
                replica,
                training_loss=replica.training_loss * factor,
                scores=replace(
                    replica.scores,
                    nmse=replica.scores.nmse * factor,
                    curve=replica.scores.curve * factor,
                    errors_at={
                        step: error * factor for step, error in replica.scores.errors_at.items()
                    },
                ),
            )
            for replica in result.replicas
        ),
    )


def _weights(candidate: Candidate, members: int) -> bytes:
    """A checkpoint of networks as they were initialised."""
    forecaster = Forecaster(candidate.architecture)
    rows = [forecaster.initialise(torch.Generator().manual_seed(i)) for i in range(members)]
    shift = torch.zeros(members, 1, dtype=torch.float64)
    kept = checkpoint.Checkpoint(candidate.architecture, 1, torch.stack(rows), shift, shift + 1)
    return checkpoint.save(kept)


def _taken(params: Iterator[Mapping[str, object]], number: int) -> list[Mapping[str, object]]:
    return [next(params) for _ in range(number)]


def main(arguments: list[str]) -> None:
    """Make the study that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--storage", required=True, help="where to make it, such as sqlite:///big.db"
    )
    parser.add_argument("--name", default="big")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    began = monotonic()
    try:
        with open_storage(options.storage, create=True) as storage:
            counts = make_big_study(storage, options.name, options.trials, options.seed).counts()
    except UserError as error:
        parser.error(str(error))
    print(f"{options.name}: {counts} in {monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
