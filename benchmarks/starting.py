"""How long commands take to start: medians, beside bounds and the import of torch.

    python benchmarks/starting.py --repeats 5

A small study of a table is run first, in a folder of its own, so that there is something to list,
an export to forecast with, and machine code of kernels on disk. Processor time is that of the
process; its ratio to that of `import torch` depends least on what else the machine does.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from benchmarks.command import count, end_with_messages
from benchmarks.ordinary_study import ROOT, study_text
from search.errors import FreerunError

DATABASE, NAME = "study.db", "starting"
# One GRU that is trained for an instant: what is measured is everything else.
STUDY = {
    "name": NAME,
    "series": {
        "source": "table",
        "path": str(ROOT / "studies" / "sunspots.csv"),
        "time": "year",
        "columns": ["sunspots"],
    },
    "task": {"train_steps": 220, "horizon_steps": 22, "test_horizon_steps": 22},
    "search": {"trials": 1, "replicas": 1, "finalists": 1, "final_replicas": 1, "workers": 1},
    "space": {
        "cell": ["gru"],
        "hidden_units": 16,
        "context": "window",
        "window_steps": 16,
        "window_rollout_steps": 4,
        "training_steps": 20,
        "restarts": 1,
    },
}
# Between two looks whether a worker has finished its first trial, and after which it never will.
LOOK_SECONDS, MOST_SECONDS = 0.02, 600.0


@dataclass(frozen=True)
class Times:
    """Seconds of one start: by the clock, and of processor time of the process."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Row:
    """The medians of some starts. bound: seconds on an idle machine; None where none is claimed."""

    name: str
    bound: float | None
    times: Times


def command_times(folder: Path, arguments: Sequence[str]) -> Times:
    """Run a Python command to its end. Raises FreerunError where it fails."""
    began = perf_counter()
    process = _start(folder, arguments)
    with process:
        words = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FreerunError(f"{' '.join(arguments)} must end with 0: {words.decode()[-500:]}")
    return Times(perf_counter() - began, usage.ru_utime + usage.ru_stime)


def worker_times(folder: Path, study: Path, has_come: str) -> Times:
    """From the start of one more worker until a query counts something; then it is ended."""
    (folder / DATABASE).unlink(missing_ok=True)
    command_times(folder, [*FREERUN, "run", str(study), "--workers", "0"])
    began = perf_counter()
    with _start(folder, [*FREERUN, "work", NAME, "--quiet"]) as process:
        while not _counts(folder / DATABASE, has_come):
            if process.poll() is not None or perf_counter() - began > MOST_SECONDS:
                raise FreerunError("a worker must train a trial, but it ended without one")
            sleep(LOOK_SECONDS)
        wall = perf_counter() - began
        process.terminate()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Times(wall, usage.ru_utime + usage.ru_stime)


FREERUN = ("-m", "search")
# What is counted to see how far a worker has come.
REPORTED = "SELECT count(*) FROM trial_intermediate_values"
FINISHED = "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')"


def measure(folder: Path, repeats: int) -> list[Row]:
    """Start each command so many times, one after the other in rounds."""
    study = folder / "study.toml"
    study.write_text(study_text(STUDY))
    command_times(folder, [*FREERUN, "run", str(study)])
    # A baseline may have won, which needs no kernels.
    command_times(folder, [*FREERUN, "export", NAME, "--trial", "0", "-o", "export"])
    series = str(ROOT / "studies" / "sunspots.csv")
    ahead = ["forecast", "export", "--series", series, "--horizon", "22", "-o", "next.csv"]

    def of(*arguments: str) -> Callable[[], Times]:
        return partial(command_times, folder, arguments)

    starts: dict[str, tuple[float | None, Callable[[], Times]]] = {
        "import torch": (None, of("-c", "import torch")),
        "--help": (None, of(*FREERUN, "--help")),
        "list": (None, of(*FREERUN, "list")),
        "status": (None, of(*FREERUN, "status", NAME)),
        "check": (2.0, of(*FREERUN, "check", str(ROOT / "studies" / "sine.toml"))),
        "forecast": (2.5, of(*FREERUN, *ahead, "--force")),
        # Its first trial has trained for two steps, and was scored.
        "work, first report": (None, partial(worker_times, folder, study, REPORTED)),
        # Its first pictures take Matplotlib.
        "work, first trial": (3.0, partial(worker_times, folder, study, FINISHED)),
    }
    found: dict[str, list[Times]] = {name: [] for name in starts}
    for _ in range(repeats):
        for name, (_bound, start) in starts.items():
            found[name].append(start())
    return [
        Row(name, starts[name][0], Times(median(t.wall for t in own), median(map(_cpu, own))))
        for name, own in found.items()
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows as text, each beside its bound and in units of the first, which imports torch."""
    lines = [f"{'':18} {'seconds':>8} {'processor':>10} {'of torch':>9} {'bound':>6}"]
    for row in rows:
        ratio = row.times.processor / rows[0].times.processor
        bound = "" if row.bound is None else f"{row.bound:.1f}"
        line = f"{row.name:18} {row.times.wall:8.2f} {row.times.processor:10.2f} {ratio:9.2f}"
        lines.append(f"{line} {bound:>6}".rstrip())
    return "\n".join(lines)


def _start(folder: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FREERUN_STORAGE": f"sqlite:///{folder / DATABASE}",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-P", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _cpu(times: Times) -> float:
    return times.processor


def _counts(database: Path, query: str) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        return bool(connection.execute(query).fetchone()[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=count, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        print(table(measure(Path(folder), options.repeats)))


if __name__ == "__main__":
    with end_with_messages():
        main()
