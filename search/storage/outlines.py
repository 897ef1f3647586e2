"""Outlines of trials: some attributes and parameters of many trials, read at a part of the cost.

A whole trial is some forty rows of Optuna's tables, of which those who count trials, or draw a
point for each, need a few.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from search.storage.database import StudyTransaction
from search.storage.optuna_tables import (
    INTERMEDIATE_VALUES,
    NAMES_BY_TEXT,
    PARAMS,
    STATE_NAMES,
    TRIALS,
    USER_ATTRIBUTES,
    VALUES,
    as_text,
    chunks,
    local_time,
    outlined_report,
    outlined_value,
    read_distribution,
)
from search.storage.records import ParamValue, TrialStateName

# Trials are read by their first and last id if at most so many times as many lie between them.
_SPARSE = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of a trial beside its state and value.

    attributes: names of user attributes; params: names of parameters, None for all. params_of: of
    trials in which state parameters are read, None for all. has_course: whether reports and times
    are read.
    """

    attributes: Collection[str] = ()
    params: Collection[str] | None = ()
    params_of: TrialStateName | None = None
    has_course: bool = False


NOTHING_MORE = Wanted()


class Outline(NamedTuple):
    """A trial as far as it was wanted; trials share values, which must not be changed.

    value: as Optuna has it. started, completed: naive local time; None where not wanted.
    """

    trial_id: int
    number: int
    state: TrialStateName
    value: float | None
    attributes: Mapping[str, Any]
    params: Mapping[str, ParamValue]
    reports: Mapping[int, float]
    started: datetime | None = None
    completed: datetime | None = None


def load_outlines(
    study: StudyTransaction, trial_ids: Sequence[int], wanted: Wanted
) -> list[Outline]:
    """Return the outlines of trials, whose ids are in ascending order."""
    return [own for chunk in chunks(trial_ids) for own in _load(study, chunk, wanted)]


def load_params(
    study: StudyTransaction, trial_ids: Sequence[int]
) -> dict[int, Mapping[str, ParamValue]]:
    """Return all parameters of trials by trial id, in ascending order."""
    found: dict[int, Mapping[str, ParamValue]] = {}
    for chunk in chunks(trial_ids):
        params = _params(study.connection, _among(study, chunk), None)
        found |= {trial_id: params.get(trial_id, {}) for trial_id in chunk}
    return found


def _load(study: StudyTransaction, ids: Sequence[int], wanted: Wanted) -> list[Outline]:
    connection, own = study.connection, _among(study, ids)
    attributes = _attributes(connection, own, wanted.attributes)
    if wanted.params_of is None:
        params = _params(connection, own, wanted.params)
    else:
        params = _params(connection, own & _is_in(wanted.params_of), wanted.params)
    reports = _reports(connection, own) if wanted.has_course else {}
    times = (TRIALS.c.datetime_start, TRIALS.c.datetime_complete) if wanted.has_course else ()
    value = (VALUES.c.trial_id == TRIALS.c.trial_id) & (VALUES.c.objective == 0)
    columns = (TRIALS.c.trial_id, TRIALS.c.number, as_text(TRIALS.c.state), VALUES.c.value)
    trials = select(*columns, as_text(VALUES.c.value_type), *times)
    asked_for = set(ids)
    return [
        Outline(
            row[0],
            row[1],
            NAMES_BY_TEXT[row[2]],
            outlined_value(row[3], row[4]),
            attributes.get(row[0], {}),
            params.get(row[0], {}),
            reports.get(row[0], {}),
            *map(local_time, row[5:]),
        )
        for row in connection.execute(
            trials.outerjoin(VALUES, value).where(own).order_by(TRIALS.c.trial_id)
        ).all()
        if row[0] in asked_for
    ]


def _among(study: StudyTransaction, ids: Sequence[int]) -> ColumnElement[bool]:
    """The condition on TRIALS that holds for these trials, and for some between them.

    To name two thousand ids takes longer than to read the few others.
    """
    of_study, own = TRIALS.c.study_id == study.study_id, TRIALS.c.trial_id
    is_dense = ids[-1] - ids[0] < _SPARSE * len(ids)
    return of_study & (own.between(ids[0], ids[-1]) if is_dense else own.in_(ids))


def _is_in(state: TrialStateName) -> ColumnElement[bool]:
    return TRIALS.c.state.in_([own for own, name in STATE_NAMES.items() if name == state])


def _attributes(
    connection: Connection, own: ColumnElement[bool], names: Collection[str]
) -> Mapping[int, dict[str, Any]]:
    if not names:
        return {}
    table = USER_ATTRIBUTES.c
    named = (table.trial_id == TRIALS.c.trial_id) & table.key.in_(names)
    columns = select(table.trial_id, table.key, table.value_json)
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, key, text in connection.execute(columns.join(TRIALS, named).where(own)).all():
        found[trial_id][key] = _value(text)
    return found


def _params(
    connection: Connection, own: ColumnElement[bool], names: Collection[str] | None
) -> Mapping[int, dict[str, Any]]:
    """In the order in which they were sampled."""
    if names is not None and not names:
        return {}
    table = PARAMS.c
    columns = (table.trial_id, table.param_name, table.param_value, table.distribution_json)
    named = table.trial_id == TRIALS.c.trial_id
    if names is not None:
        named &= table.param_name.in_(names)
    wanted = select(*columns).join(TRIALS, named).where(own).order_by(table.param_id)
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, name, value, text in connection.execute(wanted).all():
        found[trial_id][name] = read_distribution(text).to_external_repr(value)
    return found


def _reports(connection: Connection, own: ColumnElement[bool]) -> Mapping[int, dict[int, float]]:
    table = INTERMEDIATE_VALUES.c
    kind = as_text(table.intermediate_value_type)
    columns = select(table.trial_id, table.step, table.intermediate_value, kind)
    reports = columns.join(TRIALS, table.trial_id == TRIALS.c.trial_id).where(own)
    found: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for trial_id, step, stored, of in connection.execute(reports).all():
        found[trial_id][step] = outlined_report(stored, of)
    return found


@lru_cache(maxsize=1024)
def _value(text: str) -> Any:
    """Of few texts, since trials share verdicts, workers and messages."""
    return json.loads(text)
