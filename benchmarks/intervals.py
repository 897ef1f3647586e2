"""Prediction intervals of real series: what they hold on the test, and how wide they are.

    python benchmarks/intervals.py FOLDER --minutes 0.5

FOLDER and the study of each of its series are those of `benchmarks/real_series.py`. Of the winner's
export this measures which share of the test, its last `horizon_steps` rows, an interval of 80 %
holds, and the median of its width over these steps, relative to that of the intervals of the
study's own seasonal naive forecast (of the last value where the series has no season), which are
made in the same way. Intervals are made from the free runs over validation; no choice has seen the
test.

With --keep DIR, studies are kept there, and a series whose study is there already is measured
without running it again. Prints a Markdown table; its last line has the means of shares, and the
median of widths. The target: a mean share between 72 and 88 %, and a median width of at most 1.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.command import count, end_with_messages, seconds
from benchmarks.ordinary_study import run_study
from benchmarks.real_series import Series, read_folder, read_values, study_sections
from models.baselines.naive import Persistence, SeasonalNaive
from search.errors import FreerunError, UsageError
from search.export import Export
from search.export.of_study import export_of
from search.storage.opening import open_storage
from search.storage.study_store import StudyReader

LEVEL = 80.0
LEAST_SHARE, MOST_SHARE, MOST_WIDTH = 72.0, 88.0, 1.0


@dataclass(frozen=True)
class Row:
    """What was measured of a series, shares in percent.

    width: relative to that of the naive one. winner: what won; where the study was refused or
    failed, why, and the figures are None.
    """

    name: str
    test: float | None
    validation: float | None
    width: float | None
    naive_test: float | None
    widening: float | None
    runs: int | None
    winner: str


def measure(
    folder: Path, name: str, series: Series, minutes: float, workers: int | None, kept: Path
) -> Row:
    """Run the study of a series in a folder, or take the one that is there."""
    read_values(folder, name, series)  # which checks it
    own, sections = kept / name, study_sections(folder / f"{name}.csv", name, series)
    try:
        if not (own / "out" / "export").is_dir():
            own.mkdir(parents=True, exist_ok=True)
            run_study(own, sections, minutes, workers)
        with open_storage(f"sqlite:///{own / 'study.db'}", create=False) as storage:
            study = storage.study(name)
            return row_of(name, export_of(study), naive_export(study))
    except FreerunError as error:
        return Row(name, None, None, None, None, None, None, f"none: {error}")


def naive_export(study: StudyReader) -> Export:
    """The export of the seasonal naive forecast; without a season, of the last value."""
    try:
        return export_of(study, baseline=SeasonalNaive.name)
    except UsageError:
        return export_of(study, baseline=Persistence.name)


def row_of(name: str, winner: Export, naive: Export) -> Row:
    """Return what the intervals of an export hold, and how wide they are beside naive ones."""
    assert winner.intervals is not None
    assert naive.intervals is not None
    found = winner.intervals.coverage(LEVEL)
    return Row(
        name=name,
        test=found.test,
        validation=found.validation,
        width=median_width(winner) / median_width(naive),
        naive_test=naive.intervals.coverage(LEVEL).test,
        widening=winner.intervals.widening,
        runs=winner.intervals.runs,
        winner=winner.named,
    )


def median_width(export: Export) -> float:
    """The median over the steps of the test of the width of an interval."""
    assert export.intervals is not None
    steps = export.definition.task.test_horizon_steps
    low, high = export.intervals.band(np.zeros((steps, export.intervals.channels)), LEVEL)
    return float(np.median(high - low))


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, means and medians last."""
    heads = ["series", "test %", "validation %", "width", "naive test %", "widened", "runs"]
    lines = [f"| {' | '.join([*heads, 'winner'])} |", "|---" * (len(heads) + 1) + "|"]
    for row in rows:
        figures = [row.test, row.validation, row.width, row.naive_test, row.widening, row.runs]
        told = ["" if value is None else f"{value:.3g}" for value in figures]
        lines.append(f"| {' | '.join([row.name, *told, row.winner.replace('|', '/')])} |")
    share, width, naive = summary(rows)
    lines.append(f"| mean, of width the median | {share:.3g} | | {width:.3g} | {naive:.3g} | | | |")
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> tuple[float, float, float]:
    """The mean share on the test, the median width, the mean share of naive intervals."""
    found = [row for row in rows if row.test is not None]
    if not found:
        raise UsageError("no series has a winner whose intervals could be measured")
    shares, widths, naive = (
        np.array([getattr(row, name) for row in found], dtype=float)
        for name in ("test", "width", "naive_test")
    )
    return float(shares.mean()), float(np.median(widths)), float(naive.mean())


def said(rows: Sequence[Row]) -> str:
    """Whether the target is met."""
    share, width, _ = summary(rows)
    is_met = LEAST_SHARE <= share <= MOST_SHARE and width <= MOST_WIDTH
    return (
        f"target ({LEAST_SHARE:g} to {MOST_SHARE:g} % of the test, median width at most "
        f"{MOST_WIDTH:g}): {'met' if is_met else 'missed'}"
    )


def main(arguments: list[str]) -> None:
    """Measure series by series, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--minutes", type=seconds, default=0.5, help="of each study")
    parser.add_argument("--workers", type=count, help="processes; else one per CPU")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these series alone")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where studies are kept")
    options = parser.parse_args(arguments)
    with end_with_messages(), TemporaryDirectory() as temporary:
        known, rows = read_folder(options.folder), []
        kept = Path(temporary) if options.keep is None else options.keep.resolve()
        for name in options.only or known:
            if name not in known:
                raise UsageError(f"--only must name series of {', '.join(known)}, but got {name}")
            given = options.minutes, options.workers, kept
            rows.append(measure(options.folder, name, known[name], *given))
            # All of it at once: a run that is cut off has shown what it found.
            print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)
        print(table(rows), said(rows), sep="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
