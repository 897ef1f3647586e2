"""Optuna's trials as it would return them, read in bulk: a few statements for any number of trials,
and no copies."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, Row, Select, Table, select

from search.storage.optuna_tables import (
    INTERMEDIATE_VALUES,
    PARAMS,
    SYSTEM_ATTRIBUTES,
    TRIALS,
    USER_ATTRIBUTES,
    VALUES,
    read_intermediate_value,
    read_value,
)

# Ids in one statement; SQLite allows 32766 variables.
_CHUNK = 2000

_Groups: TypeAlias = defaultdict[int, list[Row[Any]]]


def load_trials(
    connection: Connection,
    study_id: int,
    trial_ids: Sequence[int] | None = None,
    *,
    attributes: bool = True,
) -> list[FrozenTrial]:
    """Return trials of a study in the order of their numbers, all where no ids are given.

    Equal to Optuna's own, but trials share their distributions, so treat these as constant.
    attributes: whether to read those of user and system, which are most of what is stored.
    """
    if trial_ids is None:
        return _load(connection, study_id, select(TRIALS.c.trial_id), attributes)
    trials: list[FrozenTrial] = []
    for start in range(0, len(trial_ids), _CHUNK):
        chunk = trial_ids[start : start + _CHUNK]
        these = select(TRIALS.c.trial_id).where(TRIALS.c.trial_id.in_(chunk))
        trials += _load(connection, study_id, these, attributes)
    return sorted(trials, key=lambda trial: trial.number)


def _load(
    connection: Connection, study_id: int, ids: Select[int], attributes: bool
) -> list[FrozenTrial]:
    ids = ids.where(TRIALS.c.study_id == study_id)
    trials = select(TRIALS).where(TRIALS.c.trial_id.in_(ids)).order_by(TRIALS.c.number)
    found = connection.execute(trials).all()
    params = _by_trial(connection, PARAMS, ids)
    values = _by_trial(connection, VALUES, ids)
    reports = _by_trial(connection, INTERMEDIATE_VALUES, ids)
    user: _Groups = defaultdict(list)
    system: _Groups = defaultdict(list)
    if attributes:
        user = _by_trial(connection, USER_ATTRIBUTES, ids)
        system = _by_trial(connection, SYSTEM_ATTRIBUTES, ids)
    return [
        FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            values=[read_value(value) for value in values[row.trial_id]] or None,
            datetime_start=_local(row.datetime_start),
            datetime_complete=_local(row.datetime_complete),
            params={
                p.param_name: _distribution(p.distribution_json).to_external_repr(p.param_value)
                for p in params[row.trial_id]
            },
            distributions={
                p.param_name: _distribution(p.distribution_json) for p in params[row.trial_id]
            },
            user_attrs={a.key: json.loads(a.value_json) for a in user[row.trial_id]},
            system_attrs={a.key: json.loads(a.value_json) for a in system[row.trial_id]},
            intermediate_values={r.step: read_intermediate_value(r) for r in reports[row.trial_id]},
            trial_id=row.trial_id,
        )
        for row in found
    ]


def last_reports(connection: Connection, trial_ids: Sequence[int]) -> dict[int, float]:
    """Return the value of the highest reported step of each trial that has one."""
    table = INTERMEDIATE_VALUES
    reports = select(table).where(table.c.trial_id.in_(trial_ids)).order_by(table.c.step)
    return {row.trial_id: read_intermediate_value(row) for row in connection.execute(reports)}


def _by_trial(connection: Connection, table: Table, ids: Select[int]) -> _Groups:
    """Return the rows of the trials, in the order in which they were written."""
    groups: _Groups = defaultdict(list)
    written = next(iter(table.primary_key))
    rows = connection.execute(select(table).where(table.c.trial_id.in_(ids)).order_by(written))
    for row in rows:
        groups[row.trial_id].append(row)
    return groups


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _local(stored: datetime | None) -> datetime | None:
    """Optuna stores UTC without a zone and returns local time without a zone."""
    if stored is None:
        return None
    return stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
