"""The two families of forecasters: networks that are trained, and closed forms that are fitted.

Whoever evaluates, stores or runs a candidate comes here, and need not know which it is.
"""

from collections.abc import Sequence

from torch import Tensor

from models import freerun
from models.axes import MemberBatchTimeChannel, MemberParameter
from models.candidate import Architecture, Candidate
from models.closed_form import CLOSED_FORMS, ClosedForm
from models.fitting import Fitting
from models.forecaster import Forecaster
from models.training import Member, Training, unroll_bytes

AnyForecaster = Forecaster | ClosedForm


def forecaster_of(architecture: Architecture, channels: int) -> AnyForecaster:
    """The forecaster of an architecture; the type and shape of its numbers, and no numbers."""
    if architecture.is_fitted:
        return CLOSED_FORMS[architecture.cell](architecture, channels)
    return Forecaster(architecture, channels)


def learning_of(members: Sequence[Member], values: Tensor, device: str) -> Training | Fitting:
    """The training or the fitting of a cohort on `values` `[series, time, channel]` in float64.

    Raises ValueError where the members can't form a cohort or the span is too short for them.
    """
    if members and members[0].candidate.architecture.is_fitted:
        return Fitting(members, values)
    return Training(members, values.float(), device)


def free_run(
    forecaster: AnyForecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    truth: MemberBatchTimeChannel | None = None,
) -> MemberBatchTimeChannel:
    """Forecast `steps` values after `context`, each from the forecaster's own earlier ones.

    `context` is `[member, batch, warm-up time, channel]` in training standard deviations from the
    training mean; the result `[member, batch, steps, channel]` is in the same units, within
    +-CLIP_STD. With `truth`, shaped like the result, its values are read in place of the forecasts.
    """
    if isinstance(forecaster, ClosedForm):
        if truth is None:
            return freerun.clipped(forecaster.free_run(weights, context, steps))
        return freerun.clipped(forecaster.one_step(weights, context, truth))
    read = None if truth is None else truth.to(weights)
    return freerun.free_run(forecaster, weights, context.to(weights), steps, truth=read)


def member_bytes(candidate: Candidate) -> int:
    """About how much memory one member takes while its cohort is trained or fitted.

    Of one channel, as a series of a study has one value column.
    """
    if candidate.architecture.is_fitted:
        # Problems are solved one after the other: what adds up are the members' numbers.
        return 8 * forecaster_of(candidate.architecture, channels=1).layout().size
    return unroll_bytes(candidate)
