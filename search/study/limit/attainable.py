"""What a candidate of a study could reach at best, as far as that is known."""

from functools import cache

from search.series import SineSeries
from search.study.definition import StudyDefinition
from search.study.limit.limit import context_limit


def attainable_nmse(
    definition: StudyDefinition, context_steps: int, horizon_steps: int | None = None
) -> float | None:
    """The least mean NMSE of forecasters that read so many values, None if unknown.

    horizon_steps: of the free run; those of validation where None.
    It binds the mean over many draws of a forecaster whose weights do not depend on the draw (see
    docs/limit.md): one score, or a median of a few, may well be below it.
    """
    series, task = definition.series, definition.task
    if not isinstance(series, SineSeries) or task.score_against != "signal":
        return None
    return _nmse(series, context_steps, horizon_steps or task.horizon_steps)


# A fifth of a second each, and a study has a handful of contexts for thousands of trials.
@cache
def _nmse(series: SineSeries, context_steps: int, horizon_steps: int) -> float:
    return context_limit(series, context_steps, horizon_steps).nmse
