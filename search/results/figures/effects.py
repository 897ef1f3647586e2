"""Ratios with their intervals, such as the effect of leaving out a component."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from search.results.figures.palette import axis, figure, logarithmic_axis, marker


@dataclass(frozen=True)
class Ratio:
    """A named ratio and the interval around it."""

    name: str
    ratio: float
    low: float
    high: float


def draw_ratios(ratios: Sequence[Ratio], title: str) -> go.Figure:
    """Draw points with horizontal intervals, and a line at 1, where nothing changes."""
    drawn = figure(height=120 + 28 * len(ratios))
    drawn.add_scatter(
        x=[each.ratio for each in ratios],
        y=[each.name for each in ratios],
        error_x={
            "type": "data",
            "array": [each.high - each.ratio for each in ratios],
            "arrayminus": [each.ratio - each.low for each in ratios],
            "thickness": 2,
        },
        mode="markers",
        meta="free-run",
        showlegend=False,
        marker=marker("free-run", "circle", 9),
        hovertemplate="%{y}: %{x:.3g}<extra></extra>",
    )
    drawn.add_shape(
        type="line", x0=1, x1=1, yref="paper", y0=0, y1=1, line={"width": 1, "dash": "dash"}
    )
    drawn.update_xaxes(**logarithmic_axis(title))
    drawn.update_yaxes(**axis("", autorange="reversed", type="category", automargin=True))
    return drawn
