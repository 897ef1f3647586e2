"""What the evaluation of a candidate gives: scores by replica, their median, an example to draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from models.diagnostics.scores import Scores, geometric_mean
from search.series import FloatArray
from search.study.definition import ScoreAgainst

# How many observed values before a free run an example shows.
EXAMPLE_CONTEXT_STEPS = 600


@dataclass(frozen=True, eq=False)
class Example:
    """One free run to look at, all arrays `[time]` of the first channel, in the series' units.

    observed: the values before the free run, `first_step` the index of its first forecast step
    within the series; truth and forecast: over the horizon.
    """

    replica: int
    first_step: int
    observed: FloatArray
    truth: FloatArray
    forecast: FloatArray

    def to_plain(self) -> dict[str, Any]:
        """JSON values; the inverse of `from_plain`."""
        return {
            "replica": self.replica,
            "first_step": self.first_step,
            "observed": self.observed.tolist(),
            "truth": self.truth.tolist(),
            "forecast": self.forecast.tolist(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Example":
        """Rebuild what `to_plain` wrote."""
        return cls(
            replica=plain["replica"],
            first_step=plain["first_step"],
            **{key: np.array(plain[key]) for key in ("observed", "truth", "forecast")},
        )


@dataclass(frozen=True, eq=False)
class ReplicaResult:
    """One replica: the restart that the training loss chose, its scores and verdict.

    loss_curve: the least training loss of its restarts by the number of optimiser steps done, a
    handful of them, the last one at this result; infinite where none is a number.
    """

    index: int
    restart: int
    training_loss: float
    loss_curve: Mapping[int, float]
    scores: Scores
    verdict: str
    example: Example


@dataclass(frozen=True, eq=False)
class CandidateResult:
    """A candidate on all its replicas; `seconds` of one core, `parameters` of one network."""

    replicas: tuple[ReplicaResult, ...]
    scored_against: ScoreAgainst
    parameters: int
    seconds: float

    @cached_property
    def replica_scores(self) -> list[float]:
        """NMSE of each replica, the mean over its start points and horizon."""
        return [replica.scores.nmse for replica in self.replicas]

    @property
    def score(self) -> float:
        """The median over replicas."""
        return float(np.median(self.replica_scores))

    @property
    def geometric_mean(self) -> float:
        """The geometric mean over replicas, by which the final chooses."""
        return geometric_mean(self.replica_scores)

    @property
    def curve(self) -> FloatArray:
        """NMSE by horizon step `[horizon]`, the median over replicas."""
        curves = np.stack([replica.scores.curve for replica in self.replicas])
        return np.asarray(np.median(curves, axis=0))

    @property
    def verdict(self) -> str:
        """The most frequent verdict of the replicas; of equals, that of the most middling replica.

        Of two in the middle it is the worse one's: one replica of four that tracks is luck.
        """
        ranked = sorted(self.replicas, key=lambda replica: replica.scores.nmse, reverse=True)
        middle = (len(ranked) - 1) // 2
        outward = sorted(range(len(ranked)), key=lambda rank: (abs(rank - middle), rank))
        verdicts = [ranked[rank].verdict for rank in outward]
        return max(verdicts, key=verdicts.count)

    @property
    def median_replica(self) -> ReplicaResult:
        """The replica in the middle, the better one of two."""
        return self._ranked[(len(self.replicas) - 1) // 2]

    @property
    def best_replica(self) -> ReplicaResult:
        """The replica of the least score."""
        return self._ranked[0]

    @property
    def _ranked(self) -> list[ReplicaResult]:
        return sorted(self.replicas, key=lambda replica: (replica.scores.nmse, replica.index))

    def to_plain(self) -> dict[str, Any]:
        """JSON values with all that reports need; the weights are kept apart."""
        median = self.median_replica
        errors = [replica.scores.errors_at for replica in self.replicas]
        return {
            "score": self.score,
            "scored_against": self.scored_against,
            "replica_scores": self.replica_scores,
            "mean_score": float(np.mean(self.replica_scores)),
            "geometric_mean": self.geometric_mean,
            "verdict": self.verdict,
            "verdicts": [replica.verdict for replica in self.replicas],
            "valid_prediction_steps": float(
                np.median([replica.scores.valid_prediction_steps for replica in self.replicas])
            ),
            "errors_at": {str(h): float(np.median([e[h] for e in errors])) for h in errors[0]},
            "curve": self.curve.tolist(),
            "training_losses": [replica.training_loss for replica in self.replicas],
            "restarts": [replica.restart for replica in self.replicas],
            "parameters": self.parameters,
            "seconds": self.seconds,
            "example": median.example.to_plain(),
        }
