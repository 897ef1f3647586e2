"""Pictures of a table: its series on the spans of a study, and the forecast after its end."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from models.methods import counted
from search.names import cut
from search.plotting.drawing import COLOURS, Line, Role, visible
from search.plotting.raster import DOTS_PER_INCH, line_of, png_of
from search.plotting.time_labels import label_times
from search.series import FloatArray, Table
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData

_WIDTH, _ONE, _PANEL, _AROUND = 9.0, 2.35, 1.5, 1.15
# Where panels begin and end, as shares of the width.
_LEFT, _RIGHT = 0.085, 0.985
# Channels with a panel of their own; the names of so many others are written out.
_PANELS, _NAMED = 6, 8
# Of what a long table holds, so that the title stays on one line.
_MOST_IN_TITLE = 50
# Periods that can be told apart in a panel, and rows that show a shape.
_MOST_PERIODS, _SHOWN_ROWS = 30, 60
_SHADE = 0.16
# The last rows have a panel of their own where they are at most so many of all.
_OWN_SHARE = 0.8


class _Row(NamedTuple):
    """A panel: its title, and which rows of the series it shows."""

    title: str
    channel: int
    rows: range


def spans_png(definition: StudyDefinition, table: Table) -> bytes:
    """Draw a table's series on the spans of a study as a PNG, 900 pixels wide."""
    return png_of(FigureCanvasAgg(spans_figure(definition, table)))


def spans_figure(definition: StudyDefinition, table: Table) -> Figure:
    """Draw a table's series on the spans of a study, which the legend names.

    Below the whole of a single series are its last rows, with a mark at each period. Of several,
    the first few have a panel each.
    """
    data = TaskData(definition, table)
    task, channels = definition.task, len(table.columns)
    shown = list(range(min(channels, _PANELS)))
    whole = range(table.rows)
    panels = [_Row("" if channels == 1 else table.columns[i], i, whole) for i in shown]
    period = _marked_period(definition, table)
    last = _last_rows(table.rows, 2 * task.horizon_steps, period)
    if channels == 1 and len(last) < _OWN_SHARE * table.rows:
        said = f"the last {len(last):,} rows"
        if period is not None:
            said += f"; dotted lines are one period of {period:.4g} steps apart"
        panels.append(_Row(said, 0, last))
    picture, axes = _panels([p.title for p in panels], is_single=channels == 1)
    starts = sorted({start for cut in data.cuts("search") for start in cut.starts})
    for own, panel in zip(axes, panels, strict=True):
        for role, _, span in _shades(data):
            _shade(own, span, panel.rows, role)
        _draw(own, table.observed[:, panel.channel], panel.rows, "truth")
        if panel.rows is whole or len(panel.rows) == table.rows:
            own.plot(
                starts,
                [0.03] * len(starts),
                transform=own.get_xaxis_transform(),
                color=COLOURS["truth"].light,
                marker="^",
                markersize=4.5,
                linestyle="",
            )
        elif period is not None:
            for place in np.arange(table.rows - 1, panel.rows.start, -period):
                own.axvline(place, color=COLOURS["neutral"].light, linewidth=0.8, linestyle=":")
        own.set_xlim(panel.rows.start - 0.5, panel.rows.stop - 0.5)
        label_times(own, table.times, table.interval, panel.rows, _WIDTH * (_RIGHT - _LEFT))
    marks = Line2D([], [], marker="^", linestyle="", color=COLOURS["truth"].light, markersize=5)
    marks.set_label("starts of free runs in the search")
    rest = _left_out(table.columns[len(shown) :])
    of = "" if table.long is None else f"{cut(str(table.long), _MOST_IN_TITLE)}, "
    title = f"{definition.name}: {of}{counted(table.rows, 'row')}, horizon {task.horizon_steps:,}"
    _finish(picture, title, [*_named_spans(data), marks], rest)
    return picture


def _shades(data: TaskData) -> Iterator[tuple[Role, str, range]]:
    spans = data.spans
    yield "neutral", "unused", spans.unused
    yield "complete", "training", spans.training
    yield "good", "validation", spans.validation
    yield "free-run", "test", spans.test


def _shade(axes: Axes, span: range, rows: range, role: Role) -> None:
    first, end = max(span.start, rows.start), min(span.stop, rows.stop)
    if first < end:
        axes.axvspan(first - 0.5, end - 0.5, color=COLOURS[role].light, alpha=_SHADE, linewidth=0)


def _named_spans(data: TaskData) -> list[Patch]:
    """What the shades are, for the legend: a span of a few rows would have no room for its name."""
    return [
        Patch(facecolor=(COLOURS[role].light, _SHADE), edgecolor=COLOURS[role].light, label=name)
        for role, name, span in _shades(data)
        if span
    ]


def _draw(axes: Axes, values: FloatArray, rows: range, role: Role, width: float = 1.1) -> None:
    own = values[rows.start : rows.stop]
    kept = visible(own)
    x = [rows.start + place for place in kept]
    axes.add_line(line_of(Line("", role, x, own[kept].tolist(), width=width)))
    axes.autoscale_view(scalex=False)


def _panels(titles: Sequence[str], *, is_single: bool) -> tuple[Figure, list[Axes]]:
    """A picture with a panel for each title below each other."""
    size = _ONE if is_single else _PANEL
    picture = Figure(figsize=(_WIDTH, _AROUND + size * len(titles)), dpi=DOTS_PER_INCH)
    axes = []
    for number, title in enumerate(titles):
        own = picture.add_subplot(len(titles), 1, number + 1)
        own.set_title(title, fontsize=8.5, loc="left", pad=4)
        own.tick_params(labelsize=8)
        own.margins(y=0.08)
        own.grid(axis="y", color=COLOURS["neutral"].light, alpha=0.2, linewidth=0.6)
        own.spines[["top", "right"]].set_visible(False)
        axes.append(own)
    return picture, axes


def _finish(picture: Figure, title: str, handles: Sequence[Artist], note: str) -> None:
    height = float(picture.get_figheight())
    picture.subplots_adjust(
        left=_LEFT, right=_RIGHT, top=1 - 0.8 / height, bottom=0.42 / height, hspace=0.36
    )
    picture.text(0.03, 1 - 0.12 / height, title, va="top", fontsize=11, weight="bold")
    picture.text(0.985, 0.05 / height, note, va="bottom", ha="right", fontsize=7.5)
    picture.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(0.022, 1 - 0.3 / height),
        ncols=len(handles),
        frameon=False,
        fontsize=8.5,
        handlelength=1.4,
        columnspacing=1.4,
    )


def _last_rows(rows: int, wanted: int, period: float | None) -> range:
    """The rows in which a shape can be seen: some periods, or what is wanted."""
    most = max(wanted, _SHOWN_ROWS, 0 if period is None else round(3 * period))
    return range(max(0, rows - most), rows)


def _marked_period(definition: StudyDefinition, table: Table) -> float | None:
    """The longest season whose marks can be told apart in the last rows."""
    found = definition.properties
    if found is None or not found.has_season:
        return None
    for period in sorted(found.periods, reverse=True):
        last = _last_rows(table.rows, 2 * definition.task.horizon_steps, period)
        if 2 * period <= len(last) <= _MOST_PERIODS * period:
            return period
    return None


def _left_out(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"Not shown: {', '.join(names[:_NAMED])}{more}."
