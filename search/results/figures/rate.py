"""How fast a study went: finished trials by the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import plotly.graph_objects as go

from search.results.figures.palette import axis, figure
from search.storage import TrialRow

_BINS = 60


@dataclass(frozen=True)
class Rate:
    """Trials that ended, a minute, in stretches of equal length.

    minutes: from the first start to the middle of each stretch.
    """

    minutes: Sequence[float]
    complete: Sequence[float]
    pruned: Sequence[float]


def rate_rows(trials: Sequence[TrialRow]) -> Rate | None:
    """Return the rate over the whole study; None where nothing is finished, or at one moment."""
    starts = [trial.started for trial in trials if trial.started is not None]
    ended = [trial for trial in trials if trial.completed is not None]
    if not starts or not ended:
        return None
    first, last = min(starts), max(t.completed for t in ended if t.completed is not None)
    width = (last - first) / _BINS
    if width <= timedelta(0):
        return None
    counts = {
        state: _counts([t.completed for t in ended if t.state == state], first, width)
        for state in ("complete", "pruned")
    }
    minutes = width.total_seconds() / 60
    return Rate(
        minutes=[round((i + 0.5) * minutes, 3) for i in range(_BINS)],
        complete=[round(count / minutes, 3) for count in counts["complete"]],
        pruned=[round(count / minutes, 3) for count in counts["pruned"]],
    )


def draw_rate(rate: Rate) -> go.Figure:
    """Draw complete and pruned trials a minute as bars upon each other."""
    drawn = figure(height=300)
    for name, role, values, shape in (
        ("complete", "complete", rate.complete, ""),
        ("pruned", "pruned", rate.pruned, "/"),
    ):
        drawn.add_bar(
            x=rate.minutes,
            y=values,
            name=name,
            meta=role,
            marker={"pattern": {"shape": shape}},
            hovertemplate="%{y:.1f} a minute<extra></extra>",
        )
    drawn.update_layout(barmode="stack", bargap=0)
    drawn.update_xaxes(**axis("minutes since the first trial began"))
    drawn.update_yaxes(**axis("trials a minute", rangemode="tozero"))
    return drawn


def _counts(ends: Sequence[datetime | None], first: datetime, width: timedelta) -> list[int]:
    counts = [0] * _BINS
    for end in ends:
        assert end is not None
        counts[min(_BINS - 1, int((end - first) / width))] += 1
    return counts
