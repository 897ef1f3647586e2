"""Ensembles of candidates: which one, with which weights, and how good on what it has not seen.

The weights are those of the least squared error over the free runs of validation. A score with the
same weights would flatter them: each part of the validation (a draw, or a stretch of a table's
rows) is therefore scored with weights that were fitted without it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from models.candidate import Candidate
from models.checkpoint import Checkpoint
from models.diagnostics.known import known_mean
from models.ensemble import (
    Ensemble,
    EnsembleCheckpoint,
    combined,
    shrunk,
    simplex_weights,
    without_runaways,
)
from models.ensemble.ensemble_checkpoint import AnyCheckpoint
from search.evaluation.diagnostics import run_networks
from search.evaluation.results import CandidateResult, near_truth, replica_result, truth_of
from search.evaluation.twins import distinct_views, draws_numbers
from search.series import FloatArray
from search.study.task_data import View

# Stretches of a table's validation rows, each scored with weights of the others.
ROW_FOLDS = 8
# An ensemble has at most so many members. One whose free runs differ from those of a better one by
# less than this share of the best one's error (root mean square) brings nothing.
MOST_MEMBERS = 15
LEAST_DIFFERENCE = 0.15
# The share where a score is the mean over many start points, which tell smaller differences.
LEAST_DIFFERENCE_OF_MANY, MANY_STARTS = 0.05, 16

# Trains a candidate on views and scores it.
TrainOne = Callable[[Candidate, Sequence[View]], tuple[Checkpoint, CandidateResult]]


@dataclass(frozen=True, eq=False)
class Member:
    """A member of an ensemble to be: its name, its candidate, and its networks."""

    name: str
    candidate: Candidate
    checkpoint: Checkpoint
    parameters: int


def best_ensemble(
    members: Sequence[Member], views: Sequence[View]
) -> tuple[Ensemble, EnsembleCheckpoint, CandidateResult]:
    """The better one of two ensembles of distinct ones of some members, the best one first.

    They are the weighted mean and the median, step by step. The weights are those of the least
    squared error, shrunk half-way to those of each member's own error. The weighted mean is left
    out where there are no two parts of the validation, of which one could be held out.
    """
    began = perf_counter()
    all_runs = member_runs([member.checkpoint for member in members], views)
    places = distinct_runs(all_runs, views)
    members, runs = [members[i] for i in places], [all_runs[i] for i in places]
    found: list[tuple[tuple[float, ...] | None, FloatArray]] = [(None, combined(runs, None))]
    folds = folds_of(views)
    if len(np.unique(folds)) > 1:
        products = error_products(runs, views, folds)
        weights = stacked_weights(products)
        found.append((tuple(weights.tolist()), held_out_mean(runs, products, folds)))
    parameters = sum(member.parameters for member in members)
    results = [_result(forecast, views, parameters, 0.0) for _, forecast in found]
    best = int(np.argmin([result.record.deciding_score for result in results]))
    weights_of_best = found[best][0]
    seconds = perf_counter() - began
    return (
        Ensemble(
            members=tuple(member.candidate for member in members),
            names=tuple(member.name for member in members),
            weights=weights_of_best,
        ),
        EnsembleCheckpoint(tuple(member.checkpoint for member in members), weights_of_best),
        replace(results[best], seconds=seconds),
    )


def train_ensemble(
    ensemble: Ensemble, views: Sequence[View], train: TrainOne, *, is_held_out: bool
) -> tuple[EnsembleCheckpoint, CandidateResult]:
    """Train the members of an ensemble on views, each by `train`, and score what they combine to.

    is_held_out: whether each part of what is scored has weights that were fitted on the others, as
    in the final that chose the ensemble; else the ensemble's own weights are used.
    """
    distinct = distinct_views(views)
    trained = [
        # Networks that would all be equal are kept once.
        train(own, views if draws_numbers(own) else distinct)
        for own in ensemble.members
    ]
    checkpoints = [checkpoint for checkpoint, _ in trained]
    runs = member_runs(checkpoints, views)
    if is_held_out and ensemble.weights is not None:
        folds = folds_of(views)
        forecast = held_out_mean(runs, error_products(runs, views, folds), folds)
    else:
        forecast = combined(runs, ensemble.weights)
    parameters = sum(result.parameters for _, result in trained)
    seconds = sum(result.seconds for _, result in trained)
    return (
        EnsembleCheckpoint(tuple(checkpoints), ensemble.weights),
        _result(forecast, views, parameters, seconds),
    )


def run_any(
    checkpoint: AnyCheckpoint, values: FloatArray, steps: int, known: FloatArray | None = None
) -> FloatArray:
    """Free runs of all networks, or of all that members combine to.

    values: `[start, time, channel]`, as many before each start as are read, or more; behind the
    channels may stand columns that are known only in the past. known: known columns `[start, time +
    step, known]` of the values and of the steps after them; of what lags read before the first row
    the first row stands. Returns `[network, start, step, channel]`.
    """
    if isinstance(checkpoint, Checkpoint):
        checkpoint = distinct(checkpoint)
        first = values.shape[1] - checkpoint.shown_steps
        before = max(0, first - checkpoint.known_before)
        rows = None if known is None else known[np.newaxis, :, before:]
        return run_networks(checkpoint, values[np.newaxis, :, first:], steps, known=rows)
    runs = [run_any(member, values, steps, known) for member in checkpoint.members]
    most = max(map(len, runs))
    # A member whose networks would all be equal has one of them.
    runs = [np.broadcast_to(run, (most, *run.shape[1:])) for run in runs]
    contexts = values[:, values.shape[1] - checkpoint.shown_steps :, : checkpoint.channels]
    return combined(without_runaways(runs, contexts), checkpoint.weights)


def run_on(checkpoint: Checkpoint, views: Sequence[View]) -> FloatArray:
    """The free runs `[member, start, step, channel]` of networks from the starts of their views.

    views: one for each network, or one for all of them.
    """
    shown, steps = checkpoint.shown_steps, views[0].horizon_steps
    contexts = np.stack([view.contexts(shown, with_past=checkpoint.past > 0) for view in views])
    known = None
    if checkpoint.known:
        read = shown + checkpoint.known_before
        known = np.stack([view.known_rows(read, steps) for view in views])
    return run_networks(checkpoint, contexts, steps, known=known)


def distinct(networks: Checkpoint) -> Checkpoint:
    """One of the networks where all are the same, as fits without random numbers to a table are."""
    return networks.member(0) if networks.is_of_equals else networks


def member_runs(checkpoints: Sequence[Checkpoint], views: Sequence[View]) -> list[FloatArray]:
    """The free runs of members, `[replica, start, time, channel]` each, as scores count them.

    Where a member runs away, the median of the others stands, see `without_runaways`. A member with
    a single network has the same free run for all replicas, whose views are equal.
    """
    runs = []
    for checkpoint in checkpoints:
        own = zip(_free_runs(checkpoint, views), views, strict=True)
        runs.append(np.stack([near_truth(run, view) for run, view in own]))
    shown_steps = max(checkpoint.shown_steps for checkpoint in checkpoints)
    return without_runaways(runs, np.stack([view.contexts(shown_steps) for view in views]))


def distinct_runs(runs: Sequence[FloatArray], views: Sequence[View]) -> list[int]:
    """The places of the members that an ensemble is made of: the first two, and what differs.

    runs: free runs of each, the best member first.
    """
    truth = np.stack([truth_of(view) for view in views])
    scales = np.sqrt([np.broadcast_to(view.variance, truth.shape[-1]) for view in views])
    scales = scales[:, np.newaxis, np.newaxis]
    # Two members, too, are compared where truth is known alone.
    unknown = np.where(np.isnan(truth), np.nan, 0.0)

    def distance(one: FloatArray, other: FloatArray) -> float:
        return float(np.sqrt(known_mean(((one - other) / scales) ** 2 + unknown)))

    is_of_many = views[0].averaging == "mean" and len(views[0].starts) >= MANY_STARTS
    share = LEAST_DIFFERENCE_OF_MANY if is_of_many else LEAST_DIFFERENCE
    least = share * distance(runs[0], truth)
    kept: list[int] = []
    for place, own in enumerate(runs):
        if len(kept) == MOST_MEMBERS:
            break
        if all(distance(own, runs[other]) >= least for other in kept):
            kept.append(place)
    return kept if len(kept) > 1 else [0, 1]


def folds_of(views: Sequence[View]) -> NDArray[np.int64]:
    """The part of the validation to which each forecast value belongs, `[replica, start, time]`.

    Of draws of their own, each is a part. Replicas of a table share its rows, also where they have
    cuts of their own: there, the parts are `ROW_FOLDS` stretches of rows, so that no row's truth
    has a say in its own forecast, from whichever start point that is.
    """
    first = views[0]
    starts, steps = len(first.starts), first.horizon_steps
    has_cuts = first.averaging != "median"
    if not has_cuts and len(distinct_views(views)) > 1:
        draws = np.arange(len(views))[:, np.newaxis, np.newaxis]
        return np.broadcast_to(draws, (len(views), starts, steps)).astype(np.int64)
    own_starts = np.array([view.starts for view in views])
    rows = own_starts[:, :, np.newaxis] + np.arange(steps) - own_starts.min()
    return np.asarray(rows * ROW_FOLDS // (int(rows.max()) + 1), dtype=np.int64)


def error_products(
    runs: Sequence[FloatArray], views: Sequence[View], folds: NDArray[np.int64]
) -> FloatArray:
    """Sums of the products of the members' errors, `[part, replica, member, member]`."""
    parts = np.unique(folds)
    products = np.zeros((len(parts), len(views), len(runs), len(runs)))
    for replica, view in enumerate(views):
        truth = truth_of(view)
        scale = np.sqrt(view.variance)
        # No error counts where no truth is known.
        errors = np.stack([(run[replica] - truth) / scale for run in runs])
        errors = np.where(np.isnan(truth), 0.0, errors)
        for row, part in enumerate(parts):
            own = errors[:, folds[replica] == part].reshape(len(runs), -1)
            products[row, replica] = own @ own.T
    return products


def stacked_weights(products: FloatArray) -> FloatArray:
    """The weights that go with products of errors `[part, replica, member, member]`.

    Each replica counts alike, however large its errors are: one place of a table that is hard for
    all members would else decide alone.
    """
    by_replica = products.sum(axis=0)
    sizes = np.trace(by_replica, axis1=1, axis2=2)[:, np.newaxis, np.newaxis]
    alike = (by_replica / np.where(sizes > 0.0, sizes, 1.0)).sum(axis=0)
    return shrunk(simplex_weights(alike), alike)


def held_out_mean(
    runs: Sequence[FloatArray], products: FloatArray, folds: NDArray[np.int64]
) -> FloatArray:
    """The weighted mean of free runs, each part with the weights that fit the other parts best."""
    forecast = np.empty_like(runs[0])
    for row, part in enumerate(np.unique(folds)):
        weights = stacked_weights(np.delete(products, row, axis=0))
        inside = folds == part
        forecast[inside] = combined([run[inside] for run in runs], weights.tolist())
    return forecast


def _free_runs(checkpoint: Checkpoint, views: Sequence[View]) -> FloatArray:
    own = views[:1] if len(checkpoint.weights) == 1 else views
    runs = run_on(checkpoint, own)
    return np.broadcast_to(runs, (len(views), *runs.shape[1:]))


def _result(
    forecast: FloatArray, views: Sequence[View], parameters: int, seconds: float
) -> CandidateResult:
    return CandidateResult(
        replicas=tuple(
            replica_result(index, view, forecast[index]) for index, view in enumerate(views)
        ),
        scored_against=views[0].scored_against,
        parameters=parameters,
        seconds=seconds,
        averaging=views[0].averaging,
    )
