"""The schema, Optuna's and ours: created once, however many processes start at the same moment."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.storages import RDBStorage
from sqlalchemy import Engine, insert, inspect, select, update
from sqlalchemy.engine import URL

from search.errors import StorageError
from search.storage.database import Database
from search.storage.optuna_tables import newest_revision
from search.storage.tables import OLDER_VERSIONS, SCHEMA, SCHEMA_VERSION, metadata
from search.storage.urls import shown

# "freerun", read as a number; other programs in the same database have other locks.
_ADVISORY_LOCK = 0x66726565_72756E


def prepare(database: Database, url: URL, *, create: bool) -> RDBStorage:
    """Return Optuna's storage on a database that has the schema of this version.

    The schema is created where there is none, if `create` says so, and completed where it is of an
    older version. Raises StorageError if there is none and none may be created, and for a schema of
    another version of freerun or Optuna.
    """
    engine = database.engine
    version = _read_version(engine)
    if version is None and not create:
        raise StorageError(
            f"{shown(url)} holds no freerun study. `freerun run STUDY_FILE` starts one there."
        )
    if version is None or version in OLDER_VERSIONS:
        with _creation_lock(engine):
            version = _read_version(engine)
            if version is None:
                _create(database, url)
            elif version in OLDER_VERSIONS:
                _complete(database)
    _check_version(_read_version(engine), shown(url))
    rdb = _open_optuna(engine, url, create=False)
    revision = rdb.get_current_version()
    if revision != newest_revision():
        raise StorageError(
            f"{shown(url)} has Optuna's tables of revision {revision}, but the Optuna that is"
            f" installed works with {newest_revision()}. Run `optuna storage upgrade` on it,"
            " install the Optuna that made it, or name another storage."
        )
    return rdb


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from logging about storages while the block runs."""
    logger = logging.getLogger("optuna.storages")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _create(database: Database, url: URL) -> None:
    if database.is_sqlite:
        # Kept in the file. Readers then don't wait for the writer, nor it for them.
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    _open_optuna(database.engine, url, create=True)
    with database.engine.begin() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        metadata.create_all(connection)
        # The last step, in the same transaction: who sees a version sees all tables.
        connection.execute(insert(SCHEMA).values(id=1, version=SCHEMA_VERSION))


def _complete(database: Database) -> None:
    """Add the tables that an older version lacks."""
    with database.engine.begin() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        metadata.create_all(connection)
        connection.execute(update(SCHEMA).values(version=SCHEMA_VERSION))


def _open_optuna(engine: Engine, url: URL, *, create: bool) -> RDBStorage:
    # Optuna fills {SCHEMA_VERSION} in, so other braces are doubled.
    text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    with quiet():
        return RDBStorage(
            text,
            # Connections from our pool, so that they are tuned as ours are.
            engine_kwargs={"pool": engine.pool},
            # It would read all of Optuna's migrations each time.
            skip_compatibility_check=True,
            skip_table_creation=not create,
        )


def _check_version(version: int | None, name: str) -> None:
    if version == SCHEMA_VERSION:
        return
    newer = version is not None and version > SCHEMA_VERSION
    remedy = "Install a newer freerun" if newer else "Use the freerun that made it"
    raise StorageError(
        f"{name} has schema version {version}, but this freerun works with version"
        f" {SCHEMA_VERSION}. {remedy}, or name another storage."
    )


def _read_version(engine: Engine) -> int | None:
    """Return our schema's version, None where our tables do not exist."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(SCHEMA.name):
            return None
        version: int | None = connection.scalar(select(SCHEMA.c.version))
        return version


@contextmanager
def _creation_lock(engine: Engine) -> Iterator[None]:
    """Let one process at a time create tables in this database."""
    if engine.dialect.name == "sqlite":
        # Not a lock of SQLite: Optuna creates its tables on connections of its own. The folder is
        # locked, because a lock file would stay behind.
        folder = os.open(Path(engine.url.database or "").absolute().parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})")
