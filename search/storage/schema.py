"""The schema, Optuna's tables and ours: created, checked when opened, and upgraded.

`migrations/` is an Alembic environment with one step for each version of our tables. A new database
gets the newest tables at once, from `tables.py`, and runs no step.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, insert, inspect, select
from sqlalchemy.engine import URL

from search.errors import StorageError
from search.files import shown_path
from search.storage.database import Database
from search.storage.optuna_log import quiet
from search.storage.optuna_tables import newest_revision, optuna_revision
from search.storage.records import Upgrade
from search.storage.sqlite_files import empty_log, locked_folder, rest_of
from search.storage.tables import ALEMBIC_VERSION, SCHEMA_VERSION, VERSION_OF_0_1_0, metadata
from search.storage.urls import shown

MIGRATIONS = Path(__file__).parent / "migrations"

# "freerun", read as a number; other programs in the same database have other locks.
_ADVISORY_LOCK = 0x66726565_72756E


def create_file(path: Path, engine_of: Callable[[URL], Engine]) -> None:
    """Make a SQLite file with the schema of this version, where there is none.

    It appears as a whole: whoever is killed meanwhile leaves no part of it under its name. Raises
    StorageError where the log of a lost database lies beside it.
    """
    if path.exists():
        return
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    with locked_folder(path.parent):
        if path.exists():
            return
        rest = rest_of(path)
        if rest is not None:
            raise StorageError(
                f"{shown_path(path)} is missing, and what a lost database left is at "
                f"{shown_path(rest)}. Move away the files whose names begin with {path.name}, and "
                "restore a backup (`freerun restore FILE`) or begin anew; or put the file back."
            )
        engine = engine_of(URL.create("sqlite+pysqlite", database=str(part)))
        try:
            _create(Database(engine, patience_seconds=0.0))
            engine.dispose()
            empty_log(part)
            part.rename(path)
        finally:
            engine.dispose()
            for end in ("", "-wal", "-shm"):
                part.with_name(part.name + end).unlink(missing_ok=True)


def prepare(database: Database, *, create: bool) -> RDBStorage:
    """Return Optuna's storage on a database that has the schema of this version.

    The schema is created where there is none, if `create` is set; a schema that exists is never
    changed. Raises StorageError if there is none and none may be created, and for a schema of
    another version of freerun or Optuna.
    """
    engine = database.engine
    if create and _read_version(engine) is None:
        with _schema_lock(engine):
            if _read_version(engine) is None:
                _create(database)
    version, name = known_version(engine, SCHEMA_VERSION), shown(engine.url)
    if version < SCHEMA_VERSION:
        raise StorageError(
            f"{name} has schema version {version}, but this freerun works with version"
            f" {SCHEMA_VERSION}. Stop its workers and run `freerun upgrade` on it, which keeps"
            " everything that is stored."
        )
    rdb = _open_optuna(engine, create=False)
    revision = optuna_revision(engine)
    if revision != newest_revision():
        raise StorageError(
            f"{name} has Optuna's tables of revision {revision}, but the Optuna that is"
            f" installed works with {newest_revision()}. Run `optuna storage upgrade` on it,"
            " install the Optuna that made it, or name another storage."
        )
    return rdb


def upgrade(database: Database, *, dry_run: bool = False, migrations: Path = MIGRATIONS) -> Upgrade:
    """Bring our tables to the newest version in one transaction, or only say how.

    One process upgrades at a time; the others find nothing to do. A step that fails leaves the
    database as it was. Raises StorageError where there are no tables of ours, or newer ones.
    """
    # Imported here: a tenth of a second, for which no worker should wait.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    newest = str(scripts.get_current_head())
    with _schema_lock(database.engine):
        version = known_version(database.engine, int(newest))
        steps = [step.doc for step in scripts.iterate_revisions(newest, str(version))]
        if steps and not dry_run:
            with _ddl_transaction(database) as connection:
                if not inspect(connection).has_table(ALEMBIC_VERSION.name):
                    ALEMBIC_VERSION.create(connection)
                    connection.execute(insert(ALEMBIC_VERSION).values(version_num=str(version)))
                config.attributes["connection"] = connection
                command.upgrade(config, newest)
    return Upgrade(shown(database.engine.url), version, int(newest), tuple(reversed(steps)))


def _create(database: Database) -> None:
    if database.is_sqlite:
        # Kept in the file. Readers then don't wait for the writer, nor it for them.
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    _open_optuna(database.engine, create=True)
    with _ddl_transaction(database) as connection:
        metadata.create_all(connection)
        # In the same transaction: a process that sees a version sees all tables.
        connection.execute(insert(ALEMBIC_VERSION).values(version_num=str(SCHEMA_VERSION)))
        connection.execute(insert(VERSION_OF_0_1_0).values(id=1, version=3))


def _open_optuna(engine: Engine, *, create: bool) -> RDBStorage:
    # Optuna fills {SCHEMA_VERSION} in, so other braces are doubled.
    url = engine.url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    with quiet():
        return RDBStorage(
            url,
            # Connections from our pool, so that they are tuned as ours are.
            engine_kwargs={"pool": engine.pool},
            # It would read all of Optuna's migrations each time.
            skip_compatibility_check=True,
            skip_table_creation=not create,
        )


def known_version(engine: Engine, newest: int) -> int:
    """Return our schema's version, from 1 to `newest`; raises StorageError for any other."""
    version, name = _read_version(engine), shown(engine.url)
    if version is None:
        raise StorageError(
            f"{name} holds no freerun study. `freerun run STUDY_FILE` starts one there."
        )
    if not 1 <= version <= newest:
        remedy = "Install a newer freerun" if version > newest else "Use the freerun that made it"
        raise StorageError(
            f"{name} has schema version {version}, but this freerun works with version"
            f" {newest}. {remedy}, or name another storage."
        )
    return version


def _read_version(engine: Engine) -> int | None:
    """Return our schema's version, None where our tables do not exist."""
    with engine.connect() as connection:
        tables = inspect(connection)
        if tables.has_table(ALEMBIC_VERSION.name):
            return int(connection.execute(select(ALEMBIC_VERSION.c.version_num)).scalar_one())
        if tables.has_table(VERSION_OF_0_1_0.name):
            return int(connection.execute(select(VERSION_OF_0_1_0.c.version)).scalar_one())
        return None


@contextmanager
def _ddl_transaction(database: Database) -> Iterator[Connection]:
    """A transaction for changes of tables; rolled back as a whole on either kind of database."""
    with database.engine.connect() as connection:
        if database.is_sqlite:
            # SQLite changes a table by making a new one, and dropping the old one would delete
            # every row that refers to it. The setting can't be changed inside of a transaction.
            connection.detach()
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            # Python's driver begins none before DDL.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
        connection.commit()


@contextmanager
def _schema_lock(engine: Engine) -> Iterator[None]:
    """Let one process at a time create or change tables in this database."""
    if engine.dialect.name == "sqlite":
        with locked_folder(Path(engine.url.database or "").absolute().parent):
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})")
