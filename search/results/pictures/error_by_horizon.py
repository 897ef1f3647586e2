"""The error by horizon step: where a free run loses the series."""

from functools import cache

import numpy as np

from search.evaluation import CandidateResult
from search.results.pictures.canvas import heading_of
from search.results.pictures.replica_lines import ReplicaLines, logarithmic_ticks
from search.results.thinning import logarithmic_means
from search.results.wording import shown_score
from search.series import FloatArray


def error_picture(result: CandidateResult, title: str) -> bytes:
    """Return, as PNG, NMSE by horizon step of every replica and their median."""
    curves = [logarithmic_means(replica.scores.curve) for replica in result.replicas]
    steps = curves[0][0]
    return _canvas().draw(
        steps,
        np.stack([means for _, means in curves]),
        heading_of(title, f"error by horizon, mean {shown_score(result.score)}", result.verdict),
    )


@cache
def _canvas() -> "_ErrorCanvas":
    return _ErrorCanvas()


class _ErrorCanvas(ReplicaLines):
    def __init__(self) -> None:
        super().__init__("horizon (steps after the end of the warm-up)", "NMSE", marker="")
        self.axes.set_xscale("log")

    def draw(self, x: FloatArray, lines: FloatArray, heading: str) -> bytes:
        """Return lines `[replica, x]` as PNG."""
        end = max(float(x[-1]), 2.0)
        self.axes.set_xlim(1.0, end)
        logarithmic_ticks(self.axes.xaxis, 1.0, end)
        return super().draw(x, lines, heading)
