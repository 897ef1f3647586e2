"""The picture of a forecast: the end of the series, the forecast, and its bands.

A page of plotly's, or a PNG of matplotlib's; several channels have a panel each.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Picture

from search import __version__
from search.outputs import PAGE_MARK
from search.plotting.charts import chart, on_either_page
from search.plotting.drawing import COLOURS, Area, Axis, Drawing, Line, Position, rounded, visible
from search.plotting.panels import panels_chart
from search.plotting.raster import DOTS_PER_INCH, INCHES, line_of, png_of
from search.plotting.time_labels import label_times
from search.series import FloatArray, Table
from search.series.intervals import Interval

# A band of a level in percent, its lower and its upper ends `[step, channel]`.
Limits = tuple[float, FloatArray, FloatArray]

# Rows that are shown before the forecast, in horizons; at least so many. Of a long forecast, so
# that it has most of the picture, no more than a share of the horizon or so many, what is more.
_SHOWN_HORIZONS, _SHOWN_ROWS = 2, 60
_LONG_SHARE, _LONG_ROWS = 0.5, 200
MOST_CHANNELS = 6
# The narrowest band is the strongest.
_OPACITIES = (0.38, 0.24, 0.16)
_COLUMNS, _PANEL_INCHES = 2, 2.6
# Of a picture's width, what its panels have beside the labels of values.
_PANEL_SHARE = 0.9
# Widths of lines in points, and the least: with more rows than this beside each other on an inch,
# lines get thinner in proportion, so that their turns stay apart and the bands in sight.
_OBSERVED_WIDTH, _FORECAST_WIDTH, _LEAST_WIDTH = 1.2, 1.7, 0.6
_ROWS_PER_INCH = 20.0
# The edge of a band behind thinner lines, which shows it where it is no wider than a steep line.
_EDGE_WIDTH = 1.2


def forecast_drawings(
    history: Table, point: Table, bands: Sequence[Limits], *, by_row: bool = False
) -> list[tuple[str, Drawing]]:
    """A drawing for each of the first channels, with its name.

    history: the rows before the forecast; point: the forecast; bands: the narrowest first. by_row:
    whether rows are placed by their number within `history` and beyond it, not by their times.
    """
    first = max(0, history.rows - _shown_rows(point.rows))
    inches = _inches(min(MOST_CHANNELS, len(history.columns)))
    rows = history.rows - first + point.rows
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
            _line(
                "series",
                "observed",
                places[first : history.rows],
                history.observed[first:, channel],
                _thinner(_OBSERVED_WIDTH, rows, inches),
            ),
            _line("forecast", "free-run", at, run, _thinner(_FORECAST_WIDTH, rows, inches)),
        ]
        drawn.append((name, _drawing(lines, areas[::-1], history)))
    return drawn


def forecast_page(history: Table, point: Table, bands: Sequence[Limits], title: str) -> str:
    """One HTML page that needs nothing else."""
    # Imported here: it takes half a second that no PNG should wait for.
    import plotly.io

    drawings = forecast_drawings(history, point, bands)
    made = chart(drawings[0][1], height=480) if len(drawings) == 1 else panels_chart(drawings)
    page: str = plotly.io.to_html(on_either_page(made, title), include_plotlyjs=True)
    # By which a newer page knows that it may take the place of this one.
    return page.replace("<head>", f'<head>{PAGE_MARK}{__version__}">', 1)


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
        _draw(axes, drawing, times, history.interval, _inches(len(drawings)))
        axes.set_ylabel(name, fontsize=9)
    handles, labels = picture.axes[0].get_legend_handles_labels()
    picture.suptitle(title, fontsize=10, weight="bold", x=0.01, ha="left")
    picture.legend(
        handles, labels, loc="outside upper right", ncols=len(labels), frameon=False, fontsize=9
    )
    return png_of(canvas)


def _shown_rows(ahead: int) -> int:
    """How many rows before a forecast of so many are shown."""
    most = max(_LONG_ROWS, round(_LONG_SHARE * ahead))
    return max(_SHOWN_ROWS, min(_SHOWN_HORIZONS * ahead, most))


def _inches(panels: int) -> float:
    """The width of each of some panels."""
    return _PANEL_SHARE * INCHES[0] / min(_COLUMNS, panels)


def _thinner(width: float, rows: int, inches: float) -> float:
    """A line's width where so many rows are shown."""
    return max(_LEAST_WIDTH, width * min(1.0, _ROWS_PER_INCH * inches / rows))


def _draw(
    axes: Axes, drawing: Drawing, times: Sequence[str], interval: Interval, inches: float
) -> None:
    is_thin = min(line.width for line in drawing.lines) < _OBSERVED_WIDTH
    for area in drawing.areas:
        axes.fill_between(
            np.asarray(area.x, dtype=float),
            area.low,
            area.high,
            color=COLOURS[area.role].light,
            alpha=area.opacity,
            linewidth=_EDGE_WIDTH if is_thin else 0,
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
    rows = range(round(min(x)), round(max(x)) + 1)
    label_times(axes, times, interval, rows, inches)
    axes.tick_params(labelsize=8)
    axes.set_xlabel(drawing.x.title, fontsize=9)


def _joined(known: FloatArray, ends: FloatArray) -> FloatArray:
    """The ends of a band, which opens at the last known value."""
    return np.concatenate([known[-1:], ends])


def _line(
    name: str, role: str, places: Sequence[Position], values: FloatArray, width: float
) -> Line:
    kept = visible(values)
    y = [rounded(value, 6) for value in values[kept]]
    return Line(name, role, [places[i] for i in kept], y, width)  # type: ignore[arg-type]


def _area(
    level: float, at: Sequence[Position], low: FloatArray, high: FloatArray, rank: int
) -> Area:
    opacity = _OPACITIES[min(rank, len(_OPACITIES) - 1)]
    return Area(f"{level:g} %", "free-run", list(at), low.tolist(), high.tolist(), opacity)


def _drawing(lines: Sequence[Line], areas: Sequence[Area], history: Table) -> Drawing:
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
