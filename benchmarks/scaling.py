"""How trials per second grow with the number of workers, where a trial sleeps instead of training.

What is left is what workers share: the database, its locks, and sampling. Every trial is a cohort
of its own, which is the most that a worker can ask of the database. Example:

    python benchmarks/scaling.py --workers 1 2 4 8 16 --sleep 10
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

import numpy as np
from optuna.trial import TrialState

from benchmarks.bulk_study import made_up_result
from benchmarks.command import count, end_with_messages, seconds
from benchmarks.crew import together
from benchmarks.postgres import running_postgres
from models.candidate import Candidate
from search.cli.resuming import create_or_resume
from search.evaluation import Rung
from search.running.worker import Worker
from search.storage.opening import open_storage
from search.study.definition import StudyDefinition
from search.study.study_file import StudyFile, read_study_file
from search.study.task_data import TaskData

STUDY_FILE = Path(__file__).parents[1] / "studies" / "sine.toml"
# How often a sleeping trial looks whether it should stop: as often as a short optimiser step.
STEP_SECONDS = 0.05


class Sleep:
    """In place of a cohort's training."""

    def __init__(
        self, definition: StudyDefinition, candidates: Sequence[Candidate], seconds: float
    ) -> None:
        self.definition, self.runs, self.seconds = definition, list(candidates), seconds

    def __iter__(self) -> Iterator[Rung | None]:
        until = monotonic() + self.seconds
        while (left := until - monotonic()) > 0:
            sleep(min(left, STEP_SECONDS))
            yield None
        generator = np.random.default_rng()
        results = {
            i: made_up_result(self.definition, float(generator.exponential()), generator)
            for i in range(len(self.runs))
        }
        yield Rung(1, True, results)

    def drop(self, candidates: Sequence[int]) -> None:
        """Nothing is dropped: there is one rung, at the end."""


class Sleeper(Worker):
    """A worker that is real but for the training and the final."""

    sleep_seconds: float

    def cohort(self, candidates: Sequence[Candidate]) -> Sleep:  # type: ignore[override]
        """As long as a training would take."""
        return Sleep(self.definition, candidates, self.sleep_seconds)

    def final(self) -> None:
        """None."""


def measure(workers: int, trials: int, sleep_seconds: float) -> dict[str, float]:
    """Trials per second of so many workers on a new study, and what share of linear that is."""
    file = read_study_file(STUDY_FILE)
    search = {"rungs": 1, "cohort_members": 1, "trials": workers * trials, "minutes": None}
    definition = file.definition.model_copy(
        update={"search": file.definition.search.model_copy(update=search)}
    )

    def work(_index: int) -> None:
        with open_storage(url, create=False) as storage:
            worker = Sleeper(
                storage.study(definition.name),
                definition,
                TaskData(definition, None),
                make_artifacts=lambda _result, _name: (),
                stop_requested=lambda: False,
            )
            worker.sleep_seconds = sleep_seconds
            worker.run()

    with running_postgres() as server:
        url = server.url
        with open_storage(url, create=True) as storage:
            store, _ = create_or_resume(storage, definition.name, StudyFile(definition, None))
            store.set_budget(trials=workers * trials, minutes=None)
        together(workers, work)
        with open_storage(url, create=False) as storage:
            rows = storage.study(definition.name).frozen_trials()
    assert len(rows) == workers * trials
    assert all(row.state == TrialState.COMPLETE for row in rows)
    started = min(row.datetime_start or datetime.max for row in rows)
    ended = max(row.datetime_complete or datetime.min for row in rows)
    elapsed = (ended - started).total_seconds()
    return {
        "workers": workers,
        "trials": len(rows),
        "seconds": round(elapsed, 2),
        "trials_per_second": round(len(rows) / elapsed, 4),
        "share_of_linear": round(trials * sleep_seconds / elapsed, 4),
    }


def main() -> None:
    """Measure for the numbers of workers that the command line names; print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=count, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--trials", type=count, default=4, help="of each worker")
    parser.add_argument("--sleep", type=seconds, default=10.0, help="seconds of a trial")
    options = parser.parse_args()
    found = [measure(number, options.trials, options.sleep) for number in options.workers]
    print(json.dumps({"sleep_seconds": options.sleep, "measured": found}, indent=2))


if __name__ == "__main__":
    with end_with_messages():
        main()
