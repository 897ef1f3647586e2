"""SQLite files copied by SQLite's own backup, while others write to them."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from search.errors import StorageError
from search.files import shown_path
from search.names import cut
from search.storage.records import Held, Versions
from search.storage.sqlite_damage import REMEDY
from search.storage.sqlite_files import connect_file, connect_still, quick_check

# Called with the bytes that are done, and with how many there are, where that is known.
Told = Callable[[int, int | None], None]

# Ours and Optuna's, of one row each; `schema.py` says what is in older databases.
VERSION_TABLES = ("freerun_alembic_version", "alembic_version")

# A few milliseconds of copying: how often somebody is told.
_PAGES = 2048
_TIMEOUT_SECONDS = 60
# What SQLite keeps beside a file that is in use, or was when its machine died.
_LOGS = ("-wal", "-journal")
_TABLES = "SELECT count(*) FROM sqlite_schema WHERE name IN ('freerun_studies', 'trials')"
_HELD = (
    "SELECT count(*), (SELECT count(*) FROM trials"
    " WHERE study_id IN (SELECT study_id FROM freerun_studies)) FROM freerun_studies"
)


def copy_in_use(source: Path, target: Path, told: Told) -> None:
    """Copy a database, as it is at one moment, into an empty file, and mark that as a backup.

    Raises sqlite3.Error.
    """
    with closing(connect_file(source, _TIMEOUT_SECONDS)) as reading:
        reading.isolation_level = None
        # Without a snapshot, SQLite begins anew after each change by another process, and so
        # never ends while many workers write. With the write-ahead log, they don't wait for it.
        reading.execute("BEGIN")
        _copy(reading, target, told)
    # Storages of freerun have a write-ahead log; a backup is told from them by having none.
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def copy_still(source: Path, target: Path, told: Told) -> None:
    """Copy a file that nobody changes. Raises sqlite3.Error."""
    with closing(connect_still(source)) as reading:
        _copy(reading, target, told)


def _copy(reading: sqlite3.Connection, target: Path, told: Told) -> None:
    (page_bytes,) = reading.execute("PRAGMA page_size").fetchone()
    # The first read takes the snapshot.
    reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    def tell(_status: int, left: int, total: int) -> None:
        told((total - left) * page_bytes, total * page_bytes)

    with closing(sqlite3.connect(target)) as writing:
        # A copy that fails is thrown away.
        writing.execute("PRAGMA journal_mode=OFF")
        writing.execute("PRAGMA synchronous=OFF")
        reading.backup(writing, pages=_PAGES, progress=tell)


def keep_log(path: Path) -> None:
    """Let a database have a write-ahead log, as those have that freerun creates."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def held_by(path: Path, told: Told, *, copy_of: Path | None = None) -> Held:
    """Return what a file that nobody changes holds, once all of it was found to be whole.

    told: called while it is read. copy_of: the database that was just copied into it, and that has
    its damage. Raises StorageError for a damaged file, and for one without freerun's tables.
    """
    shown_as, size = shown_path(copy_of or path), path.stat().st_size
    try:
        with closing(connect_still(path)) as connection:
            found = quick_check(connection, lambda: told(size, size))
            (tables,) = connection.execute(_TABLES).fetchone()
            if found == "ok" and tables == 2:
                return Held(*connection.execute(_HELD).fetchone())
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found == "ok":
        raise StorageError(
            f"{shown_as} must hold freerun's tables, but is another SQLite file; name a file that "
            "`freerun backup` wrote."
        )
    reason = cut(" ".join(found.split()), 200).removeprefix("*** in database main *** ")
    remedy = REMEDY if copy_of else "take another copy of it"
    raise StorageError(f"{shown_as} is damaged ({reason}). Remedy: {remedy}.")


def versions_in(path: Path) -> Versions:
    """Return the versions of the tables in a file that nobody changes. Raises sqlite3.Error."""
    found: dict[str, str] = {}
    with closing(connect_still(path)) as connection:
        tables = "SELECT name FROM sqlite_schema WHERE name IN (?, ?)"
        for (name,) in connection.execute(tables, VERSION_TABLES).fetchall():
            row = connection.execute(f"SELECT version_num FROM {name}").fetchone()
            if row is not None:
                found[name] = str(row[0])
    return versions_of(found)


def versions_of(found: Mapping[str, str]) -> Versions:
    """Return what the rows of the tables VERSION_TABLES say."""
    ours, optunas = (found.get(name) for name in VERSION_TABLES)
    return Versions(int(ours) if ours is not None and ours.isdecimal() else None, optunas)


def is_backup(path: Path) -> bool:
    """Whether a SQLite file has freerun's tables and is no storage, which has a write-ahead log."""
    with path.open("rb") as file:
        if file.read(20)[18:] != b"\1\1":
            return False
    try:
        with closing(connect_still(path)) as connection:
            (tables,) = connection.execute(_TABLES).fetchone()
            return bool(tables == 2)
    except sqlite3.DatabaseError:
        return False


def tables_of(path: Path) -> list[str]:
    """Return the names of the tables of a file that may be in use. Raises sqlite3.Error."""
    with closing(connect_file(path, _TIMEOUT_SECONDS)) as connection:
        wanted = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        return [name for (name,) in connection.execute(wanted)]


def log_of(path: Path) -> Path | None:
    """Return the log beside a database, without which the file alone is not all of it."""
    logs = (path.with_name(path.name + end) for end in _LOGS)
    return next((log for log in logs if log.exists() and log.stat().st_size), None)
