"""Finished trials: where a trial's results are written, once.

`finish` writes everything in one transaction: state, value and attributes into Optuna's tables,
curve, replicas and artifacts into ours; the lease ends with it.
"""

import math
from collections.abc import Sequence
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import insert, select

from search.storage import artifacts, leases
from search.storage.database import StudyTransaction
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.optuna_tables import last_reports
from search.storage.optuna_writers import TrialEnd
from search.storage.records import FinishedTrial, Replica
from search.storage.tables import CURVES, REPLICAS, TRIALS

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def finish(study: StudyTransaction, worker_id: int, finished: Sequence[FinishedTrial]) -> list[int]:
    """Store trials with all their results, and end their leases.

    Returns the ids of the trials that the worker had lost: nothing was stored of them.
    """
    ids = [trial.trial_id for trial in finished]
    held = leases.lock_held(study, worker_id, ids)
    kept = [trial for trial in finished if trial.trial_id in held]
    if kept:
        study.writer.finish(study.connection, _ends(study, kept))
        _insert_results(study, kept)
        leases.end(study, [trial.trial_id for trial in kept])
    lost = [trial_id for trial_id in ids if trial_id not in held]
    # This worker may have finished them before, in a transaction whose confirmation got lost.
    return sorted(set(lost) - _finished_by(study, worker_id, lost)) if lost else []


def _ends(study: StudyTransaction, finished: Sequence[FinishedTrial]) -> list[TrialEnd]:
    """Store the artifacts and return what Optuna's tables get."""
    stored = artifacts.store(study, finished)
    pruned = [trial.trial_id for trial in finished if trial.state == "pruned"]
    last = last_reports(study.connection, pruned) if pruned else {}
    ends = []
    for trial in finished:
        message = {} if trial.message is None else {"message": trial.message}
        left_out, metadata = stored[trial.trial_id]
        value = last.get(trial.trial_id) if trial.state == "pruned" else trial.value
        ends.append(
            TrialEnd(
                trial_id=trial.trial_id,
                state=_STATES[trial.state],
                # Optuna takes the last report as the value of a pruned trial, unless it is NaN.
                value=None if value is None or math.isnan(value) else float(value),
                user_attributes={**trial.user_attributes, **message, **left_out},
                system_attributes=metadata,
            )
        )
    return ends


def _insert_results(study: StudyTransaction, finished: Sequence[FinishedTrial]) -> None:
    curves: list[dict[str, Any]] = []
    replicas: list[dict[str, Any]] = []
    for trial in finished:
        ids = {"trial_id": trial.trial_id, "study_id": study.study_id}
        if trial.curve is not None:
            curves.append({**ids, "content": trial.curve})
        replicas += [{**ids, **_replica_row(replica)} for replica in trial.replicas]
    for table, rows in ((CURVES, curves), (REPLICAS, replicas)):
        if rows:
            study.connection.execute(insert(table), rows)


def _replica_row(replica: Replica) -> dict[str, Any]:
    loss = float(replica.training_loss)
    return {
        "replica": replica.index,
        "score": float(replica.score),
        "training_loss": None if math.isnan(loss) else loss,
        "restart": replica.restart,
    }


def _finished_by(study: StudyTransaction, worker_id: int, trial_ids: Sequence[int]) -> set[int]:
    finished = (
        select(TRIALS.c.trial_id)
        .join(OPTUNA_TRIALS, OPTUNA_TRIALS.c.trial_id == TRIALS.c.trial_id)
        .where(
            TRIALS.c.worker_id == worker_id,
            TRIALS.c.trial_id.in_(trial_ids),
            OPTUNA_TRIALS.c.state.in_(list(_STATES.values())),
        )
    )
    return set(study.connection.execute(finished).scalars())
