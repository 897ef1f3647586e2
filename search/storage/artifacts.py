"""Artifacts: small files of trials, stored in the study's database, where every machine sees them.

Other Optuna programs read them as an artifact store, by the id in Optuna's metadata, which is a
system attribute of the trial.
"""

import io
import json
import mimetypes
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound
from sqlalchemy import Connection, delete, insert, select, update

from search.storage.database import Database
from search.storage.records import Artifact, FinishedTrial
from search.storage.tables import ARTIFACTS, BUDGETS, STUDIES

# The name under which optuna.artifacts looks for metadata.
_META_PREFIX = "artifacts:"
_DEFAULT_MIMETYPE = "application/octet-stream"


@dataclass(slots=True)
class StoredArtifacts:
    """The attributes that a trial gets for its artifacts."""

    user_attributes: dict[str, Any] = field(default_factory=dict)
    system_attributes: dict[str, Any] = field(default_factory=dict)


def store(
    connection: Connection, study_id: int, finished: Sequence[FinishedTrial]
) -> dict[int, StoredArtifacts]:
    """Store the artifacts of trials as far as the limits of trial and study allow.

    Returns each trial's attributes: Optuna's metadata of what is stored, and "artifacts_left_out",
    the number of bytes that are not.
    """
    attributes = {trial.trial_id: StoredArtifacts() for trial in finished}
    if not any(trial.artifacts for trial in finished):
        return attributes
    per_trial, study_room = _room(connection, study_id)
    rows = []
    for trial in finished:
        trial_room, left_out = per_trial, 0
        for artifact in trial.artifacts:
            size = len(artifact.content)
            if size > min(trial_room, study_room):
                left_out += size
                continue
            trial_room -= size
            study_room -= size
            row, meta = _row(study_id, trial.trial_id, artifact)
            rows.append(row)
            key = _META_PREFIX + meta.artifact_id
            # JSON within JSON, as optuna.artifacts.upload_artifact writes it.
            attributes[trial.trial_id].system_attributes[key] = json.dumps(asdict(meta))
        if left_out:
            attributes[trial.trial_id].user_attributes["artifacts_left_out"] = left_out
    if rows:
        connection.execute(insert(ARTIFACTS), rows)
        _count_bytes(connection, study_id, sum(row["size"] for row in rows))
    return attributes


def read(connection: Connection, trial_id: int) -> list[Artifact]:
    """Return the stored artifacts of a trial by the order of their names."""
    rows = connection.execute(
        select(ARTIFACTS.c.filename, ARTIFACTS.c.content)
        .where(ARTIFACTS.c.trial_id == trial_id)
        .order_by(ARTIFACTS.c.filename)
    )
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


def _room(connection: Connection, study_id: int) -> tuple[int, int]:
    """Lock the budget; return the bytes that each trial, and the study, may still store."""
    used = connection.execute(
        select(BUDGETS.c.artifact_bytes).where(BUDGETS.c.study_id == study_id).with_for_update()
    ).scalar_one()
    limits = connection.execute(
        select(STUDIES.c.artifact_bytes_per_trial, STUDIES.c.artifact_bytes_per_study).where(
            STUDIES.c.study_id == study_id
        )
    ).one()
    return limits.artifact_bytes_per_trial, limits.artifact_bytes_per_study - used


def _row(study_id: int, trial_id: int, artifact: Artifact) -> tuple[dict[str, Any], ArtifactMeta]:
    mimetype, encoding = _mimetype(artifact.filename)
    meta = ArtifactMeta(
        artifact_id=str(uuid.uuid4()),
        filename=artifact.filename,
        mimetype=artifact.mimetype or mimetype,
        encoding=encoding,
    )
    row = {
        "artifact_id": meta.artifact_id,
        "study_id": study_id,
        "trial_id": trial_id,
        "filename": artifact.filename,
        "content": artifact.content,
        "size": len(artifact.content),
    }
    return row, meta


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
