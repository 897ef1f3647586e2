"""Finished trials: where a trial's results are written, once, with its artifacts.

`finish` writes everything in one transaction: state, value and attributes into Optuna's tables,
curve, replicas and artifacts into ours; the lease ends with it.

Artifacts are small files, stored in the study's database, where every machine sees them. Other
Optuna programs read them as an artifact store, by the id in Optuna's metadata, which is a system
attribute of the trial.
"""

import io
import json
import math
import mimetypes
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import TrialState
from sqlalchemy import Connection, delete, insert, select, update

from search.storage import leases
from search.storage.database import Database, StudyTransaction, insert_rows
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.optuna_tables import last_reports
from search.storage.optuna_writers import TrialEnd
from search.storage.records import Artifact, FinishedTrial, Replica
from search.storage.tables import ARTIFACTS, BUDGETS, CURVES, REPLICAS, STUDIES, TRIALS

# The name under which optuna.artifacts looks for metadata.
_META_PREFIX = "artifacts:"
_DEFAULT_MIMETYPE = "application/octet-stream"
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
    """Store the artifacts that there is room for; return what Optuna's tables get.

    That includes Optuna's metadata of the stored artifacts, and "artifacts_left_out", the number of
    bytes that are not stored.
    """
    pruned = [trial.trial_id for trial in finished if trial.state == "pruned"]
    last = last_reports(study.connection, pruned) if pruned else {}
    per_trial, per_study = _room(study) if any(t.artifacts for t in finished) else (0, 0)
    ends, rows = [], []
    for trial in finished:
        stored = _artifact_rows(study, trial, min(per_trial, per_study))
        size = sum(row["size"] for row in stored)
        left_out = sum(len(artifact.content) for artifact in trial.artifacts) - size
        rows += stored
        per_study -= size
        value = last.get(trial.trial_id) if trial.state == "pruned" else trial.value
        ends.append(
            TrialEnd(
                trial_id=trial.trial_id,
                state=_STATES[trial.state],
                # Optuna takes the last report as the value of a pruned trial, unless it is NaN.
                value=None if value is None or math.isnan(value) else float(value),
                user_attributes={
                    **trial.user_attributes,
                    **({"artifacts_left_out": left_out} if left_out else {}),
                },
                system_attributes=dict(map(_metadata, stored)),
            )
        )
    if rows:
        insert_rows(study.connection, ARTIFACTS, rows)
        _count_bytes(study.connection, study.study_id, sum(row["size"] for row in rows))
    return ends


def _artifact_rows(
    study: StudyTransaction, trial: FinishedTrial, room: int
) -> list[dict[str, Any]]:
    """Return the rows of a trial's artifacts, the most important first, as far as they fit."""
    rows = []
    for artifact in trial.artifacts:
        size = len(artifact.content)
        if size <= room:
            room -= size
            rows.append(
                {
                    "artifact_id": str(uuid.uuid4()),
                    "study_id": study.study_id,
                    "trial_id": trial.trial_id,
                    "filename": artifact.filename,
                    "content": artifact.content,
                    "size": size,
                }
            )
    return rows


def _metadata(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the attribute by which Optuna finds a stored artifact, its name and its value."""
    artifact_id, filename = row["artifact_id"], row["filename"]
    mimetype, encoding = mimetypes.guess_type(filename)
    meta = ArtifactMeta(artifact_id, filename, mimetype or _DEFAULT_MIMETYPE, encoding)
    # JSON within JSON, as optuna.artifacts.upload_artifact writes it.
    return _META_PREFIX + artifact_id, json.dumps(asdict(meta))


def _insert_results(study: StudyTransaction, finished: Sequence[FinishedTrial]) -> None:
    curves: list[dict[str, Any]] = []
    replicas: list[dict[str, Any]] = []
    for trial in finished:
        ids = {"trial_id": trial.trial_id, "study_id": study.study_id}
        if trial.curve is not None:
            curves.append({**ids, "content": trial.curve})
        replicas += [{**ids, **_replica_row(replica)} for replica in trial.replicas]
    insert_rows(study.connection, CURVES, curves)
    insert_rows(study.connection, REPLICAS, replicas)


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


def read_artifacts(study: StudyTransaction, trial_id: int) -> list[Artifact]:
    """Return the stored files of a trial in the order of their names."""
    of_trial = select(ARTIFACTS.c.filename, ARTIFACTS.c.content)
    of_trial = of_trial.where(ARTIFACTS.c.trial_id == trial_id).order_by(ARTIFACTS.c.filename)
    rows = study.connection.execute(of_trial)
    return [Artifact(row.filename, row.content) for row in rows]


class DatabaseArtifactStore:
    """An Optuna artifact store in the tables of a storage.

    What other programs write through it has no limit and belongs to no study.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return the content as a binary file; raises ArtifactNotFound for an unknown id."""
        wanted = select(ARTIFACTS.c.content).where(ARTIFACTS.c.artifact_id == artifact_id)
        content = self._database.read(lambda connection: connection.scalar(wanted))
        if content is None:
            raise ArtifactNotFound("not found")
        return io.BytesIO(content)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Store the content of `content_body`, and replace what the id had before."""
        content = content_body.read()

        def replace(connection: Connection) -> None:
            _remove(connection, artifact_id)
            row = {"artifact_id": artifact_id, "content": content, "size": len(content)}
            connection.execute(insert(ARTIFACTS).values(row))

        self._database.write(replace)

    def remove(self, artifact_id: str) -> None:
        """Delete an artifact; raises ArtifactNotFound for an unknown id."""
        if not self._database.write(lambda connection: _remove(connection, artifact_id)):
            raise ArtifactNotFound("not found")


def _room(study: StudyTransaction) -> tuple[int, int]:
    """Lock the budget; return the bytes that each trial, and the study, may still store."""
    used = select(BUDGETS.c.artifact_bytes).where(BUDGETS.c.study_id == study.study_id)
    used_bytes = study.connection.execute(used.with_for_update()).scalar_one()
    limits = select(STUDIES.c.artifact_bytes_per_trial, STUDIES.c.artifact_bytes_per_study)
    of_study = limits.where(STUDIES.c.study_id == study.study_id)
    per_trial, per_study = study.connection.execute(of_study).one()
    return per_trial, per_study - used_bytes


def _remove(connection: Connection, artifact_id: str) -> bool:
    removed = connection.execute(
        delete(ARTIFACTS)
        .where(ARTIFACTS.c.artifact_id == artifact_id)
        .returning(ARTIFACTS.c.study_id, ARTIFACTS.c.size)
    ).one_or_none()
    if removed is not None and removed.study_id is not None:
        _count_bytes(connection, removed.study_id, -removed.size)
    return removed is not None


def _count_bytes(connection: Connection, study_id: int, more: int) -> None:
    of_study = BUDGETS.c.study_id == study_id
    total = BUDGETS.c.artifact_bytes + more
    connection.execute(update(BUDGETS).where(of_study).values(artifact_bytes=total))
