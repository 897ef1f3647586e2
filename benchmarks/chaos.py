"""Chaos: a study of each system that is told the task alone, against the last 200 of its values.

    python benchmarks/chaos.py dysts_dev.json.gz --seconds 60

FILE is gzipped JSON, `{name: [number, ...]}`: systems with 100 points per period and 12 periods, as
in the public dysts benchmark (Gilpin 2021, "Chaos as an interpretable benchmark for forecasting and
data-driven modelling"). For each system a study file names the table and the task and nothing else:
the last 200 values are the test, and of all before, five blocks of 240 are left out in turn, in
each of which three free runs start. The study runs by `freerun run` with one worker until its
seconds are spent; the final and the winner's test follow. Prints the sMAPE of the winner's forecast
of each system, 0 to 200, with the seconds of the whole command by the clock and by the processor
(they differ on a busy machine), then the median and the share at 5 or less, and published medians.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import count, end_with_messages, seconds
from benchmarks.ordinary_study import run_study
from search.errors import FreerunError, UsageError

FloatArray = NDArray[np.float64]

HORIZON_STEPS = 200
# A block that is left out has room for the horizon of each start, 20 values after the one before.
BLOCKS, START_POINTS, BLOCK_STEPS = 5, 3, HORIZON_STEPS + 40
# Blocks of the final: the best candidates are told apart on more of them.
FINAL_BLOCKS = 10
# What is left beside a block, and has to hold several periods.
LEAST_TRAIN_STEPS = 400
# Medians over the 44 systems that have published forecasts, from the benchmark's stored ones.
PUBLISHED = {
    "best of 16, with hindsight": 38.2,
    "NBEATS": 59.4,
    "LSTM": 90.7,
    "random forest": 100.7,
    "AutoARIMA": 114.7,
    "Transformer": 115.4,
    "TCN": 122.0,
    "mean": 140.6,
}


@dataclass(frozen=True)
class Row:
    """What the study of a system reached; smape: None where it found no winner.

    trials: complete ones. seconds, cpu_seconds: of the whole command.
    """

    name: str
    smape: float | None
    what: str
    trials: int
    seconds: float
    cpu_seconds: float

    def __str__(self) -> str:
        reached = "none" if self.smape is None else f"{self.smape:.2f}"
        spent = f"{self.seconds:4.0f} s ({self.cpu_seconds:.0f} s CPU)"
        return f"{self.name:>28} {reached:>7}  {self.trials:4} complete  {spent}  {self.what}"


def systems(path: Path) -> Iterator[tuple[str, FloatArray]]:
    """Names and values `[time]` of a file; UsageError where it holds something else."""
    least = LEAST_TRAIN_STEPS + BLOCK_STEPS + HORIZON_STEPS
    try:
        with gzip.open(path) as content:
            plain = json.load(content)
        series = {name: np.array(values, dtype=np.float64) for name, values in plain.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{path} must be gzipped JSON, a list of numbers by name, but: {error}; "
            "give the file of the benchmark"
        ) from None
    for name, values in series.items():
        if values.ndim != 1 or len(values) < least or not np.isfinite(values).all():
            raise UsageError(
                f"{path} must hold at least {least} finite numbers of each system, but "
                f"{name} has the shape {list(values.shape)}, or gaps; leave it out"
            )
        yield name, values


def study_sections(name: str, table: Path, rows: int) -> dict[str, object]:
    """Return the content of a study file that says the task alone."""
    return {
        "name": name,
        "series": {
            "source": "table",
            "path": str(table.resolve()),
            "time": "time",
            "columns": ["value"],
        },
        "task": {
            "train_steps": rows - BLOCK_STEPS - HORIZON_STEPS,
            "horizon_steps": HORIZON_STEPS,
            "validation_steps": BLOCK_STEPS,
            "start_points": START_POINTS,
            "validation": "blocks",
        },
        "search": {"replicas": BLOCKS, "final_replicas": FINAL_BLOCKS},
    }


def measure(name: str, values: FloatArray, budget: float) -> Row:
    """Run the study of a system for so many seconds; one that fails or finds nothing is a row."""
    with TemporaryDirectory() as temporary:
        table = Path(temporary) / "system.csv"
        rows = (f"{row},{value!r}\n" for row, value in enumerate(values.tolist()))
        table.write_text("time,value\n" + "".join(rows))
        sections = study_sections(name, table, len(values))
        began, cpu = perf_counter(), children_seconds()
        try:
            ran = run_study(Path(temporary), sections, budget / 60.0, workers=1)
        except FreerunError as error:
            return Row(name, None, f"none: {error}", 0, perf_counter() - began, 0.0)
    spent, cpu_spent = perf_counter() - began, children_seconds() - cpu
    found = smape(ran.tested.forecast, values[-HORIZON_STEPS:])
    return Row(name, found, ran.tested.what, ran.trials, spent, cpu_spent)


def children_seconds() -> float:
    """Processor seconds of all commands that have ended, and of what these started."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def smape(forecast: FloatArray, truth: FloatArray) -> float:
    """The symmetric mean absolute percentage error, 0 to 200."""
    return float(200.0 * np.mean(np.abs(truth - forecast) / (np.abs(truth) + np.abs(forecast))))


def main() -> None:
    """Run the study of each system, then print the table's end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=seconds, default=60.0, help="of each system's search")
    parser.add_argument("--every", type=count, default=1, help="take each so many-th system")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these systems alone")
    arguments = parser.parse_args()
    with end_with_messages():
        known = dict(systems(arguments.file))
        for name in arguments.only or ():
            if name not in known:
                raise UsageError(f"--only must name systems of {', '.join(known)}, but got {name}")
        rows = []
        for name in arguments.only or list(known)[:: arguments.every]:
            rows.append(measure(name, known[name], arguments.seconds))
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
    sys.stdout.write(summary(rows))


def summary(rows: Sequence[Row]) -> str:
    """The median of the systems beside published ones, and how much of them is good."""
    errors = [row.smape for row in rows if row.smape is not None]
    lines = [f"without a winner, and in no figure: {len(rows) - len(errors)}"]
    lines = lines if len(errors) < len(rows) else []
    if errors:
        share = np.mean(np.array(errors) <= 5.0)
        lines.append(
            f"median sMAPE of {len(errors)} systems: {np.median(errors):.2f}, "
            f"{share:.0%} of them at 5 or less"
        )
    lines.append("published medians of 44:")
    lines += [f"{name:>28} {median:7.1f}" for name, median in PUBLISHED.items()]
    return "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
