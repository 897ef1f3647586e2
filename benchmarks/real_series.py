"""Real series: a study that is told the task alone, beside its baselines and classical methods.

    python benchmarks/real_series.py FOLDER --minutes 3

FOLDER holds `series.json` and for each of its series NAME a NAME.csv with the columns time and
value. Of each series, `series.json` gives the period, the horizon, the rows, and on the last
`horizon_steps` rows, which are the test, the RMSE of repeating the last period before them and the
RMSE of classical methods relative to it:

    {"airline": {"period": 12, "horizon_steps": 24, "rows": 144, "seasonal_naive_rmse": 76.99,
                 "relative_rmse": {"AutoETS": 1.018}}}

A study file names the table, the period and the task, and nothing else; a period of 1 is none. The
spans follow from rows, period and horizon by the rule of `freerun init` (`search.starter.spans`).

Each study runs by `freerun run` until its minutes are spent, in a temporary folder. Prints a
Markdown table of RMSE on the test relative to that seasonal naive: of the winner, of the study's
own baselines, and of the classical methods; then geometric means over the series that all have
figures for. What chooses the best baseline has seen the test: it is what a winner has to reach, not
what a user could have had.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from benchmarks.command import count, end_with_messages, seconds
from benchmarks.ordinary_study import Ran, run_study
from models.baselines.baseline import baselines
from search.errors import FreerunError, UsageError
from search.series import FloatArray
from search.series.tables import read_table
from search.starter.spans import spans

# Behind the best baseline by more than this share of its RMSE counts as behind.
BEHIND = 0.05
# How far the file's RMSE of seasonal naive may be from that of the rows, relative to it.
TOLERANCE = 1e-6


class Series(BaseModel):
    """An entry of series.json; relative_rmse: of methods by name."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    period: int = Field(ge=1)
    horizon_steps: int = Field(ge=1)
    rows: int = Field(ge=1)
    seasonal_naive_rmse: float = Field(gt=0)
    relative_rmse: Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """What a study reached: RMSE relative to seasonal naive, of the winner and the baselines.

    winner: None where the study was refused or failed; then `what` says why.
    """

    name: str
    winner: float | None
    baselines: Mapping[str, float]
    classical: Mapping[str, float]
    what: str
    trials: int
    seconds: float

    @property
    def best_baseline(self) -> float | None:
        return min(self.baselines.values(), default=None)

    @property
    def is_behind(self) -> bool:
        """Whether the winner is clearly worse than the best of the study's own baselines."""
        best = self.best_baseline
        return self.winner is not None and best is not None and self.winner > (1 + BEHIND) * best


def read_folder(folder: Path) -> dict[str, Series]:
    """Return the series of series.json by name; UsageError where it holds something else."""
    path = folder / "series.json"
    try:
        return TypeAdapter(dict[str, Series]).validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"FOLDER must hold series.json, but {path} can't be read: {error.strerror}; name the "
            "folder of the series"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise UsageError(f"{path}, {place}: {first['msg']}; correct it there") from None


def read_values(folder: Path, name: str, series: Series) -> FloatArray:
    """Return the rows `[time]` of a series.

    Raises SeriesError for a table that can't be read; UsageError where it is not the one that
    series.json speaks of, or too short.
    """
    path = folder / f"{name}.csv"
    values = read_table(path, "time", ["value"]).values[:, 0]
    if len(values) != series.rows:
        raise UsageError(
            f"{path} must have the {series.rows} rows that series.json gives, but has "
            f"{len(values)}; correct one of them"
        )
    before = series.rows - series.horizon_steps
    if before < series.period:
        raise UsageError(
            f"{path} must have a period of {series.period} rows before the last "
            f"{series.horizon_steps}, but has {before}; shorten the horizon"
        )
    found = seasonal_naive_rmse(values, series)
    if abs(found - series.seasonal_naive_rmse) > TOLERANCE * found:
        raise UsageError(
            f"{path}: the RMSE of seasonal naive must be the seasonal_naive_rmse of series.json, "
            f"{series.seasonal_naive_rmse:g}, but is {found:g}; correct rows, period or horizon"
        )
    return values


def seasonal_naive_rmse(values: FloatArray, series: Series) -> float:
    """RMSE over the test of the last period before it, again and again; in the series' units."""
    before, test = values[: -series.horizon_steps], values[-series.horizon_steps :]
    forecast = np.resize(before[-series.period :], series.horizon_steps)
    return float(np.sqrt(np.mean((forecast - test) ** 2)))


def relative_rmse(nmse: float, values: FloatArray, series: Series) -> float:
    """RMSE relative to seasonal naive of an NMSE over the test, as the records hold it.

    Both squared errors are divided by the variance of the rows before the test: it is the root of
    NMSE over the NMSE of seasonal naive.
    """
    variance = float(values[: -series.horizon_steps].var())
    return math.sqrt(nmse * variance) / seasonal_naive_rmse(values, series)


def study_sections(path: Path, name: str, series: Series) -> dict[str, object]:
    """Return the content of a study file that says the task alone."""
    table: dict[str, object] = {"source": "table", "path": str(path.resolve())}
    table |= {"time": "time", "columns": ["value"]}
    if series.period > 1:
        table["period"] = series.period
    task, search = spans(series.rows, series.period, series.horizon_steps)
    return {"name": name, "series": table, "task": task, "search": search}


def measure(folder: Path, name: str, series: Series, minutes: float, workers: int | None) -> Row:
    """Run the study of a series; one that is refused, fails or finds nothing is a row, too."""
    values = read_values(folder, name, series)
    sections = study_sections(folder / f"{name}.csv", name, series)
    with TemporaryDirectory() as temporary:
        try:
            ran = run_study(Path(temporary), sections, minutes, workers)
        except FreerunError as error:
            return Row(name, None, {}, series.relative_rmse, f"none: {error}", 0, 0.0)
    return row_of(name, ran, values, series)


def row_of(name: str, ran: Ran, values: FloatArray, series: Series) -> Row:
    """Return the row of a study that has run."""
    tested = ran.tested
    return Row(
        name=name,
        winner=relative_rmse(tested.nmse, values, series),
        baselines={b: relative_rmse(v, values, series) for b, v in tested.baselines.items()},
        classical=series.relative_rmse,
        what=tested.what,
        trials=ran.trials,
        seconds=ran.seconds,
    )


def columns(row: Row) -> dict[str, float]:
    """The figures of a row by the heads of their columns."""
    labels = {name: kind.short_label for name, kind in baselines().items()}
    own = {f"{labels.get(name, name)} (own)": value for name, value in row.baselines.items()}
    figures = {} if row.winner is None else {"winner": row.winner}
    figures |= {} if row.best_baseline is None else {"best own": row.best_baseline}
    figures |= own | dict(row.classical)
    return figures | ({"best classical": min(row.classical.values())} if row.classical else {})


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, the geometric means last."""
    figures = [columns(row) for row in rows]
    fullest = max(figures, key=len)
    names = [*fullest, *(n for each in figures for n in each if n not in fullest)]
    heads = ["series", *dict.fromkeys(names), "winner is", "complete trials", "seconds"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row, own in zip(rows, figures, strict=True):
        told = [row.what.replace("|", "/"), str(row.trials), f"{row.seconds:.0f}"]
        lines.append(_line(row.name, [own.get(name) for name in heads[1:-3]], told))
    means = geometric_means(rows)
    lines.append(_line("geometric mean", [means.get(name) for name in heads[1:-3]], ["", "", ""]))
    return "\n".join(lines)


def geometric_means(rows: Sequence[Row]) -> dict[str, float]:
    """Of each column, over the series whose study found a winner; of columns without a gap."""
    figures = [columns(row) for row in rows if row.winner is not None]
    shared = [name for name in (figures[0] if figures else {}) if all(name in f for f in figures)]
    return {name: _geometric_mean([own[name] for own in figures]) for name in shared}


def _geometric_mean(values: Sequence[float]) -> float:
    return 0.0 if min(values) == 0 else math.exp(float(np.mean(np.log(values))))


def _line(head: str, figures: Sequence[float | None], told: Sequence[str]) -> str:
    cells = [head, *("" if value is None else f"{value:.3g}" for value in figures), *told]
    return f"| {' | '.join(cells)} |"


def said(rows: Sequence[Row]) -> str:
    """How often the winner is behind the best of its own baselines, and what has no winner."""
    found = [row for row in rows if row.winner is not None]
    behind = [row.name for row in found if row.is_behind]
    text = f"more than {BEHIND:.0%} behind the best own baseline: {len(behind)} of {len(found)}"
    lines = [f"{text} ({', '.join(behind)})" if behind else text]
    if lacking := [row.name for row in rows if row.winner is None]:
        lines.append(f"without a winner, and in no mean: {', '.join(lacking)}")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure series by series, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--minutes", type=seconds, default=3.0, help="of each study")
    parser.add_argument("--workers", type=count, help="processes; else one per CPU")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these series alone")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)
    with end_with_messages():
        known = read_folder(options.folder)
        rows = []
        for name in options.only or known:
            if name not in known:
                raise UsageError(f"--only must name series of {', '.join(known)}, but got {name}")
            rows.append(
                measure(options.folder, name, known[name], options.minutes, options.workers)
            )
            # All of it at once: a run that is cut off has shown what it found.
            print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)
    if options.json:
        plain = [
            {**asdict(row), "best_baseline": row.best_baseline, "is_behind": row.is_behind}
            for row in rows
        ]
        print(json.dumps({"rows": plain, "geometric_means": geometric_means(rows)}, indent=2))
        return
    print(table(rows), said(rows), sep="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
