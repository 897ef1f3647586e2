"""A completed trial's small files: its free run as a picture, its error by horizon as a table."""

import io
from collections.abc import Iterable
from functools import cache
from threading import Lock

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from search.evaluation import CandidateResult, Example
from search.results.extent import shown_context, value_range
from search.results.thinning import visible
from search.results.wording import counted, shown_score, truth_name
from search.series import FloatArray
from search.storage import Artifact

PICTURE, CURVE = "rollout.png", "curve.csv"

_INCHES, _DOTS_PER_INCH = (9.0, 3.8), 100
# The picture has lines of five greys and colours; this many hold their soft edges, and the file is
# a third of one in full colour.
_PALETTE_COLOURS = 32


def trial_artifacts(result: CandidateResult, title: str = "") -> list[Artifact]:
    """Return "rollout.png", 900 x 380 pixels, and "curve.csv" of a candidate's result.

    title: what the picture is of, such as "trial 12"; score and verdict stand beside it. The
    picture shows the first channel of the median replica's first free run; the curve is NMSE by
    horizon step, the median over replicas.
    """
    median = result.median_replica
    replicas = counted(len(result.replicas), "replica")
    heading = [
        f"score {shown_score(result.score)}: median NMSE of {replicas} against the "
        f"{result.scored_against}",
        f"{result.verdict}",
    ]
    picture = _canvas().draw(
        median.example,
        heading="  ·  ".join(([title] if title else []) + heading),
        free_run=f"free run (replica {median.index}, NMSE {shown_score(median.scores.nmse)})",
        truth=truth_name(result.scored_against),
    )
    return [Artifact(PICTURE, picture), Artifact(CURVE, curve_csv(result.curve))]


def curve_csv(curve: FloatArray) -> bytes:
    """NMSE by horizon step as CSV, five significant digits."""
    return _csv(("horizon_step", "nmse"), enumerate((f"{error:.5g}" for error in curve), start=1))


def read_curve_csv(content: bytes) -> FloatArray:
    """The curve that `curve_csv` wrote, `[horizon]`."""
    table = np.genfromtxt(io.BytesIO(content), delimiter=",", skip_header=1, ndmin=2)
    return np.asarray(table[:, 1], dtype=np.float64)


def _csv(header: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    lines = [",".join(header), *(",".join(map(str, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


@cache
def _canvas() -> "_RolloutCanvas":
    return _RolloutCanvas()


class _RolloutCanvas:
    """One figure for all pictures: making axes and ticks costs as much as drawing them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH)
        self._canvas = FigureCanvasAgg(self._figure)
        axes = self._axes = self._figure.add_axes((0.075, 0.13, 0.91, 0.70))
        (self._observed,) = axes.plot([], [], color="#9aa0a6", linewidth=0.9, label="observed")
        (self._truth,) = axes.plot([], [], color="#1f2328", linewidth=1.6)
        (self._forecast,) = axes.plot([], [], color="#c43e00", linewidth=1.9, linestyle=(0, (5, 2)))
        self._warm_up = axes.axvline(0, color="#444444", linewidth=1.0, linestyle=":")
        self._label = axes.annotate(
            "end of warm-up",
            (0, 0.04),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        )
        axes.set_xlabel("step")
        axes.set_ylabel("value")
        axes.margins(x=0)
        self._legend = axes.legend(
            handles=[self._observed, self._truth, self._forecast],
            labels=["", "", ""],
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            ncols=3,
            frameon=False,
            fontsize=9,
        )
        self._heading = self._figure.text(0.075, 0.985, "", va="top", fontsize=10, weight="bold")

    def draw(self, example: Example, *, heading: str, free_run: str, truth: str) -> bytes:
        """Return the picture of an example as PNG."""
        with self._lock:
            self._set(example)
            self._heading.set_text(heading)
            names = ("observed", truth, free_run)
            for text, name in zip(self._legend.get_texts(), names, strict=True):
                text.set_text(name)
            self._canvas.draw()  # type: ignore[no-untyped-call]
            pixels = Image.fromarray(
                np.asarray(self._canvas.buffer_rgba())  # type: ignore[no-untyped-call]
            )
            content = io.BytesIO()
            pixels.convert("RGB").quantize(
                _PALETTE_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
            ).save(content, "PNG")
            return content.getvalue()

    def _set(self, example: Example) -> None:
        context, first = shown_context(example), example.first_step
        observed = example.observed[len(example.observed) - context :]
        lines = (
            (self._observed, observed, first - context),
            (self._truth, example.truth, first),
            (self._forecast, example.forecast, first),
        )
        for line, values, start in lines:
            kept = np.array(visible(values), dtype=int)
            line.set_data(kept + start, values[kept])
        self._warm_up.set_xdata([first - 1, first - 1])
        self._label.xy = (first - 1, 0.04)
        self._axes.set_xlim(first - context, first + len(example.truth) - 1)
        self._axes.set_ylim(*value_range(example))
