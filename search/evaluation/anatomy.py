"""What lies behind the score of a candidate whose free runs fail: its parts, measured apart.

Three questions about trained networks. How good is the one-step forecast over the very steps that
the free run is scored on? What is left, later in the free run, of an error that it makes? And how
good are networks in the mean on draws that they were not trained on, where the limit of their
context binds?
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from models.baselines.constant import Persistence
from models.checkpoint import Checkpoint
from models.diagnostics.scores import Scores, score
from models.diagnostics.sensitivity import sensitivity
from models.network.forecaster import Forecaster
from models.per_member import in_company
from search.evaluation.baselines import truth_of
from search.evaluation.networks import run_networks
from search.evaluation.result import CandidateResult
from search.series import FloatArray
from search.study.task_data import View

# Lags at which the echo of an error is told: all of the first ones, then ever fewer.
_LAGS_PER_DOUBLING = 6


def anatomy(
    checkpoint: Checkpoint, result: CandidateResult, views: Sequence[View]
) -> dict[str, Any]:
    """Measure the networks of a checkpoint, one for each view; JSON values.

    result: `CandidateResult.to_plain`. one_step: NMSE of one-step forecasts over the steps that the
    free run is scored on, the median over networks, of persistence likewise, and the forecasts
    `[step]` of the median replica's. echo: norms by lag, the median over networks, see
    `sensitivity`. Both are None for an autonomous forecaster, which reads neither truth nor its own
    output, and the echo for one that is fitted in closed form. persistence: the curve `[step]` of
    its free run, the median over views.
    """
    free = [
        _first_run(view, Persistence().forecast(view.values[: view.starts[0]], view.horizon_steps))
        for view in views
    ]
    plain: dict[str, Any] = {
        "result": result.to_plain(),
        "persistence": np.median([scores.curve for scores in free], axis=0).tolist(),
        "one_step": None,
        "echo": None,
    }
    if not checkpoint.architecture.autonomous:
        plain["one_step"] = _one_step(checkpoint, result, views)
        if checkpoint.architecture.is_trained:
            plain["echo"] = _echo(checkpoint, views)
    return plain


def one_step_forecasts(checkpoint: Checkpoint, views: Sequence[View], start: int) -> FloatArray:
    """One-step forecasts of all values from position `start` on, `[member, step, channel]`.

    Member m reads `views[m]`; there must be a context before `start`.
    """
    values = np.stack([view.values for view in views])[:, np.newaxis]
    context = values[:, :, start - checkpoint.architecture.context_steps : start]
    truth = values[:, :, start:]
    return run_networks(checkpoint, context, truth.shape[2], truth)[:, 0]


def transfer(checkpoint: Checkpoint, views: Sequence[View]) -> dict[str, Any]:
    """Run networks freely on draws that none of them was trained on; JSON values.

    mean: NMSE over draws and networks; standard_error: of that mean over draws, whose own mean is
    over networks; by_network: the mean over draws of each; median: over draws and networks.
    """
    steps = checkpoint.architecture.context_steps
    starts = [view.starts[0] for view in views]
    contexts = np.stack(
        [view.values[start - steps : start] for view, start in zip(views, starts, strict=True)]
    )
    runs = run_networks(checkpoint, contexts[np.newaxis], views[0].horizon_steps)
    scores = np.array(
        [
            [_first_run(view, runs[m, d]).nmse for d, view in enumerate(views)]
            for m in range(len(runs))
        ]
    )
    by_draw = scores.mean(axis=0)
    return {
        "context_steps": steps,
        "draws": len(views),
        "networks": len(runs),
        "horizon_steps": views[0].horizon_steps,
        "mean": float(by_draw.mean()),
        "standard_error": float(by_draw.std(ddof=1) / np.sqrt(len(views))),
        "median": float(np.median(scores)),
        "by_network": scores.mean(axis=1).tolist(),
    }


def _one_step(
    checkpoint: Checkpoint, result: CandidateResult, views: Sequence[View]
) -> dict[str, Any]:
    start, horizon = views[0].starts[0], views[0].horizon_steps
    forecasts = one_step_forecasts(checkpoint, views, start)[:, :horizon]
    errors = [_first_run(v, f).nmse for v, f in zip(views, forecasts, strict=True)]
    last_values = [_first_run(v, v.values[start - 1 : start - 1 + horizon]).nmse for v in views]
    return {
        "nmse": float(np.median(errors)),
        "persistence": float(np.median(last_values)),
        "forecast": forecasts[result.median_replica.index, :, 0].tolist(),
    }


def _echo(checkpoint: Checkpoint, views: Sequence[View]) -> dict[str, Any]:
    start = views[0].starts[0]
    steps = checkpoint.architecture.context_steps
    shift = checkpoint.shift.numpy()[:, np.newaxis]
    scale = checkpoint.scale.numpy()[:, np.newaxis]
    contexts = (np.stack([v.values[start - steps : start] for v in views]) - shift) / scale
    rows = in_company(range(len(views)))
    norms = sensitivity(
        Forecaster(checkpoint.architecture, checkpoint.channels),
        checkpoint.weights[rows],
        torch.tensor(contexts[rows][:, np.newaxis], dtype=torch.float32),
        views[0].horizon_steps,
    ).numpy()
    lags = _told_lags(norms.shape[1])
    return {"lags": lags, "norms": np.median(norms, axis=0)[np.array(lags) - 1].tolist()}


def _told_lags(most: int) -> list[int]:
    doublings = np.arange(0, _LAGS_PER_DOUBLING * np.log2(most) + 1) / _LAGS_PER_DOUBLING
    return sorted({int(lag) for lag in np.round(2.0**doublings) if lag <= most} | {most})


def _first_run(view: View, forecast: FloatArray) -> Scores:
    """The scores of a forecast `[step, channel]` from a view's first start point."""
    training = view.values[: view.train_steps]
    truth = truth_of(view)[:1]
    mean, std = training.mean(axis=0), training.std(axis=0)
    return score(forecast[np.newaxis], truth, view.variance, mean, std)
