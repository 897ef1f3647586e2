"""What is left of an error by the steps that have passed: the gradient through the rollout."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from search.results.figures.palette import Role, figure, line, logarithmic_axis

_LEAST = 1e-12
_DASHES = ("solid", "dash", "dot", "dashdot")
_ROLES: tuple[Role, ...] = ("free-run", "ar", "persistence", "mean", "truth", "observed")


@dataclass(frozen=True)
class Echo:
    """Norms of d(forecast) / d(forecast so many steps before) by lag."""

    name: str
    lags: Sequence[int]
    norms: Sequence[float]


def draw_echoes(echoes: Sequence[Echo]) -> go.Figure:
    """Draw a line for each; colour and dash differ together."""
    drawn = figure(height=420)
    for i, echo in enumerate(echoes):
        role = _ROLES[i % len(_ROLES)]
        dash = _DASHES[(i + i // len(_ROLES)) % len(_DASHES)]
        drawn.add_scatter(
            x=echo.lags,
            y=[max(norm, _LEAST) for norm in echo.norms],
            mode="lines",
            name=echo.name,
            meta=role,
            line=line(role, 2, dash),
        )
    drawn.update_xaxes(**logarithmic_axis("steps of the free run that have passed", dtick="D2"))
    drawn.update_yaxes(
        **logarithmic_axis("what is left of an error (gradient norm)", exponentformat="power")
    )
    drawn.update_yaxes(tickformat=None)
    return drawn
