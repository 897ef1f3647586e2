"""The limit by context length, and where trials and trained networks lie beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from search.results.figures.palette import figure, line, logarithmic_axis, marker

_LEAST = 1e-5


@dataclass(frozen=True)
class Transferred:
    """Networks of a family on draws that they were not trained on: a mean and its interval."""

    name: str
    context_steps: int
    mean: float
    margin: float


@dataclass(frozen=True)
class LimitRows:
    """What is drawn: (context steps, NMSE) of both limits and of each trial.

    limit: over `horizon_steps`; short_limit: over `short_horizon_steps`, as trials are scored.
    """

    limit: Sequence[tuple[int, float]]
    horizon_steps: int
    short_limit: Sequence[tuple[int, float]]
    short_horizon_steps: int
    trials: Sequence[tuple[int, float]]
    transferred: Sequence[Transferred]


def draw_limit(rows: LimitRows) -> go.Figure:
    """Draw the limits as lines, trials as small points, transferred networks with intervals."""
    drawn = figure(height=440)
    drawn.add_scatter(
        x=[steps for steps, _ in rows.trials],
        y=[max(nmse, _LEAST) for _, nmse in rows.trials],
        mode="markers",
        name=f"a trial: mean of its replicas over {rows.short_horizon_steps} steps",
        meta="pruned",
        marker={**marker("pruned", "circle-open", 5), "opacity": 0.7},
    )
    for points, steps, width, dash in (
        (rows.short_limit, rows.short_horizon_steps, 1.5, "dot"),
        (rows.limit, rows.horizon_steps, 3, "solid"),
    ):
        drawn.add_scatter(
            x=[samples for samples, _ in points],
            y=[max(nmse, _LEAST) for _, nmse in points],
            mode="lines",
            name=f"limit in the mean over {steps} steps",
            meta="truth",
            line=line("truth", width, dash),
        )
    drawn.add_scatter(
        x=[each.context_steps for each in rows.transferred],
        y=[each.mean for each in rows.transferred],
        error_y={"array": [each.margin for each in rows.transferred], "thickness": 1.5},
        text=[each.name for each in rows.transferred],
        mode="markers",
        name=f"a preset's best, on other draws, {rows.horizon_steps} steps",
        meta="free-run",
        marker=marker("free-run", "diamond", 8),
        hovertemplate="%{text}: %{y:.3g}<extra></extra>",
    )
    drawn.update_xaxes(**logarithmic_axis("context (samples)", dtick="D2"))
    drawn.update_yaxes(**logarithmic_axis("NMSE against the signal"))
    drawn.update_layout(legend={"orientation": "v", "x": 0, "y": 1.02, "yanchor": "bottom"})
    drawn.update_layout(margin={"t": 110}, height=520)
    return drawn
