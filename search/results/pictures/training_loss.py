"""The training loss by optimiser step: whether training got anywhere."""

from functools import cache

import numpy as np

from search.evaluation import CandidateResult
from search.results.pictures.canvas import heading_of
from search.results.pictures.replica_lines import ReplicaLines
from search.results.wording import shown_score
from search.series import FloatArray


def loss_picture(result: CandidateResult, title: str) -> bytes:
    """Return, as PNG, the training loss of every replica at the steps where it was noted.

    It is the least of a replica's restarts, in squared standard deviations of the training span.
    """
    steps = np.array(list(result.replicas[0].loss_curve), dtype=float)
    losses = np.array([list(replica.loss_curve.values()) for replica in result.replicas])
    last = shown_score(float(np.median(losses[:, -1])))
    return _canvas().draw(steps, losses, heading_of(title, f"training loss, at the end {last}"))


@cache
def _canvas() -> "_LossCanvas":
    return _LossCanvas()


class _LossCanvas(ReplicaLines):
    def __init__(self) -> None:
        super().__init__("optimiser step", "training loss", marker="o")

    def draw(self, x: FloatArray, lines: FloatArray, heading: str) -> bytes:
        """Return lines `[replica, x]` as PNG."""
        self.axes.set_xlim(0.0, float(x[-1]) * 1.02)
        return super().draw(x, lines, heading)
