"""Small figures of a whole study among the dashboard's own, from what is in memory.

They are made as the page asks, never stored: stored ones would be old as soon as a worker told the
next trial. They travel with every poll, so each is a few kilobytes. Written as plotly's JSON, since
the server need not import plotly for that.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from search.results.groups import Group, context_steps, grouped, preset_of, verdict_counts
from search.storage import TrialRow
from search.study.definition import StudyDefinition

# How many trials have a line in the figure of reports.
_MOST_LINES = 40
# Readable on the page's white and on its black.
_INK, _GRID = "#80868f", "rgba(128, 134, 143, 0.25)"
_BLUE, _ORANGE, _GREY = "#2f83d6", "#e0691f", "#9aa0a6"


def study_figures(
    definition: StudyDefinition, trials: Mapping[int, TrialRow], *, has_lines: bool
) -> list[dict[str, Any]]:
    """Return what the study can show: {"id", "graph_object"} each, the latter JSON text.

    trials: by number. has_lines: whether to draw the reports of the best trials, which the page
    itself draws of small studies.
    """
    rows = [trials[number] for number in sorted(trials)]
    against = definition.task.score_against
    figures = {
        "freerun-verdicts": _verdicts(rows),
        "freerun-presets": _presets(rows, against),
        "freerun-limit": _limits(definition, rows),
        "freerun-reports": _reports(rows, against) if has_lines else None,
    }
    return [
        {"id": name, "graph_object": json.dumps(figure, separators=(",", ":"))}
        for name, figure in figures.items()
        if figure is not None
    ]


def _verdicts(rows: Sequence[TrialRow]) -> dict[str, Any] | None:
    counts = verdict_counts(rows)
    if not counts:
        return None
    names = [verdict for verdict, _, _ in counts]
    bars = [
        _bars("complete", names, [complete for _, complete, _ in counts], _BLUE, ""),
        _bars("pruned", names, [pruned for _, _, pruned in counts], _GREY, "/"),
    ]
    y = {"autorange": "reversed", "automargin": True}
    return _figure("What free runs do (verdicts)", bars, {"title": "trials"}, y, barmode="stack")


def _presets(rows: Sequence[TrialRow], against: str) -> dict[str, Any] | None:
    groups = [group for group in grouped(rows, preset_of) if group.best is not None]
    if not groups:
        return None
    groups.sort(key=lambda group: group.best or 0.0)
    names = [str(group.key) for group in groups]
    points = [
        _points("best", [_short(g.best) for g in groups], names, _ORANGE, "diamond"),
        _points("median", [_short(g.median) for g in groups], names, _BLUE, "circle-open"),
    ]
    y = {"autorange": "reversed", "automargin": True}
    return _figure("Score by preset", points, _log(f"NMSE against the {against}"), y)


def _limits(definition: StudyDefinition, rows: Sequence[TrialRow]) -> dict[str, Any] | None:
    limits = {
        context_steps(definition, row): row.user_attributes["limit"]
        for row in rows
        if "limit" in row.user_attributes
    }
    if not limits:
        return None
    groups = [
        group
        for group in grouped(rows, lambda row: context_steps(definition, row))
        if group.best is not None
    ]
    x = [group.key for group in groups]
    traces = [
        {
            **_points(
                "limit (of a mean over draws)", x, _limits_at(limits, groups), _INK, "line-ew"
            ),
            "mode": "lines+markers",
            "line": {"color": _INK, "dash": "dot"},
        },
        _points("median trial", x, [_short(g.median) for g in groups], _BLUE, "circle-open"),
        _points("best trial", x, [_short(g.best) for g in groups], _ORANGE, "diamond"),
    ]
    title = "Score against the attainable limit"
    return _figure(title, traces, _log("true values read before the free run"), _log("NMSE"))


def _limits_at(limits: Mapping[int | None, float], groups: Sequence[Group]) -> list[float | None]:
    return [_short(limits.get(int(group.key))) for group in groups]


def _reports(rows: Sequence[TrialRow], against: str) -> dict[str, Any] | None:
    complete = [row for row in rows if row.state == "complete" and row.intermediate_values]
    best = sorted(complete, key=lambda row: (row.value or 0.0, row.number))[:_MOST_LINES]
    if not best:
        return None
    x: list[int | None] = []
    y: list[float | None] = []
    for row in best:
        reports = sorted(row.intermediate_values.items())
        x += [*(step for step, _ in reports), None]
        y += [*(_short(value) for _, value in reports), None]
    lines = {"x": x, "y": y, "mode": "lines+markers", "name": "trials", "opacity": 0.6}
    lines |= {"line": {"color": _BLUE, "width": 1}, "marker": {"size": 4}, "connectgaps": False}
    title = f"Reports of the best {len(best)} trials"
    rungs = {"title": "rung (each at twice the training of the one before)", "dtick": 1}
    return _figure(title, [lines], rungs, _log(f"NMSE against the {against}"))


def _figure(
    title: str,
    data: Sequence[Mapping[str, Any]],
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    **layout: Any,
) -> dict[str, Any]:
    axes = {"gridcolor": _GRID, "zerolinecolor": _GRID, "linecolor": _INK}
    return {
        "data": list(data),
        "layout": {
            "title": {"text": title, "font": {"size": 16}},
            "font": {"color": _INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 60, "r": 20, "t": 90, "b": 50},
            # Between the title and the plot.
            "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
            "xaxis": {**axes, **x},
            "yaxis": {**axes, **y},
            **layout,
        },
    }


def _bars(
    name: str, y: Sequence[str], x: Sequence[int], colour: str, pattern: str
) -> dict[str, Any]:
    marker = {"color": colour, "pattern": {"shape": pattern}}
    return {"type": "bar", "orientation": "h", "name": name, "x": x, "y": y, "marker": marker}


def _points(
    name: str, x: Sequence[Any], y: Sequence[Any], colour: str, symbol: str
) -> dict[str, Any]:
    marker = {"color": colour, "symbol": symbol, "size": 9}
    return {"x": x, "y": y, "mode": "markers", "name": name, "marker": marker}


def _log(title: str) -> dict[str, Any]:
    # Labels at 1, 2, 5, 10 and so on.
    return {"title": title, "type": "log", "tickformat": "~g", "dtick": "D2"}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
