"""The error by horizon step: where a free run loses the series."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from search.results.figures.palette import Role, figure, line, logarithmic_axis
from search.results.thinning import logarithmic_means
from search.series import FloatArray

# Zero has no place on a logarithmic axis: less than this is drawn as this.
_LEAST_ERROR = 1e-12
_LOOKS: dict[Role, tuple[float, str]] = {
    "free-run": (3, "solid"),
    "ar": (1.8, "dash"),
    "persistence": (1.8, "dot"),
    "mean": (1.8, "dashdot"),
}


@dataclass(frozen=True)
class Curve:
    """NMSE at horizon steps (1 is the one-step forecast), means over neighbours far out."""

    name: str
    role: Role
    steps: Sequence[float]
    errors: Sequence[float]


def horizon_curve(name: str, role: Role, errors: FloatArray) -> Curve:
    """Return the points of a curve `[horizon]` that a logarithmic axis can show."""
    steps, means = logarithmic_means(np.asarray(errors, dtype=float))
    return Curve(name, role, np.round(steps, 2).tolist(), means.tolist())


def draw_curves(curves: Sequence[Curve], scored_against: str) -> go.Figure:
    """Draw curves on logarithmic axes, the first one in front."""
    drawn = figure(height=380)
    for curve in reversed(curves):
        width, dash = _LOOKS[curve.role]
        drawn.add_scatter(
            x=curve.steps,
            y=[max(error, _LEAST_ERROR) for error in curve.errors],
            mode="lines",
            name=curve.name,
            meta=curve.role,
            line=line(curve.role, width, dash),
            legendrank=1 + curves.index(curve),
        )
    # Labels at 1, 2, 5, 10 and so on.
    horizon = logarithmic_axis("horizon (steps after the end of the warm-up)", dtick="D2")
    drawn.update_xaxes(**horizon)
    drawn.update_yaxes(**logarithmic_axis(f"NMSE against the {scored_against}"))
    return drawn
