"""The files that a completed trial keeps: pictures of its free runs, errors and losses, a table.

matplotlib draws them: workers make pictures, and they need no plotly.
"""

import io
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from matplotlib.axis import Axis as Ticks
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from search.analysis.wording import SCORE_OVER, counted, shown_score, truth_name
from search.evaluation import CandidateResult, ReplicaResult
from search.plotting.drawing import Axis, Drawing, logarithmic_means
from search.plotting.free_runs import HORIZON, replicas_drawing, rollout_drawing
from search.plotting.panels import channel_drawings, left_out, panels_png
from search.plotting.raster import DOTS_PER_INCH, INCHES, line_of, png_of
from search.series import FloatArray
from search.storage.records import Artifact

ROLLOUT, CURVE = "rollout.png", "curve.csv"
BEST_ROLLOUT, ERRORS, LOSSES = "rollout-best.png", "error-by-horizon.png", "training-loss.png"

# A trial is poor from this score on, and only one picture of it is worth its time and its bytes: a
# constant at the mean has about this error.
POOR_SCORE = 1.0

# Up to so many decades, ticks are at 1, 2, 5, 10; beyond, at powers of ten, at most so many.
_FINE_DECADES, _MOST_TICKS = 2.5, 8


def trial_artifacts(result: CandidateResult, title: str = "") -> list[Artifact]:
    """Return the files of a candidate's result in the order of their importance.

    All have the free run of the median replica and the error by horizon step as a table. Only those
    that are not poor have the free run of the best replica, where it is another one, and pictures
    of errors and training losses.

    title: what the pictures are of, such as "trial 12". They are 900 x 380 pixels.
    """
    median = result.median_replica
    files = [
        Artifact(ROLLOUT, _rollout_picture(result, median, title)),
        Artifact(CURVE, curve_csv(result.curve)),
    ]
    if result.score >= POOR_SCORE:
        return files
    if result.best_replica is not median:
        best = _rollout_picture(result, result.best_replica, title)
        files.append(Artifact(BEST_ROLLOUT, best))
    files.append(Artifact(ERRORS, _error_picture(result, title)))
    files.append(Artifact(LOSSES, _loss_picture(result, title)))
    return files


def curve_csv(curve: FloatArray) -> bytes:
    """NMSE by horizon step `[horizon]` as CSV, five significant digits."""
    rows = (f"{step},{error:.5g}\n" for step, error in enumerate(curve, start=1))
    return ("horizon_step,nmse\n" + "".join(rows)).encode()


def read_curve_csv(content: bytes) -> FloatArray:
    """The curve that `curve_csv` wrote, `[horizon]`."""
    table = np.genfromtxt(io.BytesIO(content), delimiter=",", skip_header=1, ndmin=2)
    return np.asarray(table[:, 1], dtype=np.float64)


def _rollout_picture(result: CandidateResult, replica: ReplicaResult, title: str) -> bytes:
    """A replica's first free run, under the score and the verdict; a panel for each channel."""
    replicas = counted(len(result.replicas), "replica")
    over = SCORE_OVER[result.averaging].split(",")[0]
    score = f"score {shown_score(result.score)}: {over} of {replicas} against the "
    place = "best" if replica is result.best_replica else "median"
    if len(result.replicas) == 1:
        place = "only"
    example = replica.example
    words: dict[str, Any] = {
        "truth_name": truth_name(result.scored_against),
        "network_name": f"free run ({place} replica, NMSE {shown_score(replica.scores.nmse)})",
        "x_title": "step",
    }
    headings = title, score + result.scored_against, replica.verdict
    if example.others:
        drawings = channel_drawings(example, **words)
        return panels_png(drawings, _heading(*headings), left_out(example))
    return _png(rollout_drawing(example, **words), *headings)


def _error_picture(result: CandidateResult, title: str) -> bytes:
    """NMSE by horizon step of every replica and their median."""
    curves = [logarithmic_means(replica.scores.curve) for replica in result.replicas]
    steps, errors = curves[0][0], np.stack([means for _, means in curves])
    x = Axis(HORIZON, is_log=True, limits=(1.0, max(float(steps[-1]), 2.0)))
    heading = f"error by horizon, mean {shown_score(result.score)}"
    return _png(replicas_drawing(steps, errors, x, "NMSE"), title, heading, result.verdict)


def _loss_picture(result: CandidateResult, title: str) -> bytes:
    """The training loss of every replica at the steps where it was noted, and their median.

    It is the least of a replica's restarts, in squared standard deviations of the training span.
    """
    steps = np.array(list(result.replicas[0].loss_curve), dtype=float)
    losses = np.array([list(replica.loss_curve.values()) for replica in result.replicas])
    x = Axis("optimiser step", limits=(0.0, float(steps[-1]) * 1.02))
    last = shown_score(float(np.median(losses[:, -1])))
    drawing = replicas_drawing(steps, losses, x, "training loss", has_points=True)
    return _png(drawing, title, f"training loss, at the end {last}")


def _png(drawing: Drawing, *headings: str) -> bytes:
    """A drawing of numbers as 900 x 380 pixels, with headings in one line above its legend."""
    return _canvas(drawing.x.is_log, drawing.y.is_log).png(drawing, _heading(*headings))


def _heading(*parts: str) -> str:
    return "  ·  ".join(part for part in parts if part)


class _Canvas:
    """One figure for all pictures of a kind: making axes costs as much as drawing them."""

    def __init__(self, x_log: bool, y_log: bool) -> None:
        # Workers may be threads of one process.
        self._lock = Lock()
        self._figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH)
        self._agg = FigureCanvasAgg(self._figure)
        self._axes = axes = self._figure.add_axes((0.075, 0.13, 0.91, 0.70))
        axes.set_xscale("log" if x_log else "linear")
        axes.set_yscale("log" if y_log else "linear")
        # Within the picture, however long the labels of the ticks are.
        axes.yaxis.set_label_coords(-0.064, 0.5)
        if y_log:
            axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        self._heading = self._figure.text(0.075, 0.985, "", va="top", fontsize=10, weight="bold")
        self._mark = axes.axvline(1, color="#444444", linewidth=1.0, linestyle=":")
        self._label = axes.annotate(
            "",
            (1, 0.04),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        )
        self._lines: list[Line2D] = []

    def png(self, drawing: Drawing, heading: str) -> bytes:
        with self._lock:
            self._set_lines(drawing)
            self._set_axes(drawing)
            self._heading.set_text(heading)
            return png_of(self._agg)

    def _set_lines(self, drawing: Drawing) -> None:
        for line in self._lines:
            line.remove()
        self._lines = [line_of(line) for line in drawing.lines]
        for artist in self._lines:
            self._axes.add_line(artist)
        self._axes.legend(
            handles=self._lines[::-1],  # the front line first
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            ncols=len(self._lines),
            frameon=False,
            fontsize=9,
        )

    def _set_axes(self, drawing: Drawing) -> None:
        axes = self._axes
        axes.set_xlabel(drawing.x.title)
        axes.set_ylabel(drawing.y.title)
        x = np.concatenate([np.asarray(line.x, dtype=float) for line in drawing.lines])
        axes.set_xlim(*(drawing.x.limits or (np.nanmin(x), np.nanmax(x))))
        if drawing.y.limits is not None:
            axes.set_ylim(*drawing.y.limits)
        if drawing.x.is_log:
            _logarithmic_ticks(axes.xaxis, *axes.get_xlim())
        if drawing.y.is_log:
            _logarithmic_ticks(axes.yaxis, *axes.get_ylim())
        self._mark.set_visible(drawing.mark is not None)
        self._label.set_visible(drawing.mark is not None)
        if drawing.mark is not None:
            place = float(drawing.mark[0])
            self._mark.set_xdata([place, place])
            self._label.xy = (place, 0.04)
            self._label.set_text(drawing.mark[1])


_canvas = cache(_Canvas)


def _logarithmic_ticks(axis: Ticks, low: float, high: float) -> None:
    """Plain numbers at 1, 2, 5, 10, or at powers of ten where these would be too many."""
    is_fine = np.log10(high / low) <= _FINE_DECADES
    subs = (1.0, 2.0, 5.0) if is_fine else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=_MOST_TICKS if not is_fine else 12))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
