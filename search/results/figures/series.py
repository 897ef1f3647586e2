"""Lines over the steps of a series, with the training span told apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from search.results.figures.palette import Role, axis, figure, line


@dataclass(frozen=True)
class SeriesLine:
    """Values from position `start` on."""

    name: str
    role: Role
    start: int
    values: Sequence[float]
    width: float
    dash: str = "solid"


def draw_series(
    lines: Sequence[SeriesLine],
    *,
    end_of_training: int,
    mark: str,
    value_range: tuple[float, float],
) -> go.Figure:
    """Draw lines by the step of the series, and the end of the training span with its name."""
    drawn = figure(height=300)
    for each in lines:
        drawn.add_scatter(
            x=list(range(each.start, each.start + len(each.values))),
            y=[float(f"{value:.4g}") for value in each.values],
            mode="lines",
            name=each.name,
            meta=each.role,
            line=line(each.role, each.width, each.dash),
        )
    drawn.update_xaxes(**axis("step of the series"))
    drawn.update_yaxes(**axis("value", range=value_range))
    drawn.add_shape(
        type="line",
        x0=end_of_training,
        x1=end_of_training,
        yref="paper",
        y0=0,
        y1=1,
        line={"width": 1.2, "dash": "dot"},
    )
    drawn.add_annotation(
        x=end_of_training,
        yref="paper",
        y=0.02,
        yanchor="bottom",
        xanchor="right",
        xshift=-3,
        text=mark,
        showarrow=False,
    )
    return drawn
