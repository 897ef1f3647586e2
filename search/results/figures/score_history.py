"""The scores of a study's trials in their order."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from search.results.figures.palette import Role, axis, figure, line, logarithmic_axis, marker
from search.storage import TrialRow

_LEAST_SCORE = 1e-12
# Beyond so many trials those that would lie on each other are drawn once.
_MOST_TRIALS = 1500
_COLUMNS, _ROWS_PER_DECADE = 150, 15


@dataclass(frozen=True)
class Points:
    """Trial numbers, their scores, and how many trials each point stands for."""

    numbers: Sequence[int]
    scores: Sequence[float]
    counts: Sequence[int]


@dataclass(frozen=True)
class History:
    """What is drawn of a study's scores.

    complete: scores at the end; pruned: last reports, of networks that were not trained to their
    end; best: the steps of the best score so far.
    """

    complete: Points
    pruned: Points
    best: Points


def history_rows(trials: Sequence[TrialRow]) -> History:
    """Return the points of trials, which come in the order of their numbers."""
    complete = [(t.number, t.value) for t in trials if t.state == "complete" and _drawable(t)]
    pruned = [(t.number, t.value) for t in trials if t.state == "pruned" and _drawable(t)]
    scored = [(number, max(value or 0.0, _LEAST_SCORE)) for number, value in complete]
    left = [(number, max(value or 0.0, _LEAST_SCORE)) for number, value in pruned]
    return History(_thinned(scored), _thinned(left), _best(scored, len(trials)))


def _drawable(trial: TrialRow) -> bool:
    return trial.value is not None and math.isfinite(trial.value)


def _best(scored: Iterable[tuple[int, float]], trials: int) -> Points:
    steps: list[tuple[int, float]] = []
    for number, score in scored:
        if not steps or score < steps[-1][1]:
            steps.append((number, score))
    if steps and steps[-1][0] < trials - 1:
        steps.append((trials - 1, steps[-1][1]))
    return Points([n for n, _ in steps], [s for _, s in steps], [1] * len(steps))


def _thinned(scored: Sequence[tuple[int, float]]) -> Points:
    """All points where there are few; else one for each cell of the picture that has any."""
    if len(scored) <= _MOST_TRIALS:
        return Points([n for n, _ in scored], [s for _, s in scored], [1] * len(scored))
    width = max(1, scored[-1][0] // _COLUMNS)
    cells: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for number, score in scored:
        cell = (number // width, math.floor(math.log10(score) * _ROWS_PER_DECADE))
        cells.setdefault(cell, []).append((number, score))
    first = [members[0] for members in cells.values()]
    return Points(
        [n for n, _ in first],
        [float(f"{s:.4g}") for _, s in first],
        [len(members) for members in cells.values()],
    )


def draw_history(history: History, scored_against: str) -> go.Figure:
    """Draw each trial's score, the pruned ones apart, and the best so far."""
    drawn = figure(height=400)
    kinds: list[tuple[str, Role, Points, str, float]] = [
        ("pruned (last report)", "pruned", history.pruned, "x-thin", 5),
        ("complete", "complete", history.complete, "circle-open", 6),
    ]
    for name, role, points, symbol, size in kinds:
        look = marker(role, symbol, size)
        look["line"]["width"] = 1
        drawn.add_scatter(
            x=points.numbers,
            y=points.scores,
            customdata=points.counts,
            mode="markers",
            name=name,
            meta=role,
            marker=look,
            hovertemplate="trial %{x}: %{y:.4g} (%{customdata} here)<extra></extra>",
        )
    drawn.add_scatter(
        x=history.best.numbers,
        y=history.best.scores,
        mode="lines",
        name="best so far",
        meta="free-run",
        line={**line("free-run", 2.5), "shape": "hv"},
    )
    drawn.update_xaxes(**axis("trial number", rangemode="tozero", tickformat="d"))
    drawn.update_yaxes(**logarithmic_axis(f"score (NMSE against the {scored_against})"))
    return drawn
