"""Artifacts: small files of trials, stored in the study's database, where every machine sees them.

Other Optuna programs read them as an artifact store, by the id in Optuna's metadata, which is a
system attribute of the trial.
"""

import io
import json
import mimetypes
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, BinaryIO, NamedTuple

from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound
from sqlalchemy import Connection, delete, insert, select, update

from search.storage.database import Database, StudyTransaction
from search.storage.records import Artifact, FinishedTrial
from search.storage.tables import ARTIFACTS, BUDGETS, STUDIES

# The name under which optuna.artifacts looks for metadata.
_META_PREFIX = "artifacts:"
_DEFAULT_MIMETYPE = "application/octet-stream"


class ArtifactAttributes(NamedTuple):
    """What a trial gets for its artifacts: "artifacts_left_out", the number of bytes that are not
    stored, as a user attribute; as system attributes Optuna's metadata of what is stored."""

    user: dict[str, Any]
    system: dict[str, Any]


def store(
    study: StudyTransaction, finished: Sequence[FinishedTrial]
) -> dict[int, ArtifactAttributes]:
    """Store the artifacts of trials as far as the limits of trial and study allow.

    Returns the attributes that each trial gets.
    """
    attributes = {trial.trial_id: ArtifactAttributes({}, {}) for trial in finished}
    if not any(trial.artifacts for trial in finished):
        return attributes
    per_trial, study_room = _room(study)
    rows: list[dict[str, Any]] = []
    for trial in finished:
        trial_room, left_out = per_trial, 0
        for artifact in trial.artifacts:
            size = len(artifact.content)
            if size > min(trial_room, study_room):
                left_out += size
                continue
            trial_room -= size
            study_room -= size
            meta = _metadata(artifact)
            rows.append(
                {
                    "artifact_id": meta.artifact_id,
                    "study_id": study.study_id,
                    "trial_id": trial.trial_id,
                    "filename": artifact.filename,
                    "content": artifact.content,
                    "size": size,
                }
            )
            # JSON within JSON, as optuna.artifacts.upload_artifact writes it.
            stored = {_META_PREFIX + meta.artifact_id: json.dumps(asdict(meta))}
            attributes[trial.trial_id].system.update(stored)
        if left_out:
            attributes[trial.trial_id].user["artifacts_left_out"] = left_out
    if rows:
        study.connection.execute(insert(ARTIFACTS), rows)
        _count_bytes(study.connection, study.study_id, sum(row["size"] for row in rows))
    return attributes


def read(study: StudyTransaction, trial_id: int) -> list[Artifact]:
    """Return the stored files of a trial in the order of their names."""
    of_trial = select(ARTIFACTS.c.filename, ARTIFACTS.c.content)
    of_trial = of_trial.where(ARTIFACTS.c.trial_id == trial_id).order_by(ARTIFACTS.c.filename)
    rows = study.connection.execute(of_trial)
    return [Artifact(row.filename, row.content, _mimetype(row.filename)[0]) for row in rows]


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


def _metadata(artifact: Artifact) -> ArtifactMeta:
    mimetype, encoding = _mimetype(artifact.filename)
    return ArtifactMeta(
        artifact_id=str(uuid.uuid4()),
        filename=artifact.filename,
        mimetype=artifact.mimetype or mimetype,
        encoding=encoding,
    )


def _mimetype(filename: str) -> tuple[str, str | None]:
    mimetype, encoding = mimetypes.guess_type(filename)
    return mimetype or _DEFAULT_MIMETYPE, encoding


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
