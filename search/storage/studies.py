"""An open storage: its studies are created, listed and found by name."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Self

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.study import StudyDirection
from sqlalchemy import Connection, Row, Select, case, delete, func, insert, select

from models.methods.values import nearest
from search.errors import StorageError, UnknownStudyError, UsageError
from search.names import check_name, cut
from search.storage import budgets
from search.storage.database import Database, StudyTransaction
from search.storage.finished_trials import DatabaseArtifactStore
from search.storage.optuna_log import quiet
from search.storage.optuna_tables import STUDIES as OPTUNA_STUDIES
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.optuna_tables import VALUES, is_known_schema
from search.storage.optuna_writers import BulkWriter, TrialWriter, joined
from search.storage.reading import complete_values, counts_by_study
from search.storage.records import StudySummary
from search.storage.restored import begin_anew
from search.storage.study_store import StudyStore
from search.storage.tables import BUDGETS, STUDIES, WORKERS, DatabaseNow
from search.storage.urls import shown

ARTIFACT_BYTES_PER_TRIAL = 256 * 1024
ARTIFACT_BYTES_PER_STUDY = 256 * 1024 * 1024


class StudyExistsError(StorageError):
    """The storage holds a study of that name already."""


class Storage:
    """An open storage. Made by `open_storage`; closed by `close` or a with statement.

    optuna: the same studies for Optuna's samplers, readers and dashboard, cached in this process.
    artifacts: the trials' files as an Optuna artifact store.
    engine: for other Optuna storages on the same database, which then share tuned connections.
    url: opens the storage again; holds the password, so it is never printed. shown_url: without it.
    """

    def __init__(self, database: Database, rdb: RDBStorage, lease_seconds: float) -> None:
        self._database = database
        self._rdb = rdb
        self._lease_seconds = lease_seconds
        is_known = database.read(is_known_schema)
        self._writer = BulkWriter(rdb) if is_known else TrialWriter(rdb)
        self.engine = database.engine
        self.url = self.engine.url.render_as_string(hide_password=False)
        self.shown_url = shown(self.engine.url)
        self.optuna: BaseStorage = get_storage(rdb)
        self.artifacts = DatabaseArtifactStore(database)

    def create_study(
        self,
        name: str,
        *,
        definition: str,
        definition_hash: str,
        data: bytes | None = None,
        data_hash: str | None = None,
        data_description: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        artifact_bytes_per_trial: int = ARTIFACT_BYTES_PER_TRIAL,
        artifact_bytes_per_study: int = ARTIFACT_BYTES_PER_STUDY,
        quota_trials: Mapping[str, int] = MappingProxyType({}),
    ) -> StudyStore:
        """Create a study to be minimised, without trials and without limits except its quotas.

        definition: text that says what the study is; data: its series, where that is a table;
        data_description: for people. attributes: user attributes of the Optuna study.
        artifact_bytes_...: how much of the trials' files is kept. quota_trials: limits of parts of
        its budget by name; set at creation, so that no worker can claim without them.

        Raises StudyExistsError if freerun or another program has created a study of that name.
        """
        row = {
            "name": name,
            "definition": definition,
            "definition_hash": definition_hash,
            "data": data,
            "data_hash": data_hash,
            "data_description": data_description,
            "artifact_bytes_per_trial": artifact_bytes_per_trial,
            "artifact_bytes_per_study": artifact_bytes_per_study,
        }

        def create(connection: Connection) -> None:
            with quiet(), joined(self._rdb, connection) as rdb:
                study_id = rdb.create_new_study([StudyDirection.MINIMIZE], name)
                for key, value in (attributes or {}).items():
                    rdb.set_study_user_attr(study_id, key, value)
            _remove_orphans(connection, study_id)
            created = {"study_id": study_id, "created": budgets.now(connection), **row}
            connection.execute(insert(STUDIES).values(created))
            connection.execute(insert(BUDGETS).values(study_id=study_id))
            budgets.set_quotas(connection, study_id, quota_trials)

        try:
            self._database.write(create)
        except DuplicatedStudyError:
            raise StudyExistsError(
                f"{self.shown_url} holds a study named {name!r} already. Choose another name."
            ) from None
        return self.study(name)

    def study(self, name: str) -> StudyStore:
        """Return a study by its name; raises UnknownStudyError, with the nearest name.

        Raises UsageError for what can't be a name.
        """
        check_name(name, "the name of a study")
        without_data = [column for column in STUDIES.c if column is not STUDIES.c.data]
        wanted = _known_studies(*without_data).where(STUDIES.c.name == name)
        row: Row[*tuple[Any, ...]] | None = self._database.read(
            lambda connection: connection.execute(wanted).one_or_none()
        )
        if row is None:
            names = [summary.name for summary in self.studies()]
            raise UnknownStudyError(
                f"{self.shown_url} holds no study named '{cut(name)}'.{nearest(name, names)}"
                " `freerun list` shows the studies."
            )
        return StudyStore(self._database, self._writer, self._lease_seconds, row)

    def delete_study(self, name: str) -> None:
        """Delete a study with all that is stored of it.

        Raises UnknownStudyError, and UsageError while workers are on it.
        """
        study = self.study(name)
        alive = sum(worker.alive for worker in study.workers())
        if alive:
            raise UsageError(
                f"a study must have no workers when it is deleted, but '{cut(name)}' has {alive}; "
                f"end them by `freerun stop {name}`"
            )

        def remove(connection: Connection) -> None:
            # Ours first: the rows of trials and artifacts go with it.
            connection.execute(delete(STUDIES).where(STUDIES.c.study_id == study.study_id))
            with quiet(), joined(self._rdb, connection) as rdb:
                rdb.delete_study(study.study_id)

        try:
            self._database.write(remove)
        except KeyError:  # Optuna finds no such study: it was deleted meanwhile
            raise UnknownStudyError(
                f"{self.shown_url} holds no study named '{cut(name)}' any more."
            ) from None

    def begin_anew(self) -> int:
        """Take from workers what they held when the database was copied; return how many trials
        wait again. See `restored.begin_anew`."""

        def begin(connection: Connection) -> int:
            known = connection.execute(_known_studies(STUDIES.c.study_id)).scalars()
            return begin_anew(
                connection,
                [
                    StudyTransaction(connection, study_id, self._lease_seconds, self._writer, "")
                    for study_id in known
                ],
            )

        return self._database.write(begin)

    def studies(self) -> list[StudySummary]:
        """Return one line for each study, in the order of creation."""
        return self._database.read(partial(_summaries, lease_seconds=self._lease_seconds))

    def close(self) -> None:
        """Close all connections."""
        self._rdb.remove_session()
        self._database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _summaries(connection: Connection, lease_seconds: float) -> list[StudySummary]:
    """Summarise all studies by a handful of statements."""
    counts = counts_by_study(connection)
    best = complete_values(OPTUNA_TRIALS.c.study_id, func.min(VALUES.c.value))
    grouped = connection.execute(best.group_by(OPTUNA_TRIALS.c.study_id))
    least = {study_id: value for study_id, value in grouped}  # noqa: C416
    is_alive = WORKERS.c.left_at.is_(None) & (WORKERS.c.last_beat > DatabaseNow() - lease_seconds)
    alive = func.sum(case((is_alive, 1), else_=0))
    beats = select(WORKERS.c.study_id, func.max(WORKERS.c.last_beat), alive)
    by_worker = connection.execute(beats.group_by(WORKERS.c.study_id))
    active = {study_id: (last, int(workers)) for study_id, last, workers in by_worker}
    listed = _known_studies(STUDIES.c.study_id, STUDIES.c.name, STUDIES.c.created)
    return [
        StudySummary(
            row.name,
            row.created,
            *active.get(row.study_id, (row.created, 0)),
            counts[row.study_id],
            least.get(row.study_id),
        )
        for row in connection.execute(listed)
    ]


def _known_studies(*columns: Any) -> Select[*tuple[Any, ...]]:
    """Select columns of freerun's studies that Optuna still has, in the order of creation."""
    same = (OPTUNA_STUDIES.c.study_id == STUDIES.c.study_id) & (
        # SQLite gives the id of a deleted study to the next one.
        OPTUNA_STUDIES.c.study_name == STUDIES.c.name
    )
    return select(*columns).join(OPTUNA_STUDIES, same).order_by(STUDIES.c.study_id)


def _remove_orphans(connection: Connection, study_id: int) -> None:
    """Remove rows of studies that Optuna deleted on SQLite, where it enforces no foreign keys.

    SQLite gives the ids of deleted studies and trials away again, so these rows would come to
    belong to others.
    """
    there = select(OPTUNA_STUDIES.c.study_id).where(OPTUNA_STUDIES.c.study_id != study_id)
    connection.execute(delete(STUDIES).where(STUDIES.c.study_id.not_in(there)))
