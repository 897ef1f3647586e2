"""The result of evaluating a candidate: all its replicas, and the record that is kept of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.diagnostics.scores import Scores
from search.records import CandidateRecord, Example
from search.series import FloatArray
from search.study.definition import ScoreAgainst

# How many observed values before a free run an example shows.
EXAMPLE_CONTEXT_STEPS = 600


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

    @cached_property
    def record(self) -> CandidateRecord:
        """The result as it is stored; weights are stored apart."""
        scores = [replica.scores for replica in self.replicas]
        return CandidateRecord(
            replica_scores=tuple(self.replica_scores),
            scored_against=self.scored_against,
            verdict=self.verdict,
            verdicts=tuple(replica.verdict for replica in self.replicas),
            valid_prediction_steps=float(np.median([s.valid_prediction_steps for s in scores])),
            errors_at={
                horizon: float(np.median([s.errors_at[horizon] for s in scores]))
                for horizon in scores[0].errors_at
            },
            curve=self.curve,
            training_losses=tuple(replica.training_loss for replica in self.replicas),
            restarts=tuple(replica.restart for replica in self.replicas),
            parameters=self.parameters,
            seconds=self.seconds,
            example=self.median_replica.example,
        )
