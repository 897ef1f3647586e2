"""The figures of the section on attempts that no other part of a report has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.plotting.charts import (
    Figure,
    add_vertical_line,
    axis,
    bars,
    chart,
    figure,
    line,
    log_axis,
    names_axis,
    points,
    short,
    stroke,
)
from search.plotting.drawing import LEAST_ERROR, Axis, Dash, Drawing, Line, Role
from search.series import FloatArray
from search.study.limit import Limit

_LEAST_SCORE = 1e-6
# Role and pattern of each verdict.
_VERDICTS: Mapping[str, tuple[Role, str]] = {
    "tracks": ("good", ""),
    "phase drift": ("good", "/"),
    "wrong frequency": ("baseline-3", "/"),
    "decays": ("baseline-3", "x"),
    "flat": ("neutral", ""),
    "copies": ("neutral", "/"),
    "diverges": ("bad", ""),
    "off": ("warning", "."),
}
_ROLES: tuple[Role, ...] = (
    "free-run",
    "baseline-3",
    "baseline-2",
    "baseline-1",
    "truth",
    "baseline-4",
    "baseline-5",
)
_DASHES: tuple[Dash, ...] = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Interval:
    """A named value with an interval around it; place: where it lies on the other axis, if any."""

    name: str
    value: float
    low: float
    high: float
    place: float = 0.0


def spreads_chart(families: Sequence[tuple[str, Role, Sequence[float]]]) -> Figure:
    """Draw the scores of each family: thick from quartile to quartile, thin from the least to the
    greatest, a tick at the median; and a line at 1, the score of a constant."""
    traces = []
    for name, role, scores in families:
        held = np.maximum(np.asarray(scores, dtype=float), _LEAST_SCORE)
        least, low, median, high, greatest = np.quantile(held, [0, 0.25, 0.5, 0.75, 1]).tolist()
        label = f"{name} ({len(held)})"
        hover = f"{label}: best {least:.3g}, median {median:.3g}, mean {held.mean():.3g}"
        common = {"showlegend": False, "hovertemplate": f"{hover}<extra></extra>"}
        for ends, width in (([least, greatest], 1.5), ([low, high], 9)):
            shown = [short(end) for end in ends]
            traces.append(line(role, name, shown, [label, label], line=stroke(width), **common))
        tick = points("truth", name, [short(median)], [label], "line-ns", 16, **common)
        tick["marker"]["line"]["width"] = 3
        traces.append(tick)
    ends = [value for _, _, scores in families for value in scores]
    height = 110 + 30 * len(families)
    made = figure(traces, log_axis("score (NMSE)", [*ends, 1.0]), names_axis(), height)
    add_vertical_line(made, 1.0, "a constant")
    return made


def verdict_shares_chart(families: Sequence[tuple[str, Mapping[str, int]]]) -> Figure:
    """Draw the share of each verdict; families: names with their trials by verdict."""
    names = [f"{name} ({sum(verdicts.values())})" for name, verdicts in families]
    totals = [max(1, sum(verdicts.values())) for _, verdicts in families]
    traces = []
    for verdict, (role, pattern) in _VERDICTS.items():
        counts = [verdicts.get(verdict, 0) for _, verdicts in families]
        if any(counts):
            shares = [short(100 * n / total) for n, total in zip(counts, totals, strict=True)]
            hover = f"%{{y}}: {verdict} %{{x:.1f}} % (%{{customdata}})<extra></extra>"
            more = {"orientation": "h", "customdata": counts, "hovertemplate": hover}
            traces.append(bars(role, verdict, shares, names, pattern, **more))
    x, height = axis("complete trials (%)", range=[0, 100]), 130 + 26 * len(families)
    return figure(traces, x, names_axis(), height, barmode="stack", bargap=0.25)


def limits_chart(
    limit: Limit,
    short_limit: Limit,
    trials: Sequence[tuple[int, float]],
    networks: Sequence[Interval],
) -> Figure:
    """Draw the limits over the horizons of the test and of the search as lines.

    trials: (context steps, NMSE) over the short horizon, drawn as small points. networks: on draws
    that they were not trained on, placed by their context, with their intervals.
    """
    x, y = [steps for steps, _ in trials], [short(nmse) for _, nmse in trials]
    name = f"a trial: mean of its replicas over {short_limit.horizon_steps} steps"
    traces = [points("pruned", name, x, y, "circle-open", 5, opacity=0.7)]
    looks: tuple[tuple[Limit, float, Dash], ...] = ((short_limit, 1.5, "dot"), (limit, 3, "solid"))
    for of, width, dash in looks:
        x, y = [c.samples for c in of.contexts], [short(c.nmse) for c in of.contexts]
        name = f"limit in the mean over {of.horizon_steps} steps"
        traces.append(line("truth", name, x, y, line=stroke(width, dash)))
    margins = [short(each.high - each.value) for each in networks]
    traces.append(
        points(
            "free-run",
            f"a preset's best, on other draws, {limit.horizon_steps} steps",
            [each.place for each in networks],
            [short(each.value) for each in networks],
            "diamond",
            8,
            error_y={"array": margins, "thickness": 1.5},
            text=[each.name for each in networks],
            hovertemplate="%{text}: %{y:.3g}<extra></extra>",
        )
    )
    x_axis = log_axis("context (samples)", [c.samples for c in limit.contexts])
    shown = [*(nmse for _, nmse in trials), *(c.nmse for c in limit.contexts)]
    y_axis = log_axis("NMSE against the signal", shown)
    legend = {"orientation": "v", "x": 0, "y": 1.02, "yanchor": "bottom"}
    margin = {"l": 70, "r": 20, "t": 110, "b": 55}
    return figure(traces, x_axis, y_axis, height=520, legend=legend, margin=margin)


def sensitivity_chart(curves: Sequence[tuple[str, Sequence[int], Sequence[float]]]) -> Figure:
    """Draw (name, lags, gradient norms) each; dashes and colours differ together."""
    lines = []
    for i, (name, lags, norms) in enumerate(curves):
        shown = [max(norm, LEAST_ERROR) for norm in norms]
        dash = _DASHES[(i + i // len(_ROLES)) % len(_DASHES)]
        lines.append(Line(name, _ROLES[i % len(_ROLES)], lags, shown, 2.0, dash))
    x = Axis("steps of the free run that have passed", is_log=True)
    y = Axis("what is left of a displacement (gradient norm)", is_log=True)
    return chart(Drawing(list(reversed(lines)), x, y), height=420)


def ratios_chart(ratios: Sequence[Interval], title: str) -> Figure:
    """Draw ratios with their intervals, and a line at 1, where nothing changes."""
    trace = points(
        "free-run",
        "",
        [short(each.value) for each in ratios],
        [each.name for each in ratios],
        "circle",
        9,
        error_x={
            "type": "data",
            "array": [short(each.high - each.value) for each in ratios],
            "arrayminus": [short(each.value - each.low) for each in ratios],
            "thickness": 2,
        },
        hovertemplate="%{y}: %{x:.3g}<extra></extra>",
        showlegend=False,
    )
    ends = [end for each in ratios for end in (each.low, each.high)]
    made = figure([trace], log_axis(title, ends), names_axis(), height=120 + 28 * len(ratios))
    add_vertical_line(made, 1)
    return made


def series_chart(lines: Sequence[Line], end_of_training: int, shown: FloatArray) -> Figure:
    """Draw lines by the step of the series, and the end of the training span.

    shown: values that the axis has room for.
    """
    low, high = float(shown.min()), float(shown.max())
    room = 0.1 * (high - low)
    y = Axis("value", limits=(low - room, high + room))
    mark = (end_of_training, "end of training")
    return chart(Drawing(list(lines), Axis("step of the series"), y, mark), height=300)
