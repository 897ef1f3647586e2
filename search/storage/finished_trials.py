"""Finished trials: where a trial's results are written, once, and read back as scores.

`finish` writes everything in one transaction: state, value and attributes into Optuna's tables,
curve, replicas and artifacts into ours; the lease ends with it.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import ColumnElement, Connection, insert, select

from search.storage import artifacts, leases
from search.storage.optuna_tables import (
    INTERMEDIATE_VALUES,
    STATE_NAMES,
    VALUES,
    last_reports,
    read_intermediate_value,
    read_value,
)
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.optuna_writers import TrialEnd, TrialWriter
from search.storage.records import FinishedTrial, Replica, ScoredTrial
from search.storage.tables import CURVES, REPLICAS, TRIALS

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def finish(
    connection: Connection,
    writer: TrialWriter,
    study_id: int,
    worker_id: int,
    finished: Sequence[FinishedTrial],
) -> list[int]:
    """Write finished trials and end their leases; return the ids that the worker had lost."""
    ids = [trial.trial_id for trial in finished]
    held = leases.lock_held(connection, worker_id, ids)
    kept = [trial for trial in finished if trial.trial_id in held]
    if kept:
        writer.finish(connection, _ends(connection, study_id, kept))
        _insert_results(connection, study_id, kept)
        leases.end(connection, [trial.trial_id for trial in kept])
    lost = [trial_id for trial_id in ids if trial_id not in held]
    # This worker may have finished them before, in a transaction whose confirmation got lost.
    return sorted(set(lost) - _finished_by(connection, worker_id, lost)) if lost else []


def _ends(
    connection: Connection, study_id: int, finished: Sequence[FinishedTrial]
) -> list[TrialEnd]:
    """Store the artifacts and return what Optuna's tables get."""
    stored = artifacts.store(connection, study_id, finished)
    pruned = [trial.trial_id for trial in finished if trial.state == "pruned"]
    last = last_reports(connection, pruned) if pruned else {}
    ends = []
    for trial in finished:
        message = {} if trial.message is None else {"message": trial.message}
        of_artifacts = stored[trial.trial_id]
        value = last.get(trial.trial_id) if trial.state == "pruned" else trial.value
        ends.append(
            TrialEnd(
                trial_id=trial.trial_id,
                state=_STATES[trial.state],
                # Optuna takes the last report as the value of a pruned trial, unless it is NaN.
                value=None if value is None or math.isnan(value) else float(value),
                user_attributes={
                    **trial.user_attributes,
                    **message,
                    **of_artifacts.user_attributes,
                },
                system_attributes={**trial.system_attributes, **of_artifacts.system_attributes},
            )
        )
    return ends


def _insert_results(
    connection: Connection, study_id: int, finished: Sequence[FinishedTrial]
) -> None:
    curves = [
        {"trial_id": trial.trial_id, "study_id": study_id, "content": trial.curve}
        for trial in finished
        if trial.curve is not None
    ]
    if curves:
        connection.execute(insert(CURVES), curves)
    replicas = [
        {"trial_id": trial.trial_id, "study_id": study_id, **_replica_row(replica)}
        for trial in finished
        for replica in trial.replicas
    ]
    if replicas:
        connection.execute(insert(REPLICAS), replicas)


def _replica_row(replica: Replica) -> dict[str, Any]:
    loss = float(replica.training_loss)
    return {
        "replica": replica.index,
        "score": float(replica.score),
        "training_loss": None if math.isnan(loss) else loss,
        "restart": replica.restart,
    }


def _finished_by(connection: Connection, worker_id: int, trial_ids: Sequence[int]) -> set[int]:
    finished = (
        select(TRIALS.c.trial_id)
        .join(OPTUNA_TRIALS, OPTUNA_TRIALS.c.trial_id == TRIALS.c.trial_id)
        .where(
            TRIALS.c.worker_id == worker_id,
            TRIALS.c.trial_id.in_(trial_ids),
            OPTUNA_TRIALS.c.state.in_(list(_STATES.values())),
        )
    )
    return set(connection.execute(finished).scalars())


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader has read: all trials up to the id `highest`, except the `unfinished` ones."""

    highest: int = -1
    unfinished: frozenset[int] = frozenset()


def ids_since(connection: Connection, study_id: int, seen: Seen) -> tuple[list[int], Seen]:
    """Return the ids of the trials that finished since `seen`, and what is seen now."""
    states = select(OPTUNA_TRIALS.c.trial_id, OPTUNA_TRIALS.c.state)
    rows = connection.execute(states.where(_new_or_unfinished(study_id, seen))).all()
    finished = [row.trial_id for row in rows if row.state.is_finished()]
    return finished, _seen_now(seen, (row.trial_id for row in rows), finished)


def scores_since(
    connection: Connection, study_id: int, seen: Seen
) -> tuple[list[ScoredTrial], Seen]:
    """Return the trials that finished since `seen`, by number, and what is seen now.

    Parameters and attributes are not read, so this is fast for thousands of trials.
    """
    wanted = _new_or_unfinished(study_id, seen)
    trials = (
        select(OPTUNA_TRIALS.c.trial_id, OPTUNA_TRIALS.c.state, TRIALS.c.cohort_key)
        .outerjoin(TRIALS, TRIALS.c.trial_id == OPTUNA_TRIALS.c.trial_id)
        .where(wanted)
        .order_by(OPTUNA_TRIALS.c.number)
    )
    rows = connection.execute(trials).all()
    of_values = select(VALUES).join(OPTUNA_TRIALS).where(wanted)
    values = {row.trial_id: read_value(row) for row in connection.execute(of_values)}
    reports: defaultdict[int, dict[int, float]] = defaultdict(dict)
    of_reports = select(INTERMEDIATE_VALUES).join(OPTUNA_TRIALS).where(wanted)
    for row in connection.execute(of_reports):
        reports[row.trial_id][row.step] = read_intermediate_value(row)
    scored = [
        ScoredTrial(
            trial_id=row.trial_id,
            state=STATE_NAMES[row.state],
            value=values.get(row.trial_id),
            reports=reports[row.trial_id],
            cohort_key=row.cohort_key,
        )
        for row in rows
        if row.state.is_finished()
    ]
    finished = [trial.trial_id for trial in scored]
    return scored, _seen_now(seen, (row.trial_id for row in rows), finished)


def _new_or_unfinished(study_id: int, seen: Seen) -> ColumnElement[bool]:
    # Ids are given under a lock on the study, so no id below the highest appears later.
    return (OPTUNA_TRIALS.c.study_id == study_id) & (
        (OPTUNA_TRIALS.c.trial_id > seen.highest) | OPTUNA_TRIALS.c.trial_id.in_(seen.unfinished)
    )


def _seen_now(seen: Seen, read: Iterable[int], finished: Iterable[int]) -> Seen:
    ids = set(read)
    return Seen(max([seen.highest, *ids]), frozenset(ids.difference(finished)))
