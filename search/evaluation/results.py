"""The results of an evaluation: of a candidate on all its replicas."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.diagnostics.errors import Errors, errors_by_channel, errors_of, median_errors
from models.diagnostics.known import known_mean, known_median
from models.diagnostics.reach import held
from models.diagnostics.scores import (
    Averaging,
    PerChannel,
    Scores,
    averaged,
    replica_score,
    score,
)
from models.diagnostics.verdict import verdict
from search.records import CandidateRecord, ChannelRun, Example
from search.series import FloatArray
from search.study.definition import ScoreAgainst
from search.study.task_data import View

# How many observed values before a free run an example shows.
EXAMPLE_CONTEXT_STEPS = 600
# Into how many units the free runs of a replica are put where there are many start points, and cut
# where there are few.
LEAST_UNITS, MOST_UNITS = 8, 32
# Channels of a free run that a picture shows.
SHOWN_CHANNELS = 6


@dataclass(frozen=True, eq=False)
class ReplicaResult:
    """One replica: the restart that the training loss chose, its scores and verdict.

    loss_curve: the least training loss of its restarts by the number of optimiser steps done, a
    handful of them, the last one at this result; infinite where none is a number. unit_errors: NMSE
    of each part of the free runs by which the final compares candidates, see `unit_errors`.
    errors: of all its free runs, in the units of the series. channel_scores: NMSE of each channel,
    whose mean is the NMSE of the replica. channel_errors: of each channel, where channels have
    units of their own.
    """

    index: int
    restart: int
    training_loss: float
    loss_curve: Mapping[int, float]
    scores: Scores
    verdict: str
    example: Example
    unit_errors: tuple[float, ...] = ()
    errors: Errors | None = None
    channel_scores: tuple[float, ...] = ()
    channel_errors: tuple[Errors, ...] = ()

    def as_replica(self, index: int) -> "ReplicaResult":
        """The same result of another replica, which sees an equal view."""
        if index == self.index:
            return self
        return replace(self, index=index, example=replace(self.example, replica=index))


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
        """NMSE by horizon step `[horizon]`, the median over replicas; NaN where none knows it."""
        return known_median(np.stack([replica.scores.curve for replica in self.replicas]))

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
                horizon: float(
                    np.median([s.errors_at[horizon] for s in scores if horizon in s.errors_at])
                )
                for horizon in sorted({horizon for s in scores for horizon in s.errors_at})
            },
            curve=self.curve,
            training_losses=tuple(replica.training_loss for replica in self.replicas),
            restarts=tuple(replica.restart for replica in self.replicas),
            parameters=self.parameters,
            seconds=self.seconds,
            example=self.median_replica.example,
            averaging=self.averaging,
            errors=median_errors([r.errors for r in self.replicas if r.errors is not None]),
            channel_scores=self._channel_scores,
            channel_errors=self._channel_errors,
        )

    @property
    def _channel_scores(self) -> dict[str, float]:
        """The NMSE of each of several channels, by name."""
        names = self.replicas[0].example.channels
        by_channel = zip(*(replica.channel_scores for replica in self.replicas), strict=True)
        return {
            name: averaged(scores, self.averaging)
            for name, scores in zip(names, by_channel, strict=False)
        }

    @property
    def _channel_errors(self) -> dict[str, Errors]:
        """The errors of each channel by name, where channels have units of their own."""
        names = self.replicas[0].example.channels
        by_channel = zip(*(replica.channel_errors for replica in self.replicas), strict=True)
        medians = map(median_errors, by_channel)
        return {name: own for name, own in zip(names, medians, strict=False) if own is not None}


def truth_of(view: View) -> FloatArray:
    """What each free run of a view is compared with, `[start, time, channel]`; NaN if masked."""
    return np.stack([view.truth[start : start + view.horizon_steps] for start in view.starts])


def filled_truth_of(view: View) -> FloatArray:
    """The values of each free run `[start, time, channel]`, filled in where they are masked."""
    return np.stack([view.values[start : start + view.horizon_steps] for start in view.starts])


def near_truth(forecast: FloatArray, view: View) -> FloatArray:
    """The free runs of a view `[start, time, channel]` with finite errors, see `held`."""
    training = view.training
    return held(forecast, truth_of(view), training.mean(axis=0), training.std(axis=0))


def replica_result(
    index: int,
    view: View,
    forecast: FloatArray,
    *,
    restart: int = 0,
    training_loss: float = math.nan,
    loss_curve: Mapping[int, float] | None = None,
) -> ReplicaResult:
    """Score the free runs `[start, time, channel]` of one replica, in the series' units.

    A verdict compares whole waves: in it, what is filled in stands for truth that is masked.
    """
    training = view.training
    mean, std = training.mean(axis=0), training.std(axis=0)
    truth = truth_of(view)
    scores = score(forecast, truth, view.variance, mean, std, view.error_horizons)
    last_inputs = np.stack([view.values[start - 1] for start in view.starts])
    near = near_truth(forecast, view)
    errors = unit_errors(near, truth, view.variance)
    pieces, season = view.pieces_of_values, view.season_steps
    by_channel = known_mean((near - truth) ** 2, axis=(0, 1)) / view.variance
    whole = np.where(np.isnan(truth), filled_truth_of(view), truth)
    return ReplicaResult(
        index=index,
        restart=restart,
        training_loss=training_loss,
        loss_curve=dict(loss_curve or {}),
        scores=scores,
        verdict=str(verdict(forecast, whole, last_inputs, mean, std, scores.nmse)),
        example=_example(index, view, near[0], truth[0]),
        unit_errors=tuple(errors.tolist()),
        errors=errors_of(near, truth, pieces, season, has_one_unit=view.has_one_unit),
        channel_scores=tuple(by_channel.tolist()),
        channel_errors=() if view.has_one_unit else errors_by_channel(near, truth, pieces, season),
    )


def _example(index: int, view: View, forecast: FloatArray, truth: FloatArray) -> Example:
    """The free run `[time, channel]` from the first start point."""
    first, channels = view.starts[0], truth.shape[1]
    known = view.truth if view.has_masks else view.values
    observed = known[max(0, first - EXAMPLE_CONTEXT_STEPS) : first]
    names = view.names if channels > 1 else ()
    runs = [
        ChannelRun(name, observed[:, c], truth[:, c], forecast[:, c])
        for c, name in enumerate(names[:SHOWN_CHANNELS])
    ]
    return Example(
        replica=index,
        first_step=first,
        observed=observed[:, 0],
        truth=truth[:, 0],
        forecast=forecast[:, 0],
        channels=names,
        others=tuple(runs[1:]),
    )


def unit_errors(forecast: FloatArray, truth: FloatArray, variance: PerChannel) -> FloatArray:
    """The NMSE of the units, in the order of time, by which two candidates are compared in pairs.

    forecast, truth: `[start, time, channel]`. A unit is a start point. Many of them, whose free
    runs overlap, are put together to at most `MOST_UNITS`; few of them are cut into parts of their
    horizon, to make `LEAST_UNITS` where that is long enough. NaN is a unit without known truth.
    """
    errors = known_mean((forecast - truth) ** 2 / variance, axis=2)
    starts, steps = errors.shape
    if starts >= LEAST_UNITS:
        groups = np.array_split(known_mean(errors, axis=1), min(starts, MOST_UNITS))
        return np.array([known_mean(group) for group in groups])
    parts = min(-(-LEAST_UNITS // starts), steps)
    cut = np.array_split(errors, parts, axis=1)
    return np.stack([known_mean(part, axis=1) for part in cut], axis=1).ravel()
