"""The results of an evaluation: of a candidate on all its replicas, and of the baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.baselines.baseline import baselines
from models.diagnostics.scores import Scores, score
from search.records import BaselineRecord, CandidateRecord, Example
from search.series import FloatArray
from search.study.definition import ScoreAgainst
from search.study.task_data import View

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


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """A baseline on all draws; its score is the median over draws, as a candidate's is."""

    name: str
    scores: tuple[Scores, ...]
    forecasts: tuple[FloatArray, ...]  # [time] of each draw's first start point and channel

    @property
    def draw_scores(self) -> list[float]:
        """NMSE of each draw."""
        return [scores.nmse for scores in self.scores]

    def record(self, replica: int = 0) -> BaselineRecord:
        """The result as it is stored, with the forecast for the draw that `replica` saw."""
        return BaselineRecord(
            draw_scores=tuple(self.draw_scores),
            curve=np.median([scores.curve for scores in self.scores], axis=0),
            forecast=self.forecasts[replica % len(self.forecasts)],
        )


def baseline_results(views: Sequence[View]) -> list[BaselineResult]:
    """Fit and score every baseline on each view; views of one table are equal and count once."""
    distinct = list(views) if not _all_equal(views) else [views[0]]
    results = []
    for name, baseline in baselines().items():
        scores = []
        forecasts = []
        for view in distinct:
            training = view.values[: view.train_steps]
            fitted = baseline.fit(training)
            forecast = np.stack(
                [fitted.forecast(view.values[:start], view.horizon_steps) for start in view.starts]
            )
            truth = truth_of(view)
            scores.append(
                score(forecast, truth, view.variance, training.mean(axis=0), training.std(axis=0))
            )
            forecasts.append(forecast[0, :, 0])
        results.append(BaselineResult(name, tuple(scores), tuple(forecasts)))
    return results


def truth_of(view: View) -> FloatArray:
    """What each free run of a view is compared with, `[start, time, channel]`."""
    return np.stack([view.truth[start : start + view.horizon_steps] for start in view.starts])


def _all_equal(views: Sequence[View]) -> bool:
    return all(np.array_equal(view.values, views[0].values) for view in views[1:])
