"""A study with thousands of finished trials, written in bulk, whose scores are made up.

For what has to be measured on a large study's storage without training for days; big_study.py makes
one to look at, with pictures and a final. Candidates are random ones
of the study's space; the rest of a row is what a worker would have stored. Example:

    python benchmarks/bulk_study.py studies/sine.toml --trials 10000 --storage sqlite:///big.db
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np

from benchmarks.command import count, end_with_messages
from models.diagnostics.scores import ERROR_HORIZONS, Scores
from search.cli.options import storage_at
from search.cli.resuming import create_or_resume
from search.errors import UsageError
from search.evaluation import CandidateResult, ReplicaResult
from search.records import Example
from search.running.finishing import finished_trial, register_here
from search.running.halving import Halving
from search.running.proposer import Proposer
from search.storage.records import FinishedTrial, ParamValue, Proposal, Report
from search.storage.studies import Storage
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from search.study.study_file import StudyFile, read_study_file

# About as many trials go into one transaction.
BATCH = 500
VERDICTS = ("tracks", "phase drift", "wrong frequency", "decays", "flat")


def make_big_study(storage: Storage, file: StudyFile, trials: int, seed: int = 0) -> StudyStore:
    """Create the study of a file, or go on with it, and finish so many new trials.

    The study is left without limits. Raises UsageError for a file with presets.
    """
    if file.definition.presets:
        raise UsageError("a big study must be one without [presets]; name another study file")
    store, definition = create_or_resume(storage, file.definition.name, file)
    store.set_budget(trials=None, minutes=None)
    generator = np.random.default_rng(seed)
    search = definition.search.model_copy(update={"sampler": "random", "minutes": None})
    proposer = Proposer(definition.model_copy(update={"search": search}), sampler_seed=seed)
    worker, origin = register_here(store, "cpu")
    halving = Halving()
    missing = trials
    while missing:
        proposals: list[Proposal] = []
        while len(proposals) < min(BATCH, missing):
            proposals += proposer.propose(at_most=missing - len(proposals))
        proposer.forget()
        claimed = store.claim_new(worker, proposals)
        missing -= len(claimed)
        running = {t.trial_id: _score(t.params, generator) for t in claimed}
        finished: list[FinishedTrial] = []
        reports: list[Report] = []
        for rung in range(1, search.rungs + 1):
            # Further training makes each of them better.
            scores = {i: score * 1.5 ** (search.rungs - rung) for i, score in running.items()}
            reports += [Report(i, rung, score) for i, score in scores.items()]
            is_last = rung == search.rungs
            ended = list(scores) if is_last else halving.losers(rung, scores)
            halving.values[None, rung] += list(scores.values())
            for i in ended:
                result = made_up_result(definition, scores[i], generator)
                state: Literal["complete", "pruned"] = "complete" if is_last else "pruned"
                finished.append(finished_trial(i, state, result, origin, len(claimed)))
                del running[i]
        store.report(worker, reports)
        store.finish(worker, finished)
    store.leave(worker)
    return store


def _score(params: Mapping[str, ParamValue], generator: np.random.Generator) -> float:
    """A skewed score that depends on a parameter, so that a sampler has something to learn."""
    miss = abs(np.log10(float(params.get("learning_rate") or 1e-2)) + 2.5)
    return float(np.exp(miss + 0.5 * generator.standard_normal() - 3.0))


def made_up_result(
    definition: StudyDefinition, score: float, generator: np.random.Generator
) -> CandidateResult:
    """What a candidate of about this score might have got on its replicas."""
    horizon = definition.task.horizon_steps
    growth = np.linspace(0.0, 2.0, horizon)
    verdict = VERDICTS[min(len(VERDICTS) - 1, int(5 * score))]
    nothing = np.zeros(0)
    replicas = []
    for index in range(definition.search.replicas):
        curve = growth * score * np.exp(0.2 * generator.standard_normal())
        errors = {h: float(curve[h - 1]) for h in ERROR_HORIZONS if h <= horizon}
        nmse, valid = float(curve.mean()), float(horizon / (1 + 10 * score))
        scores = Scores(nmse, curve, valid, errors, by_start=(nmse,))
        example = Example(index, 0, nothing, nothing, nothing)
        replicas.append(ReplicaResult(index, 0, score / 2, {}, scores, verdict, example))
    return CandidateResult(tuple(replicas), definition.task.score_against, 500, 1.0)


def main() -> None:
    """Make the study that the command line asks for, and say how long it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study_file", type=Path)
    parser.add_argument("--trials", type=count, default=10_000)
    parser.add_argument("--storage", help="URL; else FREERUN_STORAGE, else sqlite:///freerun.db")
    options = parser.parse_args()
    file = read_study_file(options.study_file)
    began = perf_counter()
    with storage_at(options.storage, create=True) as storage:
        store = make_big_study(storage, file, options.trials)
        total = store.counts().total
    print(
        f"{store.name}: {total} trials, {options.trials} of them in {perf_counter() - began:.1f} s"
    )


if __name__ == "__main__":
    with end_with_messages():
        main()
