"""Several channels side by side: a panel each, as a figure of plotly and as a PNG."""

import html
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Picture

from search.plotting.charts import Figure, chart, figure
from search.plotting.drawing import Drawing
from search.plotting.free_runs import rollout_drawing
from search.plotting.raster import DOTS_PER_INCH, INCHES, line_of, png_of
from search.records import Example

_COLUMNS = 3
# Shares of a figure's width and height between two panels.
_GAP_X, _GAP_Y = 0.07, 0.16
_ROW_PIXELS, _TOP_PIXELS, _NAME_PIXELS = 230, 70, 22
# Names of channels without a panel that are written out.
_NAMED = 12


def channel_drawings(example: Example, **words: Any) -> list[tuple[str, Drawing]]:
    """The free run of each shown channel, with its name; words: see `rollout_drawing`."""
    return [
        (
            run.name,
            rollout_drawing(
                Example(example.replica, example.first_step, run.observed, run.truth, run.forecast),
                y_title="",
                **words,
            ),
        )
        for run in example.shown_channels
    ]


def left_out(example: Example) -> str:
    """Which channels have no panel, in a sentence; "" where all have one."""
    names = example.channels[len(example.shown_channels) :]
    if not names:
        return ""
    named = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"Not shown: {named}{more}."


def panels_chart(drawings: Sequence[tuple[str, Drawing]]) -> Figure:
    """Draw one panel for each named drawing; one legend shows and hides a line in all of them."""
    rows, columns = _grid(len(drawings))
    made = figure([], {}, {}, height=90 + _ROW_PIXELS * rows)
    layout = made["layout"]
    layout["annotations"], layout["shapes"] = [], []
    layout["margin"]["t"] = _TOP_PIXELS
    # Above the names of the highest panels.
    inner = layout["height"] - _TOP_PIXELS - layout["margin"]["b"]
    layout["legend"]["y"] = 1 + _NAME_PIXELS / inner
    for number, (name, drawing) in enumerate(drawings):
        own, suffix = chart(drawing, height=0), "" if number == 0 else str(number + 1)
        row, column = divmod(number, columns)
        x, y = _shares(column, columns, _GAP_X), _shares(rows - 1 - row, rows, _GAP_Y)
        is_lowest = number + columns >= len(drawings)
        x_axis = {**own["layout"]["xaxis"], "domain": x, "anchor": f"y{suffix}"}
        if not is_lowest:
            x_axis["title"] = {"text": ""}
        layout[f"xaxis{suffix}"] = x_axis
        layout[f"yaxis{suffix}"] = {
            **own["layout"]["yaxis"],
            "domain": y,
            "anchor": f"x{suffix}",
        }
        for trace in own["data"]:
            axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "legendgroup": trace["name"]}
            made["data"].append({**trace, **axes, "showlegend": number == 0})
        for shape in own["layout"].get("shapes", []):
            refs = {"xref": f"x{suffix}", "yref": f"y{suffix} domain"}
            layout["shapes"].append({**shape, **refs})
        layout["annotations"].append(
            {
                "text": html.escape(name),
                "showarrow": False,
                "xref": "paper",
                "yref": "paper",
                "x": x[0],
                "y": y[1],
                "xanchor": "left",
                "yanchor": "bottom",
            }
        )
    return made


def panels_png(drawings: Sequence[tuple[str, Drawing]], heading: str, note: str) -> bytes:
    """The same as 900 x 380 pixels, under a heading, with a note at the bottom."""
    rows, columns = _grid(len(drawings))
    picture = Picture(figsize=INCHES, dpi=DOTS_PER_INCH)
    canvas = FigureCanvasAgg(picture)
    picture.text(0.05, 0.985, heading, va="top", fontsize=10, weight="bold")
    picture.text(0.05, 0.01, note, va="bottom", fontsize=8)
    lines = []
    for number, (name, drawing) in enumerate(drawings):
        axes = picture.add_subplot(rows, columns, number + 1)
        lines = [line_of(line) for line in drawing.lines]
        for line in lines:
            axes.add_line(line)
        x = [float(value) for line in drawing.lines for value in line.x]
        axes.set_xlim(min(x), max(x))
        if drawing.y.limits is not None:
            axes.set_ylim(*drawing.y.limits)
        if drawing.mark is not None:
            place = float(drawing.mark[0])
            axes.axvline(place, color="#444444", linewidth=1.0, linestyle=":")
        axes.set_title(name, fontsize=8, loc="left", pad=3)
        axes.tick_params(labelsize=7)
    picture.subplots_adjust(left=0.05, right=0.99, top=0.80, bottom=0.12, wspace=0.26, hspace=0.45)
    picture.legend(
        handles=lines[::-1],  # the front line first
        loc="upper left",
        bbox_to_anchor=(0.045, 0.945),
        ncols=len(lines),
        frameon=False,
        fontsize=9,
    )
    return png_of(canvas)


def _grid(panels: int) -> tuple[int, int]:
    """Rows and columns."""
    rows = math.ceil(panels / _COLUMNS)
    return rows, math.ceil(panels / rows)


def _shares(number: int, of: int, gap: float) -> list[float]:
    """The part of an axis that one of several panels has."""
    size = (1.0 - gap * (of - 1)) / of
    return [number * (size + gap), number * (size + gap) + size]
