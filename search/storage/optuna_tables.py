"""Optuna's own tables, as far as freerun reads and writes them by itself.

They are Optuna's private matter: nothing else here may import them from it.
"""

from functools import cache
from pathlib import Path
from typing import Any, cast

from alembic.script import ScriptDirectory
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import ColumnElement, Connection, Row, Table, select

from search.storage.records import TrialStateName

STUDIES = cast(Table, models.StudyModel.__table__)
TRIALS = cast(Table, models.TrialModel.__table__)
PARAMS = cast(Table, models.TrialParamModel.__table__)
VALUES = cast(Table, models.TrialValueModel.__table__)
INTERMEDIATE_VALUES = cast(Table, models.TrialIntermediateValueModel.__table__)
USER_ATTRIBUTES = cast(Table, models.TrialUserAttributeModel.__table__)
SYSTEM_ATTRIBUTES = cast(Table, models.TrialSystemAttributeModel.__table__)
VERSION_INFO = cast(Table, models.VersionInfoModel.__table__)

STATE_NAMES: dict[TrialState, TrialStateName] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.WAITING: "waiting",
}

_KNOWN_SCHEMA_VERSION = 12
_KNOWN_REVISION = "v3.2.0.a"


@cache
def newest_revision() -> str | None:
    """Return the revision of the tables that the installed Optuna works with."""
    return ScriptDirectory(str(Path(models.__file__).parent / "alembic")).get_current_head()


def is_known_schema(connection: Connection) -> bool:
    """Whether Optuna's tables, as installed and in this database, are those described here.

    The database's revision is the newest; that is checked when it is opened.
    """
    stored = connection.scalar(select(VERSION_INFO.c.schema_version))
    return (
        models.SCHEMA_VERSION == stored == _KNOWN_SCHEMA_VERSION
        and newest_revision() == _KNOWN_REVISION
    )


def read_value(row: Row[Any]) -> float:
    """Return the value that a row of VALUES holds."""
    value: float = models.TrialValueModel.stored_repr_to_value(row.value, row.value_type)
    return value


def is_finite_value() -> ColumnElement[bool]:
    """The condition that a row of VALUES holds a finite value."""
    finite: ColumnElement[bool] = (
        VALUES.c.value_type == models.TrialValueModel.TrialValueType.FINITE
    )
    return finite


def read_intermediate_value(row: Row[Any]) -> float:
    """Return the value that a row of INTERMEDIATE_VALUES holds."""
    value: float = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(
        row.intermediate_value, row.intermediate_value_type
    )
    return value


def lock_study(connection: Connection, study_id: int) -> None:
    """Lock a study as Optuna does before it gives a trial its number."""
    connection.execute(
        select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id).with_for_update()
    )


def value_columns(value: float) -> dict[str, Any]:
    """Return how a row of VALUES stores a value."""
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    return {"value": stored, "value_type": kind}


def intermediate_value_columns(value: float) -> dict[str, Any]:
    """Return how a row of INTERMEDIATE_VALUES stores a value; it may be NaN."""
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {"intermediate_value": stored, "intermediate_value_type": kind}
