"""Figures of a whole study: its scores, its rate, importances, what its trials do."""

from collections.abc import Mapping, Sequence

from search.analysis.course import History, Points, Rate
from search.analysis.groups import Group
from search.analysis.importances import Importance
from search.plotting.charts import (
    Figure,
    Trace,
    axis,
    bars,
    figure,
    line,
    log_axis,
    names_axis,
    points,
    short,
    stroke,
)
from search.plotting.drawing import Role

_MOST_PARAMETERS, _ROW_PIXELS = 15, 26


def history_chart(history: History, scored_against: str) -> Figure:
    """Draw each trial's score, the pruned ones apart, and the best so far."""
    hover = "trial %{x}: %{y:.4g} (%{customdata} here)<extra></extra>"
    best, complete, pruned = history.best, history.complete, history.pruned

    def trials(role: Role, name: str, of: Points, symbol: str, size: float) -> Trace:
        more = {"customdata": of.counts, "hovertemplate": hover}
        return points(role, name, of.numbers, of.scores, symbol, size, **more)

    traces = [
        trials("pruned", "pruned (last report)", pruned, "x-thin", 6),
        trials("complete", "complete", complete, "circle-open", 7),
        line("free-run", "best so far", best.numbers, best.scores, line=stroke(2.5, shape="hv")),
    ]
    x = axis("trial number", rangemode="tozero", tickformat="d")
    y = log_axis(f"score (NMSE against the {scored_against})", [*complete.scores, *pruned.scores])
    return figure(traces, x, y, height=400)


def rate_chart(rate: Rate) -> Figure:
    """Draw complete and pruned trials a minute as bars on top of each other."""
    hover = {"hovertemplate": "%{y:.1f} a minute<extra></extra>"}
    traces = [
        bars("complete", "complete", rate.minutes, rate.complete, **hover),
        bars("pruned", "pruned", rate.minutes, rate.pruned, "/", **hover),
    ]
    x, y = axis("minutes since the first trial began"), axis("trials a minute", rangemode="tozero")
    return figure(traces, x, y, height=300, barmode="stack", bargap=0)


def importances_chart(rows: Sequence[Importance]) -> Figure:
    """Draw the most important parameters as bars, the first one on top."""
    shown = rows[:_MOST_PARAMETERS]
    trace = bars(
        "complete",
        "",
        [short(row.share) for row in shown],
        [row.parameter for row in shown],
        orientation="h",
        customdata=[row.trials for row in shown],
        text=[f"{100 * row.share:.0f} %" for row in shown],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}, sampled by %{customdata} complete trials<extra></extra>",
        showlegend=False,
    )
    x = axis("share of importance", tickformat=".0%", rangemode="tozero")
    return figure([trace], x, names_axis(), height=110 + _ROW_PIXELS * len(shown))


def verdicts_chart(counts: Sequence[tuple[str, int, int]]) -> Figure:
    """Draw how many complete and how many pruned trials got each verdict: (verdict, both)."""
    names = [verdict for verdict, _, _ in counts]
    traces = [
        bars("complete", "complete", [n for _, n, _ in counts], names, orientation="h"),
        bars("pruned", "pruned", [n for _, _, n in counts], names, "/", orientation="h"),
    ]
    return figure(traces, axis("trials"), names_axis(), height=400, barmode="stack")


def presets_chart(groups: Sequence[Group], scored_against: str) -> Figure:
    """Draw the best and the median score of each preset, the best preset on top."""
    scored = sorted((g for g in groups if g.best is not None), key=lambda g: g.best or 0.0)
    names = [str(group.key) for group in scored]
    best, median = [short(g.best) for g in scored], [short(g.median) for g in scored]
    traces = [
        points("free-run", "best", best, names, "diamond", 9),
        points("complete", "median", median, names, "circle-open", 9),
    ]
    x = log_axis(f"NMSE against the {scored_against}", [*best, *median])
    return figure(traces, x, names_axis(), height=400)


def limits_chart(groups: Sequence[tuple[Group, float | None]]) -> Figure:
    """Draw scores by context length beside the limit: (trials of one context, limit) each."""
    x = [group.key for group, _ in groups]
    limits = [short(limit) for _, limit in groups]
    median, best = [short(g.median) for g, _ in groups], [short(g.best) for g, _ in groups]
    traces = [
        line(
            "truth",
            "limit (of a mean over draws)",
            x,
            limits,
            mode="lines+markers",
            line=stroke(1.5, "dot"),
            marker={"symbol": "line-ew", "size": 9, "line": {"width": 1}},
        ),
        points("complete", "median trial", x, median, "circle-open", 9),
        points("free-run", "best trial", x, best, "diamond", 9),
    ]
    x_axis = log_axis("true values read before the free run", x)
    return figure(traces, x_axis, log_axis("NMSE", [*limits, *median, *best]), height=400)


def reports_chart(reports: Sequence[Mapping[int, float]], scored_against: str) -> Figure:
    """Draw the reports of some trials by rung as thin lines."""
    x: list[int | None] = []
    y: list[float | None] = []
    for report in reports:
        x += [*sorted(report), None]
        y += [*(short(report[rung]) for rung in sorted(report)), None]
    look = {"opacity": 0.6, "line": stroke(1), "marker": {"size": 4}, "connectgaps": False}
    trace = line("complete", "trials", x, y, mode="lines+markers", **look)
    rungs = axis("rung (each at twice the training of the one before)", dtick=1)
    return figure([trace], rungs, log_axis(f"NMSE against the {scored_against}", y), height=400)
