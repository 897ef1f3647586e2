"""Figures of plotly as JSON values, for the report's page and the dashboard's.

A trace says what it stands for by its `meta`, a role of the palette, and has no colour: the
report's page sets the colours of its theme, `on_either_page` those that are legible on any. Nothing
here imports plotly, whose import takes a second that a server can do without.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from search.plotting.drawing import COLOURS, Area, Axis, Dash, Drawing, Line, Position, Role

Figure: TypeAlias = dict[str, Any]
Trace: TypeAlias = dict[str, Any]

# Within one decade an axis is labelled at each digit; up to so many decades at 1, 2, 5, 10 and so
# on; beyond at powers of ten.
_FINE_DECADES, _MOST_TICKS = 4.0, 8
# The tool bar's width beside a figure.
_TOOLS_PIXELS = 44
_GRID = "rgba(128, 134, 143, 0.25)"


def chart(drawing: Drawing, height: int) -> Figure:
    """Return a drawing as a figure; its legend names the front line first."""
    x = _axis_of(drawing.x, [value for line in drawing.lines for value in line.x])
    y = _axis_of(drawing.y, [value for line in drawing.lines for value in line.y])
    traces = [*map(_filled, drawing.areas), *map(_trace, drawing.lines)]
    made = figure(traces, x, y, height)
    for rank, trace in enumerate(reversed(made["data"])):
        trace["legendrank"] = rank + 1
    if drawing.mark is not None:
        add_vertical_line(made, *drawing.mark, at_bottom=True)
    return made


def figure(
    traces: Sequence[Trace], x: Mapping[str, Any], y: Mapping[str, Any], height: int, **layout: Any
) -> Figure:
    """Return a figure with a transparent background."""
    return {
        "data": list(traces),
        "layout": {
            "height": height,
            "margin": {"l": 70, "r": _TOOLS_PIXELS, "t": 40, "b": 55},
            # In the margin, where it covers no name of the legend.
            "modebar": {"orientation": "v", "bgcolor": "rgba(0,0,0,0)"},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "hovermode": "closest",
            "xaxis": dict(x),
            "yaxis": dict(y),
            **layout,
        },
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a title and a frame, which makes room for its labels."""
    framed = {"title": {"text": title, "standoff": 12}, "showline": True, "ticks": "outside"}
    return {**framed, "automargin": True, **more}


def log_axis(title: str, values: Iterable[Any] = (), **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis whose labels are whole numbers or fractions, such as 0.02.

    values: on this axis, which decide how densely it is labelled.
    """
    positive = [value for value in values if isinstance(value, int | float) and value > 0]
    decades = math.log10(max(positive) / min(positive)) if positive else 0.0
    step: str | int = "D1" if decades < 1 else "D2"
    if decades > _FINE_DECADES:
        step = math.ceil(decades / _MOST_TICKS)
    return axis(title, type="log", dtick=step, tickformat="~g", **more)


def names_axis(**more: Any) -> dict[str, Any]:
    """Return an axis of names, the first one on top."""
    return axis("", autorange="reversed", type="category", **more)


def line(role: Role, name: str, x: Sequence[Any], y: Sequence[Any], **more: Any) -> Trace:
    """Return a line; more: properties of the trace, `line` among them."""
    return {"type": "scatter", "mode": "lines", "meta": role, "name": name, "x": x, "y": y, **more}


def points(
    role: Role, name: str, x: Sequence[Any], y: Sequence[Any], symbol: str, size: float, **more: Any
) -> Trace:
    """Return points with a symbol."""
    marker = {"symbol": symbol, "size": size, "line": {"width": 1}}
    return line(role, name, x, y, mode="markers", marker=marker, **more)


def bars(
    role: Role, name: str, x: Sequence[Any], y: Sequence[Any], pattern: str = "", **more: Any
) -> Trace:
    """Return bars with a pattern: "", "/", "x" or "."."""
    marker = {"line": {"width": 1}, "pattern": {"shape": pattern, "solidity": 0.35}}
    return {"type": "bar", "meta": role, "name": name, "x": x, "y": y, "marker": marker, **more}


def stroke(width: float, dash: Dash = "solid", **more: Any) -> dict[str, Any]:
    """Return how a line is stroked."""
    return {"width": width, "dash": dash, **more}


def add_vertical_line(
    made: Figure, place: Position, text: str = "", *, at_bottom: bool = False
) -> None:
    """Add a dashed vertical line to a figure, named above it or, left of it, at the bottom."""
    is_log = made["layout"]["xaxis"].get("type") == "log"
    shape = {"type": "line", "x0": place, "x1": place, "yref": "paper", "y0": 0, "y1": 1}
    made["layout"].setdefault("shapes", []).append({**shape, "line": stroke(1.2, "dot")})
    if not text:
        return
    corner: dict[str, Any] = {"y": 1.0, "yanchor": "bottom"}
    if at_bottom:
        corner = {"y": 0.02, "yanchor": "bottom", "xanchor": "right", "xshift": -3}
    # On a logarithmic axis plotly places shapes by their value, annotations by its logarithm.
    at = math.log10(float(place)) if is_log else place
    note = {"x": at, "yref": "paper", "text": text, "showarrow": False, **corner}
    made["layout"].setdefault("annotations", []).append(note)


def on_either_page(made: Figure, title: str) -> Figure:
    """Return a figure with a title, in colours for a page that may be light or dark."""
    ink = COLOURS["truth"].either
    layout = made["layout"]
    frame = {"gridcolor": _GRID, "zerolinecolor": _GRID, "linecolor": ink, "tickcolor": ink}
    return {
        "data": [_coloured(trace) for trace in made["data"]],
        "layout": {
            **{key: value for key, value in layout.items() if key != "height"},
            "title": {"text": title, "font": {"size": 16}},
            "font": {"color": ink},
            "margin": {"l": 60, "r": _TOOLS_PIXELS, "t": 90, "b": 50},
            "xaxis": {**layout["xaxis"], **frame},
            "yaxis": {**layout["yaxis"], **frame},
        },
    }


def short(value: float | None) -> float | None:
    """A number with four digits: figures are looked at, and travel over networks."""
    return None if value is None else float(f"{value:.4g}")


def _trace(each: Line) -> Trace:
    look = stroke(each.width, each.dash)
    made = line(each.role, each.name, list(each.x), list(each.y), line=look)
    if each.marked:
        # Unlike an array of sizes, this leaves the symbol in the legend as it is.
        made |= {
            "mode": "lines+markers",
            "marker": {"symbol": each.symbol, "size": 8},
            "selectedpoints": list(each.marked),
            "unselected": {"marker": {"opacity": 0}},
        }
    return {**made, "visible": "legendonly"} if each.is_optional else made


def _filled(area: Area) -> Trace:
    """Both lines as one outline, there and back."""
    x, y = [*area.x, *reversed(area.x)], [*area.high, *reversed(area.low)]
    look = {"fill": "toself", "opacity": area.opacity, "hoverinfo": "skip", "line": stroke(0)}
    return line(area.role, area.name, x, y, **look)


def _axis_of(of: Axis, values: Sequence[Any]) -> dict[str, Any]:
    if of.is_log:
        return log_axis(of.title, values)
    return axis(of.title) if of.limits is None else axis(of.title, range=list(of.limits))


def _coloured(trace: Trace) -> Trace:
    colour, marker = COLOURS[trace["meta"]].either, trace.get("marker", {})
    edge = {**marker.get("line", {}), "color": colour}
    coloured = {**trace, "marker": {**marker, "color": colour, "line": edge}}
    if trace["type"] != "bar":
        coloured["line"] = {**trace.get("line", {}), "color": colour}
    return coloured
