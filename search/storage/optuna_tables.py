"""Optuna's own tables: their columns, and trials read from them in bulk.

The tables are private to Optuna, so this is the only file that imports them.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeAlias, cast

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Row,
    String,
    Table,
    inspect,
    select,
    type_coerce,
)

from search.storage.database import StudyTransaction
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

# The same by the text of their column.
NAMES_BY_TEXT = {state.name: name for state, name in STATE_NAMES.items()}

# Alembic's table of Optuna's steps, which Optuna's models leave to Alembic.
_OPTUNA_ALEMBIC_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32)))

_REVISION = re.compile(r'^(down_)?revision = "([^"]+)"', re.MULTILINE)
_KNOWN_SCHEMA_VERSION = 12
_KNOWN_REVISION = "v3.2.0.a"
# Ids in one statement; SQLite allows 32766 variables.
_CHUNK = 2000

_Groups: TypeAlias = defaultdict[int, list[Row[Any]]]


@cache
def newest_revision() -> str | None:
    """Return the revision of the tables that the installed Optuna works with.

    It is the one that no other follows. Alembic would run all files to find it, which takes a tenth
    of a second at each start, and is asked only where they do not say it in their usual words.
    """
    folder = Path(models.__file__).parent / "alembic"
    found = [_REVISION.findall(path.read_text()) for path in (folder / "versions").glob("*.py")]
    followed = {name for file in found for is_down, name in file if is_down}
    heads = {name for file in found for is_down, name in file if not is_down} - followed
    return heads.pop() if len(heads) == 1 else revision_by_alembic()


def revision_by_alembic() -> str | None:
    """The same, as Alembic finds it."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(models.__file__).parent / "alembic")).get_current_head()


def optuna_revision(engine: Engine) -> str | None:
    """Return the revision that Optuna's tables in a database have; None where they say none.

    Alembic would take a tenth of a second of each start to be imported for it.
    """
    with engine.connect() as connection:
        if not inspect(connection).has_table(_OPTUNA_ALEMBIC_VERSION.name):
            return None
        return connection.scalar(select(_OPTUNA_ALEMBIC_VERSION.c.version_num))


def is_known_schema(connection: Connection) -> bool:
    """Return whether the installed Optuna and this database have the tables described here.

    `schema.prepare` has checked that the database is at Optuna's newest revision.
    """
    stored = connection.scalar(select(VERSION_INFO.c.schema_version))
    return (
        models.SCHEMA_VERSION == stored == _KNOWN_SCHEMA_VERSION
        and newest_revision() == _KNOWN_REVISION
    )


def lock_study(connection: Connection, study_id: int) -> None:
    """Lock a study as Optuna does before it gives a trial its number."""
    connection.execute(
        select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id).with_for_update()
    )


def as_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return a column of an enumeration as the database has it: to make members takes longer."""
    return type_coerce(column, String)


def is_finite_value() -> ColumnElement[bool]:
    """Return the condition that a row of VALUES holds a finite value."""
    return VALUES.c.value_type == models.TrialValueModel.TrialValueType.FINITE


def read_value(row: Row[Any]) -> float:
    """Return the value in a row of VALUES."""
    return float(models.TrialValueModel.stored_repr_to_value(row.value, row.value_type))


def outlined_value(value: float | None, kind: str | None) -> float | None:
    """Return the value of a row of VALUES whose kind was read as text; None without a row."""
    if kind is None or kind == models.TrialValueModel.TrialValueType.FINITE.name:
        return value
    known = models.TrialValueModel.TrialValueType[kind]
    return float(models.TrialValueModel.stored_repr_to_value(value, known))


def value_columns(value: float) -> dict[str, Any]:
    """Return the columns of VALUES that store a value."""
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    return {"value": stored, "value_type": kind}


def read_intermediate_value(row: Row[Any]) -> float:
    """Return the value in a row of INTERMEDIATE_VALUES."""
    value: float = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(
        row.intermediate_value, row.intermediate_value_type
    )
    return value


def outlined_report(value: float | None, kind: str) -> float:
    """Return the value of a row of INTERMEDIATE_VALUES whose kind was read as text."""
    kinds = models.TrialIntermediateValueModel.TrialIntermediateValueType
    if kind == kinds.FINITE.name:
        assert value is not None
        return value
    read = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    return float(read(value, kinds[kind]))


def intermediate_value_columns(value: float) -> dict[str, Any]:
    """Return the columns of INTERMEDIATE_VALUES that store a value, which may be NaN."""
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {"intermediate_value": stored, "intermediate_value_type": kind}


def load_trials(
    study: StudyTransaction, trial_ids: Sequence[int] | None = None, *, attributes: bool = True
) -> list[FrozenTrial]:
    """Return trials as Optuna would, in the order of their numbers; all of them without ids.

    A few statements read thousands of trials, which share their distributions: these must not be
    changed. attributes: whether to read user and system attributes, most of what is stored.
    """
    if trial_ids is None:
        of_study = select(TRIALS.c.trial_id).where(TRIALS.c.study_id == study.study_id)
        trial_ids = list(study.connection.execute(of_study).scalars())
    # In parts, since the rows of a trial take more memory than the trial.
    parts = (_load(study, chunk, attributes) for chunk in chunks(trial_ids))
    return sorted((trial for part in parts for trial in part), key=lambda trial: trial.number)


def last_reports(connection: Connection, trial_ids: Sequence[int]) -> dict[int, float]:
    """Return the value at the highest reported step of each trial that has one."""
    table = INTERMEDIATE_VALUES
    reports = select(table).where(table.c.trial_id.in_(trial_ids)).order_by(table.c.step)
    return {row.trial_id: read_intermediate_value(row) for row in connection.execute(reports)}


def chunks(trial_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut ids into parts of which one statement may name all."""
    return (trial_ids[start : start + _CHUNK] for start in range(0, len(trial_ids), _CHUNK))


def _load(study: StudyTransaction, ids: Sequence[int], attributes: bool) -> list[FrozenTrial]:
    connection = study.connection
    values = _by_trial(connection, VALUES, ids)
    params = _by_trial(connection, PARAMS, ids, "param_name", "param_value", "distribution_json")
    reports = _by_trial(connection, INTERMEDIATE_VALUES, ids)
    user: _Groups = defaultdict(list)
    system: _Groups = defaultdict(list)
    if attributes:
        user = _by_trial(connection, USER_ATTRIBUTES, ids, "key", "value_json")
        system = _by_trial(connection, SYSTEM_ATTRIBUTES, ids, "key", "value_json")
    return [
        _trial(
            row,
            values[row.trial_id],
            params[row.trial_id],
            reports[row.trial_id],
            user[row.trial_id],
            system[row.trial_id],
        )
        for row in _rows(study, ids)
    ]


def _rows(study: StudyTransaction, ids: Sequence[int]) -> Sequence[Row[Any]]:
    own = (TRIALS.c.study_id == study.study_id, TRIALS.c.trial_id.in_(ids))
    return study.connection.execute(select(TRIALS).where(*own).order_by(TRIALS.c.number)).all()


def _trial(
    row: Row[Any],
    values: Sequence[Row[Any]],
    params: Sequence[Sequence[Any]] = (),
    reports: Sequence[Row[Any]] = (),
    user: Sequence[Sequence[Any]] = (),
    system: Sequence[Sequence[Any]] = (),
) -> FrozenTrial:
    known = [(name, value, read_distribution(text)) for _, name, value, text in params]
    return FrozenTrial(
        number=row.number,
        state=row.state,
        value=None,
        values=[read_value(value) for value in values] or None,
        datetime_start=local_time(row.datetime_start),
        datetime_complete=local_time(row.datetime_complete),
        params={name: of.to_external_repr(value) for name, value, of in known},
        distributions={name: of for name, _, of in known},
        user_attrs={key: json.loads(text) for _, key, text in user},
        system_attrs={key: json.loads(text) for _, key, text in system},
        intermediate_values={r.step: read_intermediate_value(r) for r in reports},
        trial_id=row.trial_id,
    )


def _by_trial(connection: Connection, table: Table, ids: Sequence[int], *columns: str) -> _Groups:
    """Return the rows of each trial in the order in which they were inserted.

    columns: behind the trial's id; all without any.
    """
    groups: _Groups = defaultdict(list)
    chosen = [table.c.trial_id, *(table.c[name] for name in columns)] if columns else [table]
    inserted = next(iter(table.primary_key))
    wanted = select(*chosen).where(table.c.trial_id.in_(ids)).order_by(inserted)
    # All at once: to fetch row by row takes three times as long.
    for row in connection.execute(wanted).all():
        groups[row.trial_id].append(row)
    return groups


@lru_cache(maxsize=1024)
def read_distribution(text: str) -> BaseDistribution:
    """Return the distribution in a row of PARAMS; trials share it."""
    return json_to_distribution(text)


def local_time(stored: datetime | None) -> datetime | None:
    """Convert UTC without a zone, as Optuna stores it, to local time without a zone."""
    return None if stored is None else stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
