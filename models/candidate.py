"""Candidates, and what can be done with one without knowing whether it is trained or fitted.

What a candidate is and costs is asked for without training it: so torch, and what computes with it,
is imported where a candidate is trained, fitted or run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from models.closed_form.closed_form import ClosedForm, FittedForm
from models.cohort import Member
from models.methods import Scalar
from models.methods.method import Core
from models.methods.registry import check_names, configure
from models.network.architecture import Architecture
from models.network.options.channels import (
    are_independent,
    beside_each,
    end_to_end,
    side_by_side,
    together,
)
from models.network.options.covariates import has_known_inputs
from models.tensors import (
    RUN_BOUND,
    MemberBatchTimeChannel,
    MemberParameter,
    Tensor,
    clipped,
    torch,
)
from models.training.subsequence import training_bytes
from models.training.trained_network import TrainedNetwork
from models.version_1 import settings_of

if TYPE_CHECKING:
    from models.closed_form.fitting import Fitting, FormForecaster
    from models.network.forecaster import Forecaster
    from models.training.trainer import Trainer

Candidate = TrainedNetwork | FittedForm
AnyForecaster: TypeAlias = "Forecaster | FormForecaster"

# Free runs of channels by themselves that are made side by side: many channels need no more memory.
RUNS_AT_ONCE = 512


def candidate_of(params: Mapping[str, Scalar | None]) -> Candidate:
    """The candidate that the values of settings stand for.

    Raises SettingError for a value that is missing and needed or outside its bounds, ValueError for
    values that contradict each other.
    """
    methods = configure(params)
    is_trained = any(isinstance(m, Core) and m.is_trained for m in methods)
    return TrainedNetwork(methods) if is_trained else FittedForm(methods)


def to_plain(candidate: Candidate) -> dict[str, Any]:
    """The candidate as JSON values, the inverse of `from_plain`."""
    return {"settings": candidate.values()}


def from_plain(plain: Mapping[str, Any]) -> Candidate:
    """Rebuild what `to_plain` wrote, or version 0.1.0 of freerun.

    Raises KeyError, TypeError or ValueError where that can't be.
    """
    settings = plain.get("settings")
    if settings is None:
        settings = settings_of(plain["architecture"], plain["strategy"], plain["restarts"])
    check_names(settings)
    return candidate_of(settings)


def forecaster_of(architecture: Architecture, channels: int, exogenous: int = 0) -> AnyForecaster:
    """The forecaster of an architecture; the type and shape of its numbers, and no numbers.

    channels: of the series. A forecaster of independent channels has one. exogenous: known columns
    that are inputs of a network.
    """
    from models.closed_form.fitting import FormForecaster
    from models.network.forecaster import Forecaster

    core = architecture.core
    if are_independent(architecture):
        channels = 1
    if isinstance(core, ClosedForm):
        return FormForecaster(core, channels)
    return Forecaster(architecture, channels, exogenous)


def learner_of(
    members: Sequence[Member[Candidate]],
    values: Tensor,
    device: str,
    pieces: Sequence[Sequence[int]] | None = None,
    targets: int | None = None,
    exogenous: Tensor | None = None,
) -> Trainer | Fitting:
    """The training or the fitting of a cohort on `values` `[series, time, channel]` in float64.

    pieces: the lengths of the stretches without a gap that each series consists of, in the order of
    time; None where each is one. Channels that are independent are further such stretches. targets:
    how many channels, the first ones, are to be forecast; None for all. exogenous: the known
    columns of the same rows, `[series, time, column]`, for networks that have such inputs, and None
    for all others. Raises ValueError where the members can't form a cohort or the span is too short
    for them.
    """
    from models.closed_form.fitting import Fitting
    from models.training.trainer import Trainer

    joined = 1
    if members and are_independent(members[0].candidate):
        joined = values.shape[-1]
        if exogenous is not None:
            exogenous = beside_each(exogenous, pieces, joined)
        values, pieces = end_to_end(values, pieces)
    if members and isinstance(members[0].candidate, FittedForm):
        return Fitting(members, values, pieces, joined, targets)  # type: ignore[arg-type]
    beside = None if exogenous is None else exogenous.float()
    return Trainer(members, values.float(), device, pieces, beside)  # type: ignore[arg-type]


def free_run(
    forecaster: AnyForecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    truth: MemberBatchTimeChannel | None = None,
    exogenous: MemberBatchTimeChannel | None = None,
) -> MemberBatchTimeChannel:
    """Free runs of `steps` values after `context`, of a network or of a closed form.

    For shapes, units, `truth` and `exogenous` see `models.network.walk.free_run`. A forecaster of
    one channel runs each channel of a context by itself. No value is cut off: what reaches
    RUN_BOUND, or is no number, is infinite.
    """
    from models.closed_form.fitting import FormForecaster
    from models.network import walk

    if forecaster.channels == 1 and context.shape[3] > 1:
        return _run_of_each(forecaster, weights, context, steps, truth, exogenous)
    if isinstance(forecaster, FormForecaster):
        if truth is None:
            run = forecaster.free_run(weights, context, steps)
        else:
            run = forecaster.one_step(weights, context, truth)
        clipped(run, RUN_BOUND)
    else:
        read, beside = (None if own is None else own.to(weights) for own in (truth, exogenous))
        known = context.to(weights)
        run = walk.free_run(
            forecaster, weights, known, steps, truth=read, bound=RUN_BOUND, exogenous=beside
        )
    return run.masked_fill_(run >= RUN_BOUND, torch.inf).masked_fill_(run <= -RUN_BOUND, -torch.inf)


def _run_of_each(
    forecaster: AnyForecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    truth: MemberBatchTimeChannel | None,
    exogenous: MemberBatchTimeChannel | None,
) -> MemberBatchTimeChannel:
    """The free runs of all channels, each by itself, so many side by side as memory allows."""
    channels, at_once = context.shape[3], max(1, RUNS_AT_ONCE // context.shape[1])
    runs = []
    for first in range(0, channels, at_once):
        some = slice(first, min(first + at_once, channels))
        beside = None if truth is None else side_by_side(truth[..., some])
        count = some.stop - some.start
        known = None if exogenous is None else exogenous.repeat_interleave(count, dim=1)
        own = free_run(forecaster, weights, side_by_side(context[..., some]), steps, beside, known)
        runs.append(together(own, count))
    return torch.cat(runs, dim=3)


def member_bytes(
    candidate: Candidate, channels: int = 1, train_steps: int = 0, known: int = 0
) -> int:
    """About how much memory one member takes while its cohort is trained or fitted.

    Of a network for one channel, as its units take most. Of the series, its known columns alone are
    counted, of which each network that reads them has a copy, for each channel that runs by itself.
    train_steps: rows of the training span. known: columns known in advance.
    """
    if isinstance(candidate, FittedForm):
        # Problems are solved one after the other: what adds up are the members' numbers.
        own = 1 if are_independent(candidate) else channels
        return 8 * candidate.form.layout(own).size
    if not has_known_inputs(candidate):
        return training_bytes(candidate)
    copies = channels if are_independent(candidate) else 1
    return training_bytes(candidate) + 4 * train_steps * known * copies
