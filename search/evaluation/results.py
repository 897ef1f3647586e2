"""The results of an evaluation: of a candidate on all its replicas, and of the baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.baselines.baseline import baselines
from models.diagnostics.scores import Averaging, Scores, averaged, replica_score, score
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
    """A candidate on all its replicas; `seconds` of one core, `parameters` of one network.

    averaging: how its replicas become one score.
    """

    replicas: tuple[ReplicaResult, ...]
    scored_against: ScoreAgainst
    parameters: int
    seconds: float
    averaging: Averaging = "median"

    @cached_property
    def replica_scores(self) -> list[float]:
        """NMSE of each replica over its start points and horizon, see `replica_score`."""
        return [replica_score(replica.scores, self.averaging) for replica in self.replicas]

    @property
    def score(self) -> float:
        """The score over replicas, see `averaged`."""
        return averaged(self.replica_scores, self.averaging)

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
        scored = zip(self.replica_scores, self.replicas, strict=True)
        ranked = sorted(scored, key=lambda pair: (pair[0], pair[1].index))
        return [replica for _, replica in ranked]

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
            averaging=self.averaging,
        )


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """A baseline on all draws or cuts, which make one score as the replicas of a candidate do."""

    name: str
    scores: tuple[Scores, ...]
    forecasts: tuple[FloatArray, ...]  # [time] of each draw's first start point and channel
    averaging: Averaging = "median"

    @property
    def draw_scores(self) -> list[float]:
        """NMSE of each draw, see `replica_score`."""
        return [replica_score(scores, self.averaging) for scores in self.scores]

    def record(self, replica: int = 0) -> BaselineRecord:
        """The result as it is stored, with the forecast for the draw that `replica` saw."""
        return BaselineRecord(
            draw_scores=tuple(self.draw_scores),
            curve=np.median([scores.curve for scores in self.scores], axis=0),
            forecast=self.forecasts[replica % len(self.forecasts)],
            averaging=self.averaging,
        )


def baseline_results(views: Sequence[View]) -> list[BaselineResult]:
    """Fit and score every baseline on each view; where all views are equal, they count once.

    It is fitted on the longest piece of the training rows.
    """
    distinct = list(views) if not _all_equal(views) else [views[0]]
    results = []
    for name, baseline in baselines().items():
        scores = []
        forecasts = []
        for view in distinct:
            training = view.training
            fitted = baseline.fit(view.longest)
            forecast = np.stack(
                [fitted.forecast(view.values[:start], view.horizon_steps) for start in view.starts]
            )
            truth = truth_of(view)
            scores.append(
                score(forecast, truth, view.variance, training.mean(axis=0), training.std(axis=0))
            )
            forecasts.append(forecast[0, :, 0])
        averaging = views[0].averaging
        results.append(BaselineResult(name, tuple(scores), tuple(forecasts), averaging))
    return results


def truth_of(view: View) -> FloatArray:
    """What each free run of a view is compared with, `[start, time, channel]`."""
    return np.stack([view.truth[start : start + view.horizon_steps] for start in view.starts])


def _all_equal(views: Sequence[View]) -> bool:
    first = views[0]
    return all(
        (view.pieces, view.starts) == (first.pieces, first.starts)
        and np.array_equal(view.values, first.values)
        for view in views[1:]
    )
