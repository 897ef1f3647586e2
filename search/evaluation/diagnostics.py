"""Trained networks run again: in the series' own units, and why their free runs fail.

How good are one-step forecasts over the steps that the free run is scored on? What is left of a
displaced value later in a free run? How good are networks in the mean on draws that they were not
trained on, where the limit of their context binds?
"""

from collections.abc import Sequence

import numpy as np
import torch

from models.candidate import free_run
from models.checkpoint import Checkpoint
from models.diagnostics.reach import held
from models.diagnostics.scores import Scores, score
from models.diagnostics.sensitivity import sensitivity as sensitivity_of
from models.network.forecaster import Forecaster
from models.network.options.channels import side_by_side
from models.tensors import in_company
from search.evaluation.results import truth_of
from search.records import Array, Record
from search.series import FloatArray
from search.series.filling import without_foresight
from search.study.task_data import View

# Lags at which a sensitivity is kept: all of the first ones, then ever fewer.
_LAGS_PER_DOUBLING = 6


class OneStep(Record):
    """One-step forecasts from true values, over the steps that the free run is scored on.

    nmse: the median over networks; persistence: that of the last true value, likewise. forecast:
    `[step]` of the network of one replica.
    """

    nmse: float
    persistence: float
    forecast: Array


class Sensitivity(Record):
    """What is left of a displaced value: gradient norms by lag, the median over networks."""

    lags: tuple[int, ...]
    norms: tuple[float, ...]

    def at(self, lag: int) -> float:
        """The norm at the lag that is nearest to this one."""
        return self.norms[int(np.abs(np.array(self.lags) - lag).argmin())]


class Transfer(Record):
    """Free runs of networks on draws that none of them was trained on.

    mean: NMSE over draws and networks; standard_error: of that mean over draws, whose own mean is
    over networks; by_network: the mean over draws of each; median: over draws and networks.
    """

    context_steps: int
    draws: int
    networks: int
    horizon_steps: int
    mean: float
    standard_error: float
    median: float
    by_network: tuple[float, ...]


def run_networks(
    checkpoint: Checkpoint,
    contexts: FloatArray,
    steps: int,
    truth: FloatArray | None = None,
    known: FloatArray | None = None,
) -> FloatArray:
    """Forecast `steps` values after each context: `[member, batch, step, channel]`.

    contexts: `[member, batch, time, channel]` in the series' units, or with 1 for member where all
    networks read the same; as many steps as the architecture's context has. Of columns that are
    known only in the past, which may stand behind the channels, the networks' forecasts are not
    returned, and networks that do not read them get none. truth: `[member, batch, step, channel]`;
    where given it is read in place of the forecasts, so that each is a one-step forecast. known:
    known columns `[member, batch, time + step, known]` of the contexts and of the steps after them,
    behind rows before them for lags; networks that read none do not look at it.

    A forecast that leaves all bounds is not finite. Raises OverflowError where scaled contexts, or
    known columns, are no finite numbers in the networks' precision.
    """
    forecaster, channels = checkpoint.forecaster, checkpoint.channels
    members = len(checkpoint.weights)
    rows = in_company(range(members))
    units, of_each = checkpoint.units.rows(rows), channels + checkpoint.past

    def own(values: FloatArray) -> FloatArray:
        return values if len(values) == 1 else values[rows]

    shown = own(contexts)[..., :of_each]
    beside = None if truth is None else own(truth)[..., :of_each]
    given = shown if beside is None else np.concatenate([shown, beside], axis=2)
    seen = None if known is None or not units.reads_known else own(known)
    of_given = None
    if seen is not None:
        before = seen.shape[2] - shown.shape[2] - steps
        of_given = seen[:, :, : before + given.shape[2]]
    read = torch.from_numpy(units.read(given, of_given)).to(forecaster.dtype)
    inputs = units.exogenous(seen, shown.shape[2] + steps)
    exogenous = None if inputs is None else torch.from_numpy(inputs).to(forecaster.dtype)
    if not all(torch.isfinite(part).all() for part in (read, exogenous) if part is not None):
        raise OverflowError("values are too large for the scale of the networks")
    context_steps = shown.shape[2] - units.lag
    forecast = free_run(
        forecaster,
        checkpoint.weights[rows],
        read[:, :, :context_steps],
        steps,
        truth=None if beside is None else read[:, :, context_steps:],
        exogenous=exogenous,
    )
    run = forecast.double().numpy()
    values = (
        units.written(run, shown, seen)
        if beside is None
        else units.written_beside(run, shown, beside, seen)
    )
    return np.asarray(values[:members, ..., :channels])


def one_step(checkpoint: Checkpoint, views: Sequence[View], replica: int) -> OneStep | None:
    """Measure the one-step forecasts of networks, one for each view; keep those of a replica.

    None for a forecaster that runs on its state alone: it reads no true values.
    """
    if checkpoint.architecture.autonomous:
        return None
    starts, horizon = [view.starts[0] for view in views], views[0].horizon_steps
    forecasts = one_step_forecasts(checkpoint, views, starts)[:, :horizon]
    errors = [_first_run(v, f).nmse for v, f in zip(views, forecasts, strict=True)]
    last_values = [
        _first_run(view, _last_values(view, start, horizon)).nmse
        for view, start in zip(views, starts, strict=True)
    ]
    return OneStep(
        nmse=float(np.median(errors)),
        persistence=float(np.median(last_values)),
        forecast=forecasts[replica, :, 0],
    )


def one_step_forecasts(
    checkpoint: Checkpoint, views: Sequence[View], starts: Sequence[int]
) -> FloatArray:
    """Return one-step forecasts of the values from each view's start on, `[member, step, channel]`.

    Member m reads `views[m]`, and there must be a context before `starts[m]`. There are as many
    steps as all views have. What is far beyond the series is drawn in, see `held`.
    """
    steps = min(len(view.values) - start for view, start in zip(views, starts, strict=True))
    context_steps = checkpoint.architecture.shown_steps
    values = np.stack(
        [
            _read_step_by_step(view)[start - context_steps : start + steps]
            for view, start in zip(views, starts, strict=True)
        ]
    )[:, np.newaxis]
    known = None
    if views[0].known is not None:
        rows = [
            view.known_rows(context_steps + checkpoint.known_before, steps, [start])
            for view, start in zip(views, starts, strict=True)
        ]
        known = np.stack(rows)
    context, truth = values[:, :, :context_steps], values[:, :, context_steps:]
    forecasts = run_networks(checkpoint, context, steps, truth, known)[:, 0]
    truth = truth[..., : checkpoint.channels]
    trainings = [view.training for view in views]
    return np.stack(
        [
            held(forecast, own[0], training.mean(axis=0), training.std(axis=0))
            for forecast, own, training in zip(forecasts, truth, trainings, strict=True)
        ]
    )


def _last_values(view: View, start: int, horizon: int) -> FloatArray:
    """The value before each of so many rows `[step, channel]`."""
    rows = _read_step_by_step(view)[start - 1 : start - 1 + horizon]
    return rows[:, : view.values.shape[1]]


def _read_step_by_step(view: View) -> FloatArray:
    """The values that one-step forecasts read: masked ones go on level, as each step is a start."""
    if not view.has_masks:
        return view.all_values
    behind = [run.stop for run in view.filled if run.stop <= len(view.values)]
    return without_foresight(view.all_values, view.filled, behind)


def sensitivity(checkpoint: Checkpoint, views: Sequence[View]) -> Sensitivity | None:
    """Measure what is left of a displaced value in the free runs of networks, one for each view.

    A segment is displaced as a whole, so that lags are multiples of its length. None for a
    forecaster that runs on its state alone, that is fitted in closed form, or whose whole run is
    one segment.
    """
    architecture = checkpoint.architecture
    if architecture.autonomous or not architecture.is_trained:
        return None
    segment = architecture.segment_steps
    if views[0].horizon_steps <= segment:
        return None
    steps = checkpoint.architecture.shown_steps
    past = checkpoint.past > 0
    read = np.stack([v.contexts(steps, v.starts[:1], with_past=past) for v in views])
    known, horizon, units = None, views[0].horizon_steps, checkpoint.units
    before = steps + checkpoint.known_before
    if units.reads_known:
        known = np.stack([v.known_rows(before, horizon, v.starts[:1]) for v in views])
    contexts = units.read(read, None if known is None else known[:, :, :before])
    rows = in_company(range(len(views)))
    shown = torch.tensor(contexts[rows], dtype=torch.float32)
    inputs = units.exogenous(known, steps + horizon)
    exogenous = None if inputs is None else torch.tensor(inputs[rows], dtype=torch.float32)
    forecaster = checkpoint.forecaster
    assert isinstance(forecaster, Forecaster)
    if forecaster.channels < (channels := shown.shape[3]):
        shown = side_by_side(shown)
        if exogenous is not None:
            exogenous = exogenous.repeat_interleave(channels, dim=1)
    norms = sensitivity_of(forecaster, checkpoint.weights[rows], shown, horizon, exogenous).numpy()
    lags = _kept_lags(norms.shape[1])
    medians = np.median(norms, axis=0)[np.array(lags) - 1]
    return Sensitivity(lags=tuple(segment * lag for lag in lags), norms=tuple(medians.tolist()))


def transfer(checkpoint: Checkpoint, views: Sequence[View]) -> Transfer:
    """Run networks freely on draws that none of them was trained on."""
    steps = checkpoint.architecture.shown_steps
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
    return Transfer(
        context_steps=steps,
        draws=len(views),
        networks=len(runs),
        horizon_steps=views[0].horizon_steps,
        mean=float(by_draw.mean()),
        standard_error=float(by_draw.std(ddof=1) / np.sqrt(len(views))),
        median=float(np.median(scores)),
        by_network=tuple(scores.mean(axis=1).tolist()),
    )


def persistence_curve(views: Sequence[View]) -> FloatArray:
    """Return NMSE by horizon step of the last value for ever, the median over views."""
    runs = [
        np.repeat(view.values[view.starts[0] - 1 : view.starts[0]], view.horizon_steps, axis=0)
        for view in views
    ]
    curves = [_first_run(view, run).curve for view, run in zip(views, runs, strict=True)]
    return np.asarray(np.median(curves, axis=0))


def _kept_lags(most: int) -> list[int]:
    doublings = np.arange(0, _LAGS_PER_DOUBLING * np.log2(most) + 1) / _LAGS_PER_DOUBLING
    return sorted({int(lag) for lag in np.round(2.0**doublings) if lag <= most} | {most})


def _first_run(view: View, forecast: FloatArray) -> Scores:
    """The scores of a forecast `[step, channel]` from a view's first start point."""
    training = view.training
    truth = truth_of(view)[:1]
    mean, std = training.mean(axis=0), training.std(axis=0)
    return score(forecast[np.newaxis], truth, view.variance, mean, std)
