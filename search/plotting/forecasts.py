"""The picture of a forecast: the end of the series, the forecast, and its bands.

A page of plotly's, or a PNG of matplotlib's; several channels have a panel each.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter, MaxNLocator

from search.plotting.charts import chart, on_either_page
from search.plotting.drawing import COLOURS, Area, Axis, Drawing, Line, Position, visible
from search.plotting.panels import panels_chart
from search.plotting.raster import DOTS_PER_INCH, INCHES, line_of, png_of
from search.series import FloatArray, Table

# A band of a level in percent, its lower and its upper ends `[step, channel]`.
Limits = tuple[float, FloatArray, FloatArray]

# Rows that are shown before the forecast, in horizons; at least so many.
_SHOWN_HORIZONS, _SHOWN_ROWS = 2, 60
MOST_CHANNELS = 6
# The narrowest band is the strongest.
_OPACITIES = (0.38, 0.24, 0.16)
_COLUMNS, _PANEL_INCHES = 2, 2.6
_MOST_LABELS = 5


def forecast_drawings(
    history: Table, point: Table, bands: Sequence[Limits], *, by_row: bool = False
) -> list[tuple[str, Drawing]]:
    """A drawing for each of the first channels, with its name.

    history: the rows before the forecast; point: the forecast; bands: the narrowest first. by_row:
    whether rows are placed by their number within `history` and beyond it, not by their times.
    """
    first = max(0, history.rows - max(_SHOWN_HORIZONS * point.rows, _SHOWN_ROWS))
    places: Sequence[Position] = range(history.rows + point.rows)
    if not by_row:
        places = _positions((*history.times, *point.times))
    drawn = []
    for channel, name in enumerate(history.columns[:MOST_CHANNELS]):
        known, ahead = history.values[first:, channel], point.values[:, channel]
        # A forecast goes on from the last row, without a gap.
        run, at = np.concatenate([known[-1:], ahead]), places[history.rows - 1 :]
        areas = [
            _area(level, at, _joined(known, low[:, channel]), _joined(known, high[:, channel]), own)
            for own, (level, low, high) in enumerate(bands)
        ]
        lines = [
            _line("series", "observed", places[first : history.rows], known, 1.2),
            _line("forecast", "free-run", at, run, 2.0),
        ]
        drawn.append((name, _drawing(lines, areas[::-1], history, point.rows)))
    return drawn


def forecast_page(history: Table, point: Table, bands: Sequence[Limits], title: str) -> str:
    """One HTML page that needs nothing else."""
    # Imported here: it takes half a second that no PNG should wait for.
    import plotly.io

    drawings = forecast_drawings(history, point, bands)
    if len(drawings) == 1:
        made = chart(drawings[0][1], height=480)
    else:
        made = panels_chart(drawings)
    page: str = plotly.io.to_html(on_either_page(made, title), include_plotlyjs=True)
    return page


def forecast_png(history: Table, point: Table, bands: Sequence[Limits], title: str) -> bytes:
    """A PNG, 900 pixels wide."""
    drawings = forecast_drawings(history, point, bands, by_row=True)
    columns = min(_COLUMNS, len(drawings))
    rows = math.ceil(len(drawings) / columns)
    height = INCHES[1] if len(drawings) == 1 else _PANEL_INCHES * rows + 0.8
    picture = Picture(figsize=(INCHES[0], height), dpi=DOTS_PER_INCH, layout="constrained")
    canvas = FigureCanvasAgg(picture)
    times = (*history.times, *point.times)
    for number, (name, drawing) in enumerate(drawings):
        axes = picture.add_subplot(rows, columns, number + 1)
        _draw(axes, drawing, times)
        axes.set_ylabel(name, fontsize=9)
    handles, labels = picture.axes[0].get_legend_handles_labels()
    picture.suptitle(title, fontsize=10, weight="bold", x=0.01, ha="left")
    picture.legend(
        handles, labels, loc="outside upper right", ncols=len(labels), frameon=False, fontsize=9
    )
    return png_of(canvas)


def _draw(axes: Axes, drawing: Drawing, times: Sequence[str]) -> None:
    for area in drawing.areas:
        axes.fill_between(
            np.asarray(area.x, dtype=float),
            area.low,
            area.high,
            color=COLOURS[area.role].light,
            alpha=area.opacity,
            linewidth=0,
            label=area.name,
        )
    for line in drawing.lines:
        axes.add_line(line_of(line))
    x = [float(value) for line in drawing.lines for value in line.x]
    axes.set_xlim(min(x), max(x))
    axes.margins(y=0.06)
    axes.relim()
    axes.autoscale_view(scalex=False)
    if drawing.mark is not None:
        axes.axvline(float(drawing.mark[0]), color="#444444", linewidth=1.0, linestyle=":")
    axes.xaxis.set_major_locator(MaxNLocator(_MOST_LABELS, integer=True, prune="both"))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda row, _place: times[round(row)] if 0 <= row < len(times) else "")
    )
    axes.tick_params(labelsize=8)
    axes.set_xlabel(drawing.x.title, fontsize=9)


def _joined(known: FloatArray, ends: FloatArray) -> FloatArray:
    """The ends of a band, which opens at the last known value."""
    return np.concatenate([known[-1:], ends])


def _line(
    name: str, role: str, places: Sequence[Position], values: FloatArray, width: float
) -> Line:
    kept = visible(values)
    y = [float(f"{value:.6g}") for value in values[kept]]
    return Line(name, role, [places[i] for i in kept], y, width)  # type: ignore[arg-type]


def _area(
    level: float, at: Sequence[Position], low: FloatArray, high: FloatArray, rank: int
) -> Area:
    opacity = _OPACITIES[min(rank, len(_OPACITIES) - 1)]
    return Area(f"{level:g} %", "free-run", list(at), low.tolist(), high.tolist(), opacity)


def _drawing(lines: Sequence[Line], areas: Sequence[Area], history: Table, steps: int) -> Drawing:
    last = lines[1].x[0]
    return Drawing(
        lines=lines,
        x=Axis(history.time_column),
        y=Axis(history.columns[0] if len(history.columns) == 1 else ""),
        mark=(last, ""),
        areas=areas,
    )


def _positions(times: Sequence[str]) -> list[Position]:
    """The time labels as positions: numbers, or dates as plotly reads them."""
    try:
        return [float(label) for label in times]
    except ValueError:
        return [label.replace("/", "-") for label in times]
