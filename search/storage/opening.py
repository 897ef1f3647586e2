"""Opening a storage: the only place where an engine is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from search.errors import StorageError
from search.storage.file_systems import network_kind
from search.storage.urls import parse_url, scrub, shown

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
# What a server says of itself that is there, but restarts or serves all it can at the moment.
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
) -> Storage:
    """Open the storage at a SQLAlchemy URL.

    url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE (also postgres:// and
    postgresql+psycopg://). A password may be left to the environment or the Postgres password file.
    create: whether a missing file or schema is created, or refused.
    lease_seconds: how long after a worker's last beat its trials stay its own.
    patience_seconds: how long transactions wait for a database that went away after the opening;
    stop_requested: whether somebody asked this process to end, so that they should not.

    Raises StorageError, with one message that holds no password, for a URL that is not understood,
    a database that can't be opened, and a schema of another version. A server that is there, but
    just starts or has no connection free, is waited for.
    """
    parsed, engine = make_engine(url, create=create)
    # Optuna and Alembic, which a URL that is wrong need not wait for.
    from search.storage import schema
    from search.storage.database import Database
    from search.storage.studies import Storage

    database = Database(engine, patience_seconds, stop_requested)
    with _explained(parsed, engine):
        rdb = database.patient(lambda: schema.prepare(database, parsed, create=create), _starting)
        return Storage(database, rdb, parsed, lease_seconds)


def upgrade_storage(url: str, *, dry_run: bool = False) -> Upgrade:
    """Bring the tables of freerun at a URL to the newest version; dry_run: only say how.

    Every other command refuses an older database. All steps are one transaction, and one that fails
    leaves the database as it was. Raises StorageError as `open_storage` does.
    """
    parsed, engine = make_engine(url, create=False)
    from search.storage import schema
    from search.storage.database import Database

    database = Database(engine, PATIENCE_SECONDS)
    with _explained(parsed, engine):
        upgraded = database.patient(
            lambda: schema.upgrade(database, parsed, dry_run=dry_run), _starting
        )
    engine.dispose()
    return upgraded


def make_engine(url: str, *, create: bool) -> tuple[URL, Engine]:
    """Return the parsed URL, and an engine that is tuned for its kind of database."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = _check_file(parsed, create=create)
        return parsed, _sqlite_engine(parsed)
    return parsed, _postgres_engine(parsed)


@contextmanager
def _explained(url: URL, engine: Engine) -> Iterator[None]:
    """Close the engine when the block fails; a database's error becomes a StorageError."""
    try:
        yield
    except DBAPIError as error:
        engine.dispose()
        raise _cannot_open(url, error) from error
    except StorageError:
        engine.dispose()
        raise


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _SQLITE_TIMEOUT})

    @event.listens_for(engine, "connect")
    def tune(connection: Any, _record: ConnectionPoolEntry) -> None:
        # With the write-ahead log this loses nothing when a process is killed, and saves a disk
        # flush in each transaction; only a power cut may cost the last of them.
        connection.execute("PRAGMA synchronous=NORMAL")
        # As on PostgreSQL: a study's rows go with it.
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _postgres_engine(url: URL) -> Engine:
    return create_engine(
        url,
        connect_args={k: v for k, v in _POSTGRES_CONNECTION.items() if k not in url.query},
        # A hundred workers share the server's connections: one each for work and beat, as a rule.
        pool_size=2,
        max_overflow=8,
        # Connections that a restart of the server broke are replaced, not handed out.
        pool_pre_ping=True,
    )


def _check_file(url: URL, *, create: bool) -> URL:
    """Return the URL with an absolute path, after a look at what lies there."""
    path = Path(url.database or "").expanduser().absolute()
    if path.is_dir():
        raise StorageError(f"a SQLite storage is a file, but {path} is a folder.")
    if not path.parent.is_dir():
        raise StorageError(
            f"the folder of a SQLite storage must exist, but {path.parent} does not."
            " Create it, or name another file."
        )
    if not create and not path.exists():
        raise StorageError(
            f"there is no storage at {path}. `freerun run STUDY_FILE` creates one;"
            " --storage or FREERUN_STORAGE names another."
        )
    kind = network_kind(path.parent)
    if kind is not None:
        raise StorageError(
            f"a SQLite storage must be on a local disk, but {path} is on a network file system"
            f" ({kind}). Name a local file, or use a PostgreSQL storage."
        )
    return url.set(database=str(path))


def _starting(error: Exception) -> DBAPIError:
    """Return the error of a server that will admit us in a while; raise any other."""
    if isinstance(error, DBAPIError) and any(words in str(error.orig) for words in _NOT_NOW):
        return error
    raise error


def _cannot_open(url: URL, error: DBAPIError) -> StorageError:
    # What failed, without the hints and the list of attempts around it.
    lines = [line.strip(" \t-.") for line in scrub(str(error.orig), url).splitlines()]
    reason = next((line for line in lines if "failed: " in line), lines[0])
    return StorageError(f"{shown(url)} can't be opened: {reason}. {_remedy(reason)}")


def _remedy(reason: str) -> str:
    remedies = {
        "file is not a database": "Name another file: this one is not SQLite's.",
        "unable to open database file": "Check the path and the rights on it.",
        "readonly database": "Check the rights on the file and on its folder.",
        "password": "Check the password in FREERUN_STORAGE or in the Postgres password file.",
        "does not exist": "Check the names of database and user; createdb makes a database.",
        "permission denied": "Grant the user the right to create tables in that schema.",
    }
    found = (remedy for part, remedy in remedies.items() if part in reason)
    return next(found, "Check that the server runs, and its host and port.")
