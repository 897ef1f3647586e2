"""Trials per second through the storage: freerun's cohorts beside plain Optuna's trials.

Both ways propose 12 parameters by the same sampler, report 4 times and tell, from as many processes
at once, on one database of one durability in one run: SQLite with a write-ahead log that is flushed
at checkpoints, PostgreSQL with every commit flushed. Plain is `ask`, 12 times `suggest`, 4 times
`report`, `tell`. Ours claims, reports and tells a cohort at a time, with a lease on each trial, a
beat for each cohort and the budget's lock. Example:

    python benchmarks/storage_throughput.py --processes 16 --seconds 10
"""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from time import monotonic

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage

from benchmarks.command import count, end_with_messages, seconds
from benchmarks.crew import together
from benchmarks.postgres import running_postgres
from search.running.sampler_view import STARTUP_TRIALS
from search.storage.opening import open_storage
from search.storage.records import FinishedTrial, Proposal

SPACE: dict[str, BaseDistribution] = {
    **{f"rate_{i}": FloatDistribution(1e-5, 1.0, log=True) for i in range(4)},
    **{f"share_{i}": FloatDistribution(0.0, 1.0) for i in range(2)},
    **{f"size_{i}": IntDistribution(1, 64, log=True) for i in range(3)},
    **{f"kind_{i}": CategoricalDistribution(["a", "b", "c"]) for i in range(3)},
}
REPORTS = 4


@dataclass(frozen=True)
class Load:
    """What each process does: cohorts of so many trials, by a sampler, for so many seconds."""

    cohort: int
    sampler: str
    seconds: float

    def make_sampler(self, seed: int) -> BaseSampler:
        """The same kind for both ways."""
        if self.sampler == "random":
            return RandomSampler(seed=seed)
        return TPESampler(
            seed=seed, multivariate=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS
        )


def ours(url: str, load: Load, index: int) -> int:
    """Run cohorts until the time is up; return how many trials were told."""
    told, until = 0, monotonic() + load.seconds
    with open_storage(url, create=False) as storage:
        study = storage.study("ours")
        worker = study.register_worker(host="here", pid=os.getpid(), machine={})
        mirror = optuna.create_study(sampler=load.make_sampler(index))
        while monotonic() < until:
            if load.sampler != "random":
                ids = [trial.trial_id for trial in study.scored_trials()]
                mirror.add_trials(study.frozen_trials(ids, attributes=False))
            asked = [mirror.ask(SPACE) for _ in range(load.cohort)]
            claimed = study.claim_new(worker, [Proposal(t.params, SPACE, "a") for t in asked])
            for step in range(1, REPORTS + 1):
                study.report(worker, [(t.trial_id, step, 1.0 / step) for t in claimed])
            study.finish(worker, [FinishedTrial(t.trial_id, "complete", 0.25) for t in claimed])
            for trial in asked:
                mirror.tell(trial, state=optuna.trial.TrialState.FAIL)
            told += len(claimed)
        study.leave(worker)
    return told


def plain(url: str, load: Load, index: int) -> int:
    """Run trials by Optuna's public calls until the time is up; return how many were told."""
    told, until = 0, monotonic() + load.seconds
    with open_storage(url, create=False) as storage:
        # Its engine, with the same time-outs and durability; else as Optuna makes it.
        pool = storage.engine.pool
        rdb = RDBStorage(storage.url, engine_kwargs={"pool": pool}, skip_table_creation=True)
        study = optuna.load_study(study_name="plain", storage=rdb, sampler=load.make_sampler(index))
        while monotonic() < until:
            trial = study.ask(SPACE)
            for step in range(1, REPORTS + 1):
                trial.report(1.0 / step, step)
            study.tell(trial, 0.25)
            told += 1
    return told


def rate(way: Callable[[str, Load, int], int], url: str, load: Load, processes: int) -> float:
    """Trials per second of all processes together."""

    def work(index: int) -> list[float]:
        began = monotonic()
        return [way(url, load, index), began, monotonic()]

    found = together(processes, work)
    elapsed = max(ended for _, _, ended in found) - min(began for _, began, _ in found)
    return float(sum(told for told, _, _ in found) / elapsed)


def compare(url: str, load: Load, processes: int) -> dict[str, float]:
    """Both ways on a new database, one after the other."""
    with open_storage(url, create=True) as storage:
        storage.create_study("ours", definition="{}", definition_hash="abc")
        optuna.create_study(study_name="plain", storage=storage.optuna)
    by_plain = rate(plain, url, load, processes)
    by_ours = rate(ours, url, load, processes)
    with open_storage(url, create=False) as storage:
        counts = storage.study("ours").counts()
        assert counts.total == counts.complete, f"every trial must be told, but got {counts}"
    return {
        "plain": round(by_plain, 1),
        "ours": round(by_ours, 1),
        "ratio": round(by_ours / by_plain, 1),
    }


def main() -> None:
    """Compare on the databases that the command line names; print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--processes", type=count, default=16)
    parser.add_argument("--cohort", type=count, default=32, help="trials of a cohort")
    parser.add_argument("--seconds", type=seconds, default=10.0, help="of each way")
    parser.add_argument("--sampler", choices=("random", "tpe"), default="random")
    parser.add_argument(
        "--databases", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"]
    )
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    load = Load(options.cohort, options.sampler, options.seconds)
    found: dict[str, object] = {
        "processes": options.processes,
        "cohort": load.cohort,
        "sampler": load.sampler,
        "parameters": len(SPACE),
        "reports": REPORTS,
    }
    if "sqlite" in options.databases:
        with TemporaryDirectory() as folder:
            found["sqlite"] = compare(f"sqlite:///{folder}/a.db", load, options.processes)
    if "postgres" in options.databases:
        with running_postgres() as server:
            found["postgres"] = compare(server.url, load, options.processes)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    with end_with_messages():
        main()
