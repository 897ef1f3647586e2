"""What is read of studies: how far they are, their best trials and their results."""

from collections import defaultdict
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Select, func, select

from search.storage.frozen_trials import load_trials
from search.storage.optuna_tables import STATE_NAMES, VALUES, is_finite_value
from search.storage.optuna_tables import STUDIES as OPTUNA_STUDIES
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.records import Counts, Replica, StudySummary, TrialRow
from search.storage.tables import CURVES, REPLICAS, STUDIES, TRIALS


def counts(connection: Connection, study_id: int) -> Counts:
    """Return how many trials of a study are in each state."""
    return _counts(connection, study_id).get(study_id, Counts())


def summaries(connection: Connection) -> list[StudySummary]:
    """Return one line for each study in the order of creation: three statements for all."""
    by_study = _counts(connection)
    best = (
        select(OPTUNA_TRIALS.c.study_id, func.min(VALUES.c.value))
        .join(VALUES, VALUES.c.trial_id == OPTUNA_TRIALS.c.trial_id)
        .where(OPTUNA_TRIALS.c.state == TrialState.COMPLETE, is_finite_value())
        .group_by(OPTUNA_TRIALS.c.study_id)
    )
    least = {study_id: value for study_id, value in connection.execute(best)}  # noqa: C416
    return [
        StudySummary(
            name=row.name,
            created=row.created,
            counts=by_study.get(row.study_id, Counts()),
            best_value=least.get(row.study_id),
        )
        for row in connection.execute(
            known_studies(STUDIES.c.study_id, STUDIES.c.name, STUDIES.c.created)
        )
    ]


def known_studies(*columns: Any) -> Select[*tuple[Any, ...]]:
    """Select columns of freerun's studies, in the order of creation, if Optuna has them still."""
    same = (OPTUNA_STUDIES.c.study_id == STUDIES.c.study_id) & (
        # SQLite gives the id of a deleted study to the next one.
        OPTUNA_STUDIES.c.study_name == STUDIES.c.name
    )
    return select(*columns).join(OPTUNA_STUDIES, same).order_by(STUDIES.c.study_id)


def best_trial(connection: Connection, study_id: int) -> FrozenTrial | None:
    """Return the complete trial of the least value, the first of several; None without one."""
    best = (
        select(OPTUNA_TRIALS.c.trial_id)
        .join(VALUES, VALUES.c.trial_id == OPTUNA_TRIALS.c.trial_id)
        .where(
            OPTUNA_TRIALS.c.study_id == study_id,
            OPTUNA_TRIALS.c.state == TrialState.COMPLETE,
            is_finite_value(),
        )
        .order_by(VALUES.c.value, OPTUNA_TRIALS.c.trial_id)
        .limit(1)
    )
    trial_id = connection.scalar(best)
    return None if trial_id is None else load_trials(connection, study_id, [trial_id])[0]


def trial_rows(connection: Connection, study_id: int, number: int | None = None) -> list[TrialRow]:
    """Return the trials of a study in the order of their numbers, or the one of a number."""
    own = select(TRIALS).where(TRIALS.c.study_id == study_id)
    ids = None
    if number is not None:
        ids = _ids_of(connection, study_id, number)
        own = own.where(TRIALS.c.trial_id.in_(ids))
    ours = {row.trial_id: row for row in connection.execute(own)}
    rows = []
    for trial in load_trials(connection, study_id, ids):
        mine = ours.get(trial._trial_id)
        rows.append(
            TrialRow(
                trial_id=trial._trial_id,
                number=trial.number,
                state=STATE_NAMES[trial.state],
                value=trial.value,
                params=trial.params,
                user_attributes=trial.user_attrs,
                intermediate_values=trial.intermediate_values,
                started=trial.datetime_start,
                completed=trial.datetime_complete,
                cohort_key=None if mine is None else mine.cohort_key,
                attempts=0 if mine is None else mine.attempts,
                worker_id=None if mine is None else mine.worker_id,
            )
        )
    return rows


def curves(connection: Connection, study_id: int) -> dict[int, bytes]:
    """Return the curves of a study by trial id."""
    of_study = select(CURVES.c.trial_id, CURVES.c.content).where(CURVES.c.study_id == study_id)
    return {row.trial_id: row.content for row in connection.execute(of_study)}


def replicas(connection: Connection, study_id: int) -> dict[int, list[Replica]]:
    """Return the replicas of a study by trial id, in the order of their indices."""
    groups: defaultdict[int, list[Replica]] = defaultdict(list)
    of_study = select(REPLICAS).where(REPLICAS.c.study_id == study_id)
    for row in connection.execute(of_study.order_by(REPLICAS.c.trial_id, REPLICAS.c.replica)):
        loss = float("nan") if row.training_loss is None else row.training_loss
        groups[row.trial_id].append(Replica(row.replica, row.score, loss, row.restart))
    return dict(groups)


def _ids_of(connection: Connection, study_id: int, number: int) -> list[int]:
    wanted = (OPTUNA_TRIALS.c.study_id == study_id, OPTUNA_TRIALS.c.number == number)
    return list(connection.execute(select(OPTUNA_TRIALS.c.trial_id).where(*wanted)).scalars())


def _counts(connection: Connection, study_id: int | None = None) -> dict[int, Counts]:
    states = select(OPTUNA_TRIALS.c.study_id, OPTUNA_TRIALS.c.state, func.count())
    if study_id is not None:
        states = states.where(OPTUNA_TRIALS.c.study_id == study_id)
    grouped = states.group_by(OPTUNA_TRIALS.c.study_id, OPTUNA_TRIALS.c.state)
    by_study: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for of_study, state, count in connection.execute(grouped):
        by_study[of_study][STATE_NAMES[state]] = count
    return {of_study: Counts(**states) for of_study, states in by_study.items()}
