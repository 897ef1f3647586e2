"""The trials of a study as a data frame."""

from collections.abc import Sequence
from typing import Any, Literal

from freerun.scores import known_errors
from search.analysis.trials import Trial
from search.errors import UsageError
from search.storage.study_store import StudyReader

FrameKind = Literal["pandas", "polars"]

_ERRORS = ("mae", "rmse", "mase")


def trials_frame(study: StudyReader, kind: FrameKind) -> Any:
    """Return one row for each trial, by number.

    Columns: number, state, score (NMSE), verdict, mae, rmse, mase (mae and rmse missing
    where columns have units of their own), params_NAME for each parameter
    (missing in trials that have no such parameter), started, completed, message.

    Raises UsageError where pandas is not installed, or for another kind.
    """
    make = _maker(kind)  # before what takes time
    trials = sorted(map(Trial.of, study.frozen_trials(None)), key=lambda trial: trial.number)
    names = sorted({name for trial in trials for name in trial.params})
    columns: dict[str, Sequence[Any]] = {
        "number": [trial.number for trial in trials],
        "state": [trial.state for trial in trials],
        "score": [trial.value if trial.is_scored else None for trial in trials],
        "verdict": [trial.record.verdict for trial in trials],
    }
    errors = [known_errors(trial.record.errors) for trial in trials]
    columns |= {name: [own.get(name) for own in errors] for name in _ERRORS}
    columns |= {f"params_{name}": [trial.params.get(name) for trial in trials] for name in names}
    columns |= {
        "started": [trial.started for trial in trials],
        "completed": [trial.completed for trial in trials],
        "message": [trial.record.message for trial in trials],
    }
    return make(columns)


def _maker(kind: str) -> Any:
    if kind == "polars":
        import polars

        # A parameter may hold numbers in some trials and names in others.
        return lambda columns: polars.DataFrame(columns, strict=False, infer_schema_length=None)
    if kind != "pandas":
        raise UsageError(f'kind must be "pandas" or "polars", but got {kind!r}; choose one')
    try:
        import pandas
    except ImportError as error:
        raise UsageError(
            f"trials() returns a data frame of pandas, which can't be imported ({error}); install "
            'it by pip install "freerun[pandas]", or ask for trials("polars")'
        ) from error
    return pandas.DataFrame
