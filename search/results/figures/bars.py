"""Named shares as horizontal bars."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.results.figures.palette import COLOURS, Role, axis, figure


def draw_bars(rows: Sequence[tuple[str, float]], title: str, role: Role = "complete") -> go.Figure:
    """Draw a bar for each (name, value), the first on top."""
    drawn = figure(height=110 + 24 * len(rows))
    drawn.add_bar(
        x=[value for _, value in rows],
        y=[name for name, _ in rows],
        orientation="h",
        meta=role,
        showlegend=False,
        marker={"color": COLOURS[role][0], "line": {"width": 1}},
        hovertemplate="%{y}: %{x:.3g}<extra></extra>",
    )
    drawn.update_xaxes(**axis(title, rangemode="tozero"))
    drawn.update_yaxes(**axis("", autorange="reversed", type="category", automargin=True))
    return drawn
