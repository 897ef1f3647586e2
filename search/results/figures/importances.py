"""Which parameters decide whether a trial is among the best."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.results.figures.palette import axis, figure, marker
from search.results.importances import Importance

_MOST_ROWS = 15
_ROW_PIXELS = 26


def draw_importances(rows: Sequence[Importance]) -> go.Figure:
    """Draw the most important parameters as bars, the first one on top."""
    shown = rows[:_MOST_ROWS]
    drawn = figure(height=110 + _ROW_PIXELS * len(shown))
    drawn.add_bar(
        x=[round(row.share, 4) for row in shown],
        y=[row.parameter for row in shown],
        customdata=[row.trials for row in shown],
        orientation="h",
        meta="complete",
        marker={"color": marker("complete", "circle", 1)["color"]},
        text=[f"{100 * row.share:.0f} %" for row in shown],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}, sampled by %{customdata} complete trials<extra></extra>",
    )
    drawn.update_xaxes(**axis("part in reaching the best tenth", tickformat=".0%"))
    drawn.update_yaxes(autorange="reversed", automargin=True, showline=True)
    drawn.update_layout(showlegend=False)
    return drawn
