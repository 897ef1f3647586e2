"""How long a worker that joins a large study takes from opening it to its first cohort.

The study's trials are made up (see bulk_study.py), the worker is real up to the point where it
would train. Imports of torch and Optuna, which come before, are not counted. Then it asks for
further cohorts. Example:

    python benchmarks/joining.py --trials 10000
    python benchmarks/joining.py --storage sqlite:///big.db --study big
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from benchmarks.bulk_study import make_big_study
from benchmarks.command import count, end_with_messages
from benchmarks.postgres import running_postgres
from models.candidate import Candidate
from search.evaluation import Cohort
from search.running.worker import StopWork, Worker
from search.series import Table
from search.storage.opening import open_storage
from search.study.study_file import read_stored_definition, read_study_file
from search.study.task_data import TaskData

STUDY_FILE = Path(__file__).parents[1] / "studies" / "sine.toml"
# Cohorts that are asked for after the first.
ASKED = 5


class Joining(Worker):
    """A worker that ends where its first cohort would begin to train, after it asked for others.

    began_at: the time then, by the clock and of the processor. asking: processor seconds of each.
    """

    began_at: tuple[float, float] | None = None
    trials: int = 0
    asking: Sequence[float] = ()

    def cohort(self, candidates: Sequence[Candidate]) -> Cohort:
        """Note the time, ask for further cohorts, and end."""
        self.began_at, self.trials = (perf_counter(), process_time()), len(candidates)
        self.asking = [self._ask() for _ in range(ASKED)]
        raise StopWork

    def _ask(self) -> float:
        began = process_time()
        claimed = self._claim()
        taken = process_time() - began
        assert claimed, "the study was left without limits"
        return taken


def join(url: str, name: str) -> dict[str, float]:
    """Seconds from opening the storage: until it was open, and until the first cohort.

    The trials that are claimed wait afterwards.
    """
    started, processor_started = perf_counter(), process_time()
    with open_storage(url, create=False) as storage:
        opened = perf_counter()
        store = storage.study(name)
        definition, data = read_stored_definition(store.definition), store.data()
        worker = Joining(
            store,
            definition,
            TaskData(definition, None if data is None else Table.from_bytes(data)),
            make_artifacts=lambda _result, _name: (),
            stop_requested=lambda: False,
        )
        worker.run()
    assert worker.began_at is not None, "the study was left without limits"
    return {
        "open_seconds": round(opened - started, 3),
        "first_cohort_seconds": round(worker.began_at[0] - started, 3),
        "first_cohort_processor_seconds": round(worker.began_at[1] - processor_started, 3),
        "trials_of_cohort": worker.trials,
        "asking_processor_seconds": round(median(worker.asking), 3),
        "asking_processor_seconds_most": round(max(worker.asking), 3),
    }


def measure(url: str, trials: int) -> dict[str, float]:
    """Make the study in a new database and join it."""
    file = read_study_file(STUDY_FILE)
    with open_storage(url, create=True) as storage:
        make_big_study(storage, file, trials)
    return join(url, file.definition.name)


def main() -> None:
    """Measure on the databases that the command line names; print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=count, default=10_000)
    parser.add_argument(
        "--databases", nargs="+", choices=("sqlite", "postgres"), default=("sqlite", "postgres")
    )
    parser.add_argument("--storage", metavar="URL", help="of a study that is there already")
    parser.add_argument("--study", metavar="NAME", default="big", help="the study of --storage")
    options = parser.parse_args()
    if options.storage is not None:
        print(json.dumps(join(options.storage, options.study)))
        return
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
