"""Reports and ends of trials, with all that is kept of their results."""

import math
from collections.abc import Sequence
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection, insert, select

from search.storage import artifacts, leases
from search.storage.frozen_trials import last_reports
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.records import FinishedTrial, Replica, Report
from search.storage.tables import CURVES, REPLICAS, TRIALS
from search.storage.trial_writers import TrialEnd, TrialWriter

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def report(
    connection: Connection, writer: TrialWriter, worker_id: int, reports: Sequence[Report]
) -> list[int]:
    """Store intermediate values; return the ids of the trials that the worker lost."""
    ids = sorted({report.trial_id for report in reports})
    mine = leases.lock_held(connection, worker_id, ids)
    kept = [report for report in reports if report.trial_id in mine]
    if kept:
        writer.report(connection, kept)
    return [trial_id for trial_id in ids if trial_id not in mine]


def finish(
    connection: Connection,
    writer: TrialWriter,
    study_id: int,
    worker_id: int,
    finished: Sequence[FinishedTrial],
) -> list[int]:
    """Tell trials and end their leases; return the ids of the trials that the worker lost."""
    ids = [trial.trial_id for trial in finished]
    mine = leases.lock_held(connection, worker_id, ids)
    told = [trial for trial in finished if trial.trial_id in mine]
    if told:
        _tell(connection, writer, study_id, told)
    lost = [trial_id for trial_id in ids if trial_id not in mine]
    # Told before by this very worker: the answer to an earlier attempt did not arrive.
    return sorted(set(lost) - _told_by(connection, worker_id, lost)) if lost else []


def _tell(
    connection: Connection,
    writer: TrialWriter,
    study_id: int,
    finished: Sequence[FinishedTrial],
) -> None:
    ids = [trial.trial_id for trial in finished]
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
    writer.finish(connection, ends)
    _keep_results(connection, study_id, finished)
    leases.end(connection, ids)


def _keep_results(connection: Connection, study_id: int, finished: Sequence[FinishedTrial]) -> None:
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


def _told_by(connection: Connection, worker_id: int, trial_ids: Sequence[int]) -> set[int]:
    finished = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    told = (
        select(TRIALS.c.trial_id)
        .join(OPTUNA_TRIALS, OPTUNA_TRIALS.c.trial_id == TRIALS.c.trial_id)
        .where(
            TRIALS.c.worker_id == worker_id,
            TRIALS.c.trial_id.in_(trial_ids),
            OPTUNA_TRIALS.c.state.in_(finished),
        )
    )
    return set(connection.execute(told).scalars())
