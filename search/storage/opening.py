"""Opening a storage: the only place where an engine is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from search.storage.refusals import refusal
from search.storage.sqlite_damage import check_undamaged
from search.storage.sqlite_files import connect_file
from search.storage.urls import check_file, parse_url

if TYPE_CHECKING:
    from search.storage.records import Upgrade
    from search.storage.studies import Storage

LEASE_SECONDS = 60.0
PATIENCE_SECONDS = 300.0

# Seconds that a connection waits for SQLite's other writers.
_SQLITE_TIMEOUT = 60
# A server that is cut off is noticed within a minute, not after the two hours of TCP's default.
_POSTGRES_CONNECTION = {
    "connect_timeout": "10",
    "application_name": "freerun",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# Messages of a server that is there, but starts, stops or has no free connection.
_NOT_NOW = (
    *("the database system is starting up", "the database system is shutting down"),
    *("the database system is in recovery mode", "not yet accepting connections"),
    *("too many clients already", "too many connections for", "connection slots are reserved"),
)


def open_storage(
    url: str,
    *,
    create: bool,
    lease_seconds: float = LEASE_SECONDS,
    patience_seconds: float = PATIENCE_SECONDS,
    stop_requested: Callable[[], bool] = lambda: False,
    checked_whole: bool = False,
) -> Storage:
    """Open the storage at a SQLAlchemy URL.

    url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE (also postgres:// and
    postgresql+psycopg://). A password may be left to the environment or the Postgres password file.
    create: whether a missing file or schema is created, or refused.
    lease_seconds: how long after its last heartbeat a worker keeps its trials.
    patience_seconds: how long to retry while the database is away or its server is starting.
    stop_requested: whether this process was asked to end, so that it should not retry any longer.
    checked_whole: whether a SQLite file is read whole before it is opened, however large it is.

    Raises StorageError, with one message that holds no password, for a URL that is not understood,
    a database that can't be opened or is damaged, and a schema of another version.
    """
    engine = make_engine(url, create=create, checked_whole=checked_whole)
    # Imports Optuna and Alembic, which takes a second that a wrong URL need not wait for.
    from search.storage import schema
    from search.storage.database import Database
    from search.storage.studies import Storage

    database = Database(engine, patience_seconds, stop_requested)
    with explained(engine):
        if create and database.is_sqlite:
            schema.create_file(Path(engine.url.database or ""), _sqlite_engine)
        rdb = database.patient(lambda: schema.prepare(database, create=create), _starting)
        return Storage(database, rdb, lease_seconds)


def upgrade_storage(url: str, *, dry_run: bool = False) -> Upgrade:
    """Bring freerun's tables at a URL to the newest version; dry_run: only say how.

    All steps are one transaction; one that fails leaves the database as it was. Raises
    StorageError as `open_storage` does.
    """
    engine = make_engine(url, create=False)
    from search.storage import schema
    from search.storage.database import Database

    database = Database(engine, PATIENCE_SECONDS)
    with explained(engine):
        upgraded = database.patient(lambda: schema.upgrade(database, dry_run=dry_run), _starting)
    engine.dispose()
    return upgraded


def make_engine(url: str, *, create: bool, checked_whole: bool = False) -> Engine:
    """Return an engine that is tuned for the kind of database at a URL.

    A SQLite file that is damaged is refused, see `open_storage`.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = check_file(parsed, create=create)
        check_undamaged(Path(file.database or ""), whole=checked_whole)
        return _sqlite_engine(file)
    try:
        return _postgres_engine(parsed)
    except ArgumentError as error:  # hosts and ports that do not go together
        raise refusal(parsed, error, "can't be opened") from error


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Close the engine when the block fails; a database's error becomes a StorageError."""
    try:
        yield
    # A driver refuses some values before it connects, by errors of its own or of Python.
    except (SQLAlchemyError, ValueError, TypeError, OverflowError, OSError) as error:
        engine.dispose()
        raise refusal(engine.url, error, "can't be opened") from error
    except BaseException:
        engine.dispose()
        raise


def _sqlite_engine(url: URL) -> Engine:
    path = Path(url.database or "")
    engine = create_engine(url, creator=partial(connect_file, path, _SQLITE_TIMEOUT))

    @event.listens_for(engine, "connect")
    def tune(connection: Any, _record: ConnectionPoolEntry) -> None:
        # With the write-ahead log a killed process loses nothing, and each transaction saves a
        # disk flush. Only a power cut may lose the last transactions.
        connection.execute("PRAGMA synchronous=NORMAL")
        # As on PostgreSQL: a study's rows are deleted with it.
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _postgres_engine(url: URL) -> Engine:
    return create_engine(
        url,
        connect_args={k: v for k, v in _POSTGRES_CONNECTION.items() if k not in url.query},
        # A hundred workers share the server's connections.
        pool_size=2,
        max_overflow=8,
        # Replaces connections that a restart of the server broke.
        pool_pre_ping=True,
    )


def _starting(error: Exception) -> DBAPIError:
    """Return the error of a server that will soon accept connections; raise any other."""
    if isinstance(error, DBAPIError) and any(words in str(error.orig) for words in _NOT_NOW):
        return error
    raise error
