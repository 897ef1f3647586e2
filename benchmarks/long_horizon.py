"""Long horizons on several columns at once: the protocol of the transformer papers, beside them.

    python benchmarks/long_horizon.py ETTh1.csv --horizons 96 192 336 720 --minutes 5

FILE is a CSV, its first column the time and each other one a value column, such as ETTh1.csv of the
ETDataset repository (Zhou et al. 2021, "Informer: beyond efficient transformer for long sequence
time-series forecasting"). Of its first rows, 8640 train, the next 2880 validate and the next 2880
test. Each column is standardised by its training rows. What is trained on these alone forecasts H
steps from every start point of the test; lookbacks reach into the rows before it. Printed is the
squared error, averaged over all start points, steps and columns.

Each horizon is a study of the table without its test, as a user runs it, until its minutes are
spent. It validates on blocks that are left out of the rows before the test, as `validation =
"blocks"` of a study file does. The columns are channels, read together or each by itself with
shared weights, whatever the search finds better. The candidate that it exports is trained again on
the training rows alone, as the papers do, and its free runs are scored; of a network, twice. A
forecast is the median over networks, step by step, as that of `freerun forecast` is. Beside the
winner stands the study's baseline of the least error in validation, trained on the same rows.
"""

import argparse
import csv
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.command import count, end_with_messages, seconds
from benchmarks.every_start import seasonal_naive_error, squared_error
from benchmarks.ordinary_study import run_study
from models.ensemble.ensemble_checkpoint import AnyCandidate, AnyCheckpoint
from search.errors import SeriesError, UsageError
from search.export.folder import read_export
from search.running.training import train_any
from search.series import FloatArray, read_table
from search.study.task_data import View, training_variance

SPANS = (8640, 2880, 2880)
HORIZONS = (96, 192, 336, 720)
# In a block. The fewer they are, the less they say of what is best over all starts of a test.
START_POINTS = 120
# Each replica leaves out another block, as long as the validation span, of all rows before the
# test: the last months alone are one part of the year, and not the one that follows. Nor does one
# block say which of a few candidates is the best on all, so that none is pruned by it.
REPLICAS = {"replicas": 4, "final_replicas": 4, "pruner": "none"}
# Of what is exported, on the training rows alone.
TRAININGS = 2
# Lin et al. (2023), "SegRNN", table II, lookback 720; 192 of SegRNN alone. Direct ridge is ours:
# ridge regression from the last 720 values, their mean taken off, to the next H, with shared
# weights, its strength chosen on validation.
_HEADS = ("SegRNN", "PatchTST", "DLinear", "DeepAR", "GRU", "direct ridge")
PUBLISHED: Mapping[str, Mapping[int, tuple[float, ...]]] = {
    "ETTh1": {
        96: (0.351, 0.375, 0.381, 1.097, 1.135, 0.366),
        192: (0.392,),
        336: (0.423, 0.462, 0.454, 1.076, 1.080, 0.425),
        720: (0.466, 0.495, 0.499, 1.079, 1.089, 0.422),
    },
    "ETTh2": {
        96: (0.276, 0.290, 0.302, 2.674, 1.816, 0.269),
        192: (0.341,),
        336: (0.364, 0.421, 0.542, 2.505, 3.173, 0.352),
        720: (0.403, 0.404, 0.888, 3.132, 3.143, 0.378),
    },
}


@dataclass(frozen=True)
class Spans:
    """Rows of the three spans, which follow each other."""

    train: int
    validation: int
    test: int

    @property
    def known(self) -> int:
        """The rows before the test."""
        return self.train + self.validation

    @property
    def rows(self) -> int:
        return self.known + self.test

    def starts(self, horizon_steps: int) -> range:
        """The first forecast rows of all free runs that the test has room for."""
        return range(self.known, self.rows - horizon_steps + 1)


@dataclass(frozen=True, eq=False)
class Data:
    """Standardised rows `[time, channel]` of the three spans, and the names of the columns."""

    columns: tuple[str, ...]
    values: FloatArray
    spans: Spans


@dataclass(frozen=True)
class Row:
    """A horizon: mean squared errors over the test; seconds: of the study.

    baseline: the one of the least error in validation. validated, baseline_validated: NMSE of
    validation, by which the study chose.
    """

    horizon_steps: int
    winner: float
    validated: float
    baseline: float
    baseline_validated: float
    baseline_name: str
    seasonal_naive: float
    published: Mapping[str, float]
    what: str
    trials: int
    seconds: float


def read_data(path: Path, wanted: Sequence[str], spans: Spans) -> Data:
    """Read the rows of the spans, standardised by the training rows.

    wanted: names of value columns, or "all". Raises SeriesError for a table that can't be read or
    is too short, UsageError for a column that it does not have.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            time, *names = next(csv.reader(file), [""])
    except (OSError, UnicodeDecodeError) as error:
        raise SeriesError(f"FILE must be a CSV file, but {path} can't be read: {error}") from None
    chosen = names if list(wanted) == ["all"] else list(wanted)
    if not chosen or not set(chosen) <= set(names):
        raise UsageError(
            f"--columns must be all, or of {', '.join(names) or 'none'}, but got {' '.join(wanted)}"
        )
    values = read_table(path, time, chosen).values
    if len(values) < spans.rows:
        raise SeriesError(
            f"{path} must have at least {spans.rows} rows, those of --spans, but has {len(values)}"
        )
    training = values[: spans.train]
    deviation = training.std(axis=0)
    if not np.all(deviation > 0):
        constant = chosen[int(np.argmin(deviation))]
        raise SeriesError(
            f"{path}: each column must vary over the {spans.train} training rows, but {constant} "
            "does not; leave it out by --columns"
        )
    return Data(tuple(chosen), (values[: spans.rows] - training.mean(axis=0)) / deviation, spans)


def study_sections(
    path: Path, data: Data, horizon_steps: int, period: int, space: Mapping[str, object]
) -> dict[str, object]:
    """Return the content of the study file of a horizon, on the table at a path."""
    spans = data.spans
    series = {"source": "table", "path": str(path), "time": "row", "columns": list(data.columns)}
    task = {
        "train_steps": spans.train,
        "horizon_steps": horizon_steps,
        "validation_steps": spans.validation,
        "test_steps": spans.test,
        "start_points": min(START_POINTS, spans.validation - horizon_steps + 1),
        **{"validation": "blocks", "averaging": "mean"},
    }
    sections: dict[str, object] = {
        "name": f"horizon-{horizon_steps}",
        "series": {**series, "period": period},
        "task": task,
        "search": REPLICAS,
    }
    return {**sections, "space": space} if space else sections


def write_table(path: Path, data: Data) -> None:
    """Write the rows as a CSV with the number of each."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", *data.columns])
        writer.writerows([row, *values] for row, values in enumerate(data.values.tolist()))


def trained(candidate: AnyCandidate, data: Data, horizon_steps: int) -> AnyCheckpoint:
    """Train a candidate on the training rows alone."""
    training = data.values[: data.spans.train]
    known = data.values[: data.spans.known]
    view = View(
        values=known,
        truth=known,
        pieces=(range(data.spans.train),),
        starts=(data.spans.train,),
        horizon_steps=horizon_steps,
        variance=training_variance(training, data.columns),
        scored_against="observations",
        names=data.columns,
    )
    views = [view] * TRAININGS
    return train_any(candidate, views, 0, "final", "cpu", lambda: None)[0]


def measure(
    data: Data, horizon_steps: int, options: argparse.Namespace, space: Mapping[str, object]
) -> Row:
    """Search for a horizon, then score what is found on the test."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_table(folder / "columns.csv", data)
        sections = study_sections(
            folder / "columns.csv", data, horizon_steps, options.period, space
        )
        ran = run_study(folder, sections, options.minutes, options.workers)
        candidate = read_export(ran.export).candidate
    starts = data.spans.starts(horizon_steps)
    best = ran.tested.best_baseline

    def tested(candidate: AnyCandidate) -> float:
        checkpoint = trained(candidate, data, horizon_steps)
        return squared_error(checkpoint, data.values, starts, horizon_steps)

    return Row(
        horizon_steps=horizon_steps,
        winner=tested(candidate),
        validated=ran.tested.validated,
        baseline=tested(best.candidate),
        baseline_validated=best.nmse,
        baseline_name=best.name,
        seasonal_naive=seasonal_naive_error(data.values, starts, horizon_steps, options.period),
        published=published(options, horizon_steps),
        what=ran.tested.what,
        trials=ran.trials,
        seconds=ran.seconds,
    )


def published(options: argparse.Namespace, horizon_steps: int) -> Mapping[str, float]:
    """Published errors by name, where the data are those of the protocol."""
    if list(options.columns) != ["all"] or tuple(options.spans) != SPANS:
        return {}
    figures = PUBLISHED.get(options.file.stem, {}).get(horizon_steps, ())
    return dict(zip(_HEADS, figures, strict=False))


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    heads = ["H", "winner", "best baseline", "seasonal naive", *_HEADS]
    heads += ["winner is", "baseline is", "winner validates", "baseline validates"]
    heads += ["complete trials", "study s"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        own = [row.winner, row.baseline, row.seasonal_naive]
        cells = [str(row.horizon_steps), *(f"{value:.3f}" for value in own)]
        cells += [f"{row.published[n]:.3f}" if n in row.published else "" for n in _HEADS]
        cells += [row.what.replace("|", "/"), row.baseline_name]
        cells += [f"{row.validated:.3f}", f"{row.baseline_validated:.3f}"]
        cells += [str(row.trials), f"{row.seconds:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def read_space(path: Path | None) -> Mapping[str, object]:
    """Return the [space] of a TOML file, which narrows or widens that of the studies."""
    if path is None:
        return {}
    try:
        space = tomllib.loads(path.read_text()).get("space", {})
    except (OSError, ValueError) as error:
        raise UsageError(f"--space must be a TOML file, but {path}: {error}") from None
    if not isinstance(space, Mapping) or not space:
        raise UsageError(f"--space must name a file with a section [space], but {path} has none")
    return space


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--horizons", nargs="+", type=count, default=list(HORIZONS))
    parser.add_argument("--columns", nargs="+", default=["all"], help="all, or names")
    parser.add_argument("--minutes", type=seconds, default=3.0, help="of each study")
    parser.add_argument("--workers", type=count, help="processes; else one per CPU")
    parser.add_argument("--space", type=Path, help="a file whose [space] the studies search")
    parser.add_argument("--period", type=count, default=24, help="in steps")
    parser.add_argument(
        "--spans",
        nargs=3,
        type=count,
        default=list(SPANS),
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="rows of each",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure horizon by horizon, then print."""
    options = parse(arguments)
    torch.set_num_threads(1)
    with end_with_messages():
        spans, longest = Spans(*options.spans), max(options.horizons)
        if longest > min(spans.validation, spans.test):
            raise UsageError(
                f"--horizons must fit in validation and test, but got {longest} with --spans "
                f"{' '.join(map(str, options.spans))}; shorten them"
            )
        if not 1 < options.period <= spans.train:
            raise UsageError(
                f"--period must be at least 2 and within the {spans.train} training rows, but got "
                f"{options.period}"
            )
        data, space = read_data(options.file, options.columns, spans), read_space(options.space)
        rows = []
        for horizon_steps in options.horizons:
            rows.append(measure(data, horizon_steps, options, space))
            print(f"{horizon_steps}: {asdict(rows[-1])}", file=sys.stderr, flush=True)
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
