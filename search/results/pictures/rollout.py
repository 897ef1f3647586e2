"""A free run against the truth."""

from functools import cache

import numpy as np

from models.methods import counted
from search.evaluation import CandidateResult, Example, ReplicaResult
from search.results.extent import shown_context, value_range
from search.results.pictures.canvas import ACCENT, INK, SOFT, Canvas, heading_of
from search.results.thinning import visible
from search.results.wording import shown_score, truth_name


def rollout_picture(result: CandidateResult, replica: ReplicaResult, title: str) -> bytes:
    """Return, as PNG, the first channel of a replica's first free run.

    Above it stand the title, the candidate's score and the replica's verdict.
    """
    replicas = counted(len(result.replicas), "replica")
    score = f"score {shown_score(result.score)}: median NMSE of {replicas} against the "
    place = "best" if replica is result.best_replica else "median"
    if len(result.replicas) == 1:
        place = "only"
    return _canvas().draw(
        replica.example,
        heading=heading_of(title, score + result.scored_against, replica.verdict),
        names=(
            "observed",
            truth_name(result.scored_against),
            f"free run ({place} replica, NMSE {shown_score(replica.scores.nmse)})",
        ),
    )


@cache
def _canvas() -> "_RolloutCanvas":
    return _RolloutCanvas()


class _RolloutCanvas(Canvas):
    def __init__(self) -> None:
        super().__init__("step", "value")
        axes = self.axes
        (self._observed,) = axes.plot([], [], color=SOFT, linewidth=0.9)
        (self._truth,) = axes.plot([], [], color=INK, linewidth=1.6)
        (self._forecast,) = axes.plot([], [], color=ACCENT, linewidth=1.9, linestyle=(0, (5, 2)))
        self._warm_up = axes.axvline(0, color="#444444", linewidth=1.0, linestyle=":")
        self._label = axes.annotate(
            "end of warm-up",
            (0, 0.04),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        )
        self.add_legend([self._observed, self._truth, self._forecast], ("", "", ""))

    def draw(self, example: Example, *, heading: str, names: tuple[str, str, str]) -> bytes:
        """Return the picture of an example as PNG."""
        with self.lock:
            self._set(example)
            self.rename(names)
            return self.png(heading)

    def _set(self, example: Example) -> None:
        context, first = shown_context(example), example.first_step
        observed = example.observed[len(example.observed) - context :]
        lines = (
            (self._observed, observed, first - context),
            (self._truth, example.truth, first),
            (self._forecast, example.forecast, first),
        )
        for line, values, start in lines:
            kept = np.array(visible(values), dtype=int)
            line.set_data(kept + start, values[kept])
        self._warm_up.set_xdata([first - 1, first - 1])
        self._label.xy = (first - 1, 0.04)
        self.axes.set_xlim(first - context, first + len(example.truth) - 1)
        self.axes.set_ylim(*value_range(example))
