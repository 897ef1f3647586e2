"""A known column whose effect depends on the state: a search with it as an input, and without.

    python benchmarks/known_inputs.py --trials 80 --picture docs/pictures/known-inputs.png

The series has a season of 24 rows, whose amplitude a switch triples; when it is on is known in
advance. What the switch adds to a row is nothing in the mean, so that a regression on it gains
nothing. Two studies of as many trials search GRU and LSTM, with a regression on the switch or
without one: in the first no network reads the switch, in the second each does. Prints a Markdown
table of what they won with, and draws both winners' forecasts of the rows after the table. Each
study runs in this process alone, so that it can be repeated.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

import freerun
from benchmarks.command import count, end_with_messages
from search.export import read_export
from search.files import write_file
from search.plotting.drawing import COLOURS
from search.plotting.raster import png_of

ROWS, HORIZON, PERIOD, NOISE_STD = 2000, 96, 24, 0.1
CELLS = ("gru", "lstm")
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Searched:
    """What a study found: its winner, scores in NMSE, and the winner's forecast `[step]`."""

    name: str
    winner: str
    validation: float
    test: float
    forecast: FloatArray


def rows(seed: int) -> polars.DataFrame:
    """The series `load`, the horizon after the table included, and the switch `promotion`."""
    dice = np.random.default_rng(seed)
    total, row = ROWS + HORIZON, 0
    is_on = np.zeros(total)
    while row < total:
        length = int(dice.integers(6, 24))
        is_on[row : row + length] = dice.integers(0, 2)
        row += length
    season = np.sin(2 * np.pi * np.arange(total) / PERIOD)
    load = 10.0 + (1.0 + 2.0 * is_on) * season + NOISE_STD * dice.normal(size=total)
    start = polars.datetime(2024, 1, 1)
    times = polars.datetime_range(start, start.dt.offset_by(f"{total - 1}h"), "1h", eager=True)
    return polars.DataFrame({"time": times, "load": load, "promotion": is_on})


def search(name: str, own: polars.DataFrame, reads: bool, trials: int, folder: Path) -> Searched:
    """Run a study, test its winner, and let it forecast the rows after the table."""
    study = freerun.Study(
        own.head(ROWS),
        horizon=HORIZON,
        name=name,
        series={"known": ["promotion"], "period": PERIOD},
        space={"cell": CELLS, "known_inputs": [reads]},
        storage=f"sqlite:///{folder / 'freerun.db'}",
    )
    study.run(trials=trials, workers=0, progress=False)
    study.export(folder / name)
    forecaster = freerun.load(folder / name)
    later = own.tail(HORIZON).select("time", "promotion")
    ahead = forecaster.forecast(own.head(ROWS), HORIZON, future=later)["load"].to_numpy()
    score, test = forecaster.score, forecaster.test
    assert score is not None
    assert test is not None
    winner = read_export(folder / name)
    said = f"{winner.named}: {winner.candidate.description()}"
    return Searched(name, said, score.nmse, test.nmse, ahead)


def main(arguments: Sequence[str] | None = None) -> None:
    """Search with and without known inputs, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=count, default=80, help="of each study")
    parser.add_argument("--seed", type=int, default=0, help="of the series")
    parser.add_argument("--picture", type=Path, help="a PNG of both forecasts")
    chosen = parser.parse_args(arguments)
    own = rows(chosen.seed)
    with end_with_messages(), TemporaryDirectory() as folder:
        found = [
            search(name, own, reads, chosen.trials, Path(folder))
            for name, reads in (("without", False), ("with", True))
        ]
        truth = own["load"].to_numpy()
        print("| known_inputs | validation | test | rows after the table | winner |")
        print("|---|---|---|---|---|")
        for each in found:
            after = np.mean((each.forecast - truth[ROWS:]) ** 2) / truth[:ROWS].var()
            print(
                f"| {each.name} | {each.validation:.4f} | {each.test:.4f} | {after:.4f} "
                f"| {each.winner} |"
            )
        floor = NOISE_STD**2 / truth[:ROWS].var()
        sys.stderr.write(f"the noise alone: {floor:.4f}\n")
        if chosen.picture:
            write_file(chosen.picture, picture(own, found))


def picture(own: polars.DataFrame, found: Sequence[Searched]) -> bytes:
    """Both forecasts on the rows after the table, and when the switch is on, as a PNG."""
    figure = Figure(figsize=(9.0, 4.6), dpi=120, layout="constrained")
    panels = figure.subplots(len(found), 1, sharex=True, sharey=True)
    first, steps = ROWS - HORIZON // 2, np.arange(ROWS, ROWS + HORIZON)
    shown = np.arange(first, ROWS + HORIZON)
    load, is_on = (own[name].to_numpy()[first:] for name in ("load", "promotion"))
    for axes, each in zip(panels, found, strict=True):
        axes.fill_between(
            shown,
            0,
            1,
            where=is_on > 0,
            transform=axes.get_xaxis_transform(),
            step="mid",
            color=COLOURS["neutral"].light,
            alpha=0.2,
            linewidth=0,
            label="promotion",
        )
        axes.plot(shown, load, color=COLOURS["truth"].light, linewidth=1.0, label="load")
        axes.plot(steps, each.forecast, color=COLOURS["free-run"].light, label="free run")
        axes.axvline(ROWS - 0.5, color=COLOURS["neutral"].light, linewidth=0.8)
        axes.set_title(f"{each.name} known_inputs: test NMSE {each.test:.3g}", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=3, loc="outside upper right")
    panels[-1].set(xlabel="row", xlim=(first, ROWS + HORIZON))
    return png_of(FigureCanvasAgg(figure))


if __name__ == "__main__":
    main()
