"""The scores of families of trials side by side: their spread, and what they are measured by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from search.results.figures.palette import Role, axis, figure, line, logarithmic_axis, marker

_LEAST_SCORE = 1e-6


@dataclass(frozen=True)
class Spread:
    """The scores of a family: least, quartiles, greatest; mean."""

    name: str
    role: Role
    least: float
    lower: float
    median: float
    upper: float
    greatest: float
    mean: float
    number: int


def spread_rows(name: str, role: Role, scores: Sequence[float]) -> Spread:
    """Return what is drawn of some scores."""
    held = np.maximum(np.asarray(scores, dtype=float), _LEAST_SCORE)
    least, lower, median, upper, greatest = np.quantile(held, [0, 0.25, 0.5, 0.75, 1])
    return Spread(
        name,
        role,
        float(least),
        float(lower),
        float(median),
        float(upper),
        float(greatest),
        float(held.mean()),
        len(held),
    )


def draw_spreads(
    spreads: Sequence[Spread], measures: Sequence[tuple[str, float]], title: str
) -> go.Figure:
    """Draw a bar from quartile to quartile, a thin line from least to greatest, and the median.

    measures: named scores, drawn as vertical lines.
    """
    drawn = figure(height=110 + 30 * len(spreads))
    names = [f"{spread.name} ({spread.number})" for spread in spreads]
    for spread, name in zip(spreads, names, strict=True):
        told = (
            f"{name}: best {spread.least:.3g}, median {spread.median:.3g}, mean {spread.mean:.3g}"
            "<extra></extra>"
        )
        common = {"meta": spread.role, "showlegend": False, "hovertemplate": told}
        for low, high, width in (
            (spread.least, spread.greatest, 1.5),
            (spread.lower, spread.upper, 9),
        ):
            drawn.add_scatter(
                x=[low, high], y=[name, name], mode="lines", line=line(spread.role, width), **common
            )
        look = marker("truth", "line-ns", 16)
        look["line"]["width"] = 3
        median = {**common, "meta": "truth"}
        drawn.add_scatter(x=[spread.median], y=[name], mode="markers", marker=look, **median)
    for name, value in measures:
        drawn.add_shape(
            type="line",
            x0=value,
            x1=value,
            yref="paper",
            y0=0,
            y1=1,
            line={"width": 1, "dash": "dash"},
        )
        drawn.add_annotation(
            x=float(np.log10(value)),
            yref="paper",
            y=1.0,
            yanchor="bottom",
            text=name,
            showarrow=False,
        )
    drawn.update_xaxes(**logarithmic_axis(title))
    drawn.update_yaxes(**axis("", autorange="reversed", type="category", automargin=True))
    return drawn
