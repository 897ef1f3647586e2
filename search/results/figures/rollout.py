"""A free run against the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from search.evaluation import Example
from search.results.extent import shown_context, value_range
from search.results.figures.palette import axis, figure, line
from search.results.thinning import visible
from search.series import FloatArray

Position = int | float | str


@dataclass(frozen=True)
class Line:
    """Points of a line, at positions of the time axis: steps, numbers or dates."""

    x: Sequence[Position]
    y: Sequence[float]


@dataclass(frozen=True)
class Rollout:
    """What is drawn of a free run.

    end_of_warm_up: position of the last true value that was read. value_range: least and greatest
    value to show; a diverging run leaves it.
    """

    observed: Line
    truth: Line
    free_run: Line
    baseline: Line | None
    end_of_warm_up: Position
    value_range: tuple[float, float]


def rollout_rows(
    example: Example,
    baseline: FloatArray | None = None,
    positions: Sequence[Position] | None = None,
) -> Rollout:
    """Return what to draw of an example, thinned where it is long.

    baseline: `[time]` of the same draw and start. positions: of every row of the series, its steps
    0, 1, ... where None.
    """
    context = shown_context(example)
    first = example.first_step

    def along(values: FloatArray, start: int) -> Line:
        kept = visible(values)
        at = [start + i for i in kept]
        return Line(at if positions is None else [positions[i] for i in at], values[kept].tolist())

    last = first - 1
    return Rollout(
        observed=along(example.observed[len(example.observed) - context :], first - context),
        truth=along(example.truth, first),
        free_run=along(example.forecast, first),
        baseline=None if baseline is None else along(baseline, first),
        end_of_warm_up=last if positions is None else positions[last],
        value_range=value_range(example),
    )


def draw_rollout(
    rollout: Rollout, *, time_title: str, value_title: str, truth_name: str, baseline_name: str = ""
) -> go.Figure:
    """Draw observed values, the end of the warm-up, and the free run over the truth."""
    drawn = figure(height=420)
    lines = [
        ("observed", "observed", rollout.observed, line("observed", 1)),
        (baseline_name, "ar", rollout.baseline, line("ar", 1.2, "dot")),
        (truth_name, "truth", rollout.truth, line("truth", 1.6)),
        ("free run of the network", "free-run", rollout.free_run, line("free-run", 3, "dash")),
    ]
    for name, role, points, look in lines:
        if points is not None:
            drawn.add_scatter(x=points.x, y=points.y, mode="lines", name=name, meta=role, line=look)
    drawn.update_xaxes(**axis(time_title))
    drawn.update_yaxes(**axis(value_title, range=rollout.value_range))
    drawn.add_shape(
        type="line",
        x0=rollout.end_of_warm_up,
        x1=rollout.end_of_warm_up,
        yref="paper",
        y0=0,
        y1=1,
        line={"width": 1.2, "dash": "dot"},
    )
    drawn.add_annotation(
        x=rollout.end_of_warm_up,
        yref="paper",
        y=0.02,
        yanchor="bottom",
        xanchor="right",
        xshift=-3,
        text="end of warm-up",
        showarrow=False,
    )
    return drawn
