"""How long a worker that joins a large study takes from opening it to its first cohort.

The study's trials are made up (see bulk_study.py), the worker is real up to the point where it
would train. Imports of torch and Optuna, which come before, are not counted. Example:

    python benchmarks/joining.py --trials 10000
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.bulk_study import make_big_study
from benchmarks.command import count, end_with_messages
from benchmarks.postgres import running_postgres
from models.candidate import Candidate
from search.evaluation import Cohort
from search.running.worker import StopWork, Worker
from search.storage.opening import open_storage
from search.study.study_file import StudyFile, read_study_file
from search.study.task_data import TaskData

STUDY_FILE = Path(__file__).parents[1] / "studies" / "sine.toml"


class Joining(Worker):
    """A worker that ends where its first cohort would begin to train."""

    began_at: float | None = None
    trials: int = 0

    def cohort(self, candidates: Sequence[Candidate]) -> Cohort:
        """Note the time, and end."""
        self.began_at, self.trials = perf_counter(), len(candidates)
        raise StopWork


def join(url: str, file: StudyFile) -> dict[str, float]:
    """Seconds from opening the storage: until it was open, and until the first cohort."""
    started = perf_counter()
    with open_storage(url, create=False) as storage:
        opened = perf_counter()
        worker = Joining(
            storage.study(file.definition.name),
            file.definition,
            TaskData(file.definition, file.table),
            make_artifacts=lambda _result, _name: (),
            stop_requested=lambda: False,
        )
        worker.run()
    assert worker.began_at is not None, "the study was left without limits"
    return {
        "open_seconds": round(opened - started, 3),
        "first_cohort_seconds": round(worker.began_at - started, 3),
        "trials_of_cohort": worker.trials,
    }


def measure(url: str, trials: int) -> dict[str, float]:
    """Make the study in a new database and join it."""
    file = read_study_file(STUDY_FILE)
    with open_storage(url, create=True) as storage:
        make_big_study(storage, file, trials)
    return join(url, file)


def main() -> None:
    """Measure on the databases that the command line names; print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=count, default=10_000)
    parser.add_argument(
        "--databases", nargs="+", choices=("sqlite", "postgres"), default=("sqlite", "postgres")
    )
    options = parser.parse_args()
    found: dict[str, object] = {"trials": options.trials}
    if "sqlite" in options.databases:
        with TemporaryDirectory() as folder:
            found["sqlite"] = measure(f"sqlite:///{folder}/freerun.db", options.trials)
    if "postgres" in options.databases:
        with running_postgres() as server:
            found["postgres"] = measure(server.url, options.trials)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    with end_with_messages():
        main()
