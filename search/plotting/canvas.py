"""A drawing as a small PNG, by matplotlib: workers make pictures, and they need no plotly."""

import io
from collections.abc import Sequence
from functools import cache
from threading import Lock

import numpy as np
from matplotlib.axis import Axis as Ticks
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from PIL import Image

from search.plotting.drawing import Drawing, Line
from search.plotting.palette import COLOURS, Dash

_INCHES, _DOTS_PER_INCH = (9.0, 3.8), 100
# A picture has lines of five greys and colours; so many colours hold their soft edges, and the file
# is a third of one in full colour.
_PALETTE_COLOURS = 32
# Up to so many decades, ticks are at 1, 2, 5, 10; beyond, at powers of ten, at most so many.
_FINE_DECADES, _MOST_TICKS = 2.5, 8
_DASHES: dict[Dash, tuple[float, Sequence[float]] | None] = {
    "solid": None,
    "dash": (0, (5, 2)),
    "dot": (0, (1, 1.65)),
    "dashdot": (0, (6, 2, 1, 2)),
    "longdash": (0, (9, 3)),
    "longdashdot": (0, (9, 3, 1, 3)),
}


def png(drawing: Drawing, heading: str) -> bytes:
    """Return a drawing of numbers as 900 x 380 pixels, with a heading above its legend."""
    return _canvas(drawing.x.is_log, drawing.y.is_log).png(drawing, heading)


class _Canvas:
    """One figure for all pictures of a kind: making axes costs as much as drawing them."""

    def __init__(self, *, x_log: bool, y_log: bool) -> None:
        # Workers may be threads of one process.
        self._lock = Lock()
        self._figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH)
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
            self._agg.draw()  # type: ignore[no-untyped-call]
            pixels = np.asarray(self._agg.buffer_rgba())  # type: ignore[no-untyped-call]
        content = io.BytesIO()
        Image.fromarray(pixels).convert("RGB").quantize(
            _PALETTE_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        ).save(content, "PNG")
        return content.getvalue()

    def _set_lines(self, drawing: Drawing) -> None:
        for line in self._lines:
            line.remove()
        self._lines = [_artist(line) for line in drawing.lines]
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


@cache
def _canvas(x_log: bool, y_log: bool) -> _Canvas:
    return _Canvas(x_log=x_log, y_log=y_log)


def _artist(line: Line) -> Line2D:
    return Line2D(
        np.asarray(line.x, dtype=float),
        np.asarray(line.y, dtype=float),
        color=COLOURS[line.role].light,
        linewidth=line.width,
        linestyle=_DASHES[line.dash] or "-",
        marker="o" if line.marked else "",
        markevery=list(line.marked) or None,
        markersize=4,
        label=line.name,
    )


def _logarithmic_ticks(axis: Ticks, low: float, high: float) -> None:
    """Plain numbers at 1, 2, 5, 10, or at powers of ten where these would be too many."""
    is_fine = np.log10(high / low) <= _FINE_DECADES
    subs = (1.0, 2.0, 5.0) if is_fine else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=_MOST_TICKS if not is_fine else 12))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
