"""Candidates, and what can be done with one without knowing whether it is trained or fitted."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.closed_form.closed_form import ClosedForm, FittedForm
from models.closed_form.fitting import Fitting, FormForecaster
from models.cohort import Member
from models.methods import Scalar
from models.methods.method import Core
from models.methods.registry import check_names, configure
from models.network import walk
from models.network.architecture import Architecture
from models.network.forecaster import Forecaster
from models.tensors import RUN_BOUND, MemberBatchTimeChannel, MemberParameter, clipped
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer, training_bytes
from models.version_1 import settings_of

Candidate = TrainedNetwork | FittedForm
AnyForecaster = Forecaster | FormForecaster


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


def forecaster_of(architecture: Architecture, channels: int) -> AnyForecaster:
    """The forecaster of an architecture; the type and shape of its numbers, and no numbers."""
    core = architecture.core
    if isinstance(core, ClosedForm):
        return FormForecaster(core, channels)
    return Forecaster(architecture, channels)


def learner_of(
    members: Sequence[Member[Candidate]],
    values: Tensor,
    device: str,
    pieces: Sequence[Sequence[int]] | None = None,
) -> Trainer | Fitting:
    """The training or the fitting of a cohort on `values` `[series, time, channel]` in float64.

    pieces: the lengths of the stretches without a gap that each series consists of, in the order of
    time; None where each is one. Raises ValueError where the members can't form a cohort or the
    span is too short for them.
    """
    if members and isinstance(members[0].candidate, FittedForm):
        return Fitting(members, values, pieces)  # type: ignore[arg-type]
    return Trainer(members, values.float(), device, pieces)  # type: ignore[arg-type]


def free_run(
    forecaster: AnyForecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    truth: MemberBatchTimeChannel | None = None,
) -> MemberBatchTimeChannel:
    """Free runs of `steps` values after `context`, of a network or of a closed form.

    For shapes, units and `truth` see `models.network.walk.free_run`. No value is cut off: what
    reaches RUN_BOUND, or is no number, is infinite.
    """
    if isinstance(forecaster, FormForecaster):
        if truth is None:
            run = forecaster.free_run(weights, context, steps)
        else:
            run = forecaster.one_step(weights, context, truth)
        clipped(run, RUN_BOUND)
    else:
        read = None if truth is None else truth.to(weights)
        known = context.to(weights)
        run = walk.free_run(forecaster, weights, known, steps, truth=read, bound=RUN_BOUND)
    return run.masked_fill_(run >= RUN_BOUND, torch.inf).masked_fill_(run <= -RUN_BOUND, -torch.inf)


def member_bytes(candidate: Candidate) -> int:
    """About how much memory one member takes while its cohort is trained or fitted, one channel."""
    if isinstance(candidate, FittedForm):
        # Problems are solved one after the other: what adds up are the members' numbers.
        return 8 * FormForecaster(candidate.form).layout().size
    return training_bytes(candidate)
