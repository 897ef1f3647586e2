"""Backups of a whole storage while workers run, and storages that are made of them.

A backup is what the database's own tools make of it: a SQLite file, or a dump of `pg_dump` in its
custom format. It holds all that is in the SQLite file, or in the schema of the PostgreSQL database.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from search.errors import StorageError
from search.files import BACKUP_FILE, at_home, new_file, read_head, shown_path
from search.names import cut
from search.outputs import OutputKind, check_apart, check_output
from search.storage import postgres_backup, sqlite_backup
from search.storage.opening import explained, make_engine, open_storage, upgrade_storage
from search.storage.refusals import refusal
from search.storage.sqlite_files import empty_log, locked_folder, rest_of
from search.storage.urls import check_file, parse_url, shown

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from search.storage.records import Held, Versions
    from search.storage.sqlite_backup import Told

_SQLITE_MARK, _DUMP_MARK = b"SQLite format 3\0", b"PGDMP"
# The list of what a dump holds stands at its start.
_LIST_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What `back_up` wrote. storage: without a password; bytes: the size of the file."""

    storage: str
    file: str
    bytes: int
    studies: int
    trials: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Restored:
    """What `restore` made. waiting: trials that workers held, and that wait to be run again."""

    storage: str
    file: str
    studies: int
    trials: int
    waiting: int
    seconds: float


def back_up(url: str, path: Path, told: Told, *, force: bool = False) -> BackedUp:
    """Write what a storage holds at one moment into a file; workers may run.

    told: called now and then with the bytes that are done, and all bytes or None. force: whether a
    former backup is replaced.

    Raises StorageError for a storage that can't be opened or copied, UsageError for a file that
    can't be written: then nothing new is left.
    """
    began = time.monotonic()
    engine = make_engine(url, create=False)
    # Imports Optuna and Alembic, which takes a second that a wrong URL need not wait for.
    from search.storage.schema import known_version
    from search.storage.tables import SCHEMA_VERSION

    with explained(engine):
        source = _file_of(engine.url)
        check_output(path, _BACKUP, inputs=[source] if source else [], force=force)
        _check_unused(path)
        # Also of an earlier version: a copy is wanted before an upgrade.
        known_version(engine, SCHEMA_VERSION)
        with new_file(path, 0o600) as target:
            if source:
                with _refused_by_sqlite(engine.url, f"can't be backed up to {shown_path(path)}"):
                    sqlite_backup.copy_in_use(source, target, told)
                held = sqlite_backup.held_by(target, told, copy_of=source)
            else:
                held = postgres_backup.dump(engine, target, told)
            size = target.stat().st_size
    engine.dispose()
    seconds = time.monotonic() - began
    return BackedUp(shown(engine.url), str(path), size, held.studies, held.trials, seconds)


def restore(path: Path, url: str, told: Told) -> Restored:
    """Make a storage of a backup, in which studies go on where they were.

    The storage must have no tables yet. What workers held waits again, and tables of an earlier
    version are brought up to date. told: see `back_up`.

    Raises StorageError for a file that is no backup, is damaged or of the other kind of database,
    and for a storage that is not empty or can't be written: then nothing is left or changed there.
    It says so where PostgreSQL has the tables, but failed when what workers held was given back.
    """
    began = time.monotonic()
    is_sqlite = _is_sqlite(path)
    parsed = parse_url(url)
    if is_sqlite is not (parsed.get_backend_name() == "sqlite"):
        kinds = ("SQLite", "PostgreSQL")
        of, to = kinds if is_sqlite else kinds[::-1]
        raise StorageError(
            f"a backup goes back into the kind of database that it is of, but {shown_path(path)} is"
            f" of {of}, and {shown(parsed)} is {to}. Name a {of} storage by --storage."
        )
    held, waiting = (_restore_file if is_sqlite else _restore_dump)(path, parsed, told)
    seconds = time.monotonic() - began
    return Restored(shown(parsed), str(path), held.studies, held.trials, waiting, seconds)


def _restore_file(path: Path, parsed: URL, told: Told) -> tuple[Held, int]:
    url = check_file(parsed, create=True)
    target = Path(url.database or "")
    check_apart(target, [path])
    _check_free(url)
    _check_unused(path)
    source = Path(os.path.realpath(at_home(path)))
    held = sqlite_backup.held_by(source, told)
    _check_versions(path, sqlite_backup.versions_in(source))
    with ExitStack() as locked, new_file(target, 0o666) as temporary:
        made = url.set(database=str(temporary))
        locked.callback(_remove_logs, temporary)
        with _refused_by_sqlite(url, f"can't be restored from {shown_path(path)}"):
            sqlite_backup.copy_still(source, temporary, told)
            sqlite_backup.keep_log(temporary)
        waiting = _begin_anew(made)
        with _refused_by_sqlite(url, f"can't be restored from {shown_path(path)}"):
            empty_log(temporary)
        # Until the file has its name, nobody else creates one.
        locked.enter_context(locked_folder(target.parent))
        _check_free(url)
    return held, waiting


def _remove_logs(path: Path) -> None:
    """Remove what an interrupted connection left beside a temporary file."""
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _restore_dump(path: Path, parsed: URL, told: Told) -> tuple[Held, int]:
    path = Path(os.path.realpath(at_home(path)))
    schema, versions = postgres_backup.check_dump(path)
    _check_versions(path, versions)
    engine = make_engine(parsed.render_as_string(hide_password=False), create=False)
    with explained(engine):
        into, relations = postgres_backup.target_of(engine)
        if into != schema:
            raise StorageError(
                f"{shown_path(path)} is of the schema {cut(schema)!r}, but the search_path of"
                f" {shown(parsed)} leads to {'none' if into is None else repr(cut(into))}. Create "
                "the schema, and name it in the URL: ?options=-csearch_path%3DSCHEMA"
            )
        if relations:
            raise _not_empty(parsed, relations, "createdb NAME makes an empty database to name")
        postgres_backup.load(engine, path, schema, told)
        try:
            with explained(engine):
                waiting = _begin_anew(engine.url)
                held = postgres_backup.held_by(engine)
        except StorageError as error:
            raise StorageError(
                f"{shown_path(path)} was copied into {shown(parsed)}, but what workers held was "
                f"not given back, so that no worker may use it: {error} Then drop the database, or "
                f"its schema {cut(schema)!r}, make it anew, and restore once more."
            ) from error
    engine.dispose()
    return held, waiting


def _begin_anew(url: URL) -> int:
    at = url.render_as_string(hide_password=False)
    # No worker is on it that an upgrade could lock out.
    upgrade_storage(at)
    with open_storage(at, create=False) as storage:
        return storage.begin_anew()


def _is_sqlite(path: Path) -> bool:
    """Whether a backup is of SQLite; raises StorageError for what is no backup of either kind."""
    head = read_head(at_home(path), BACKUP_FILE, len(_SQLITE_MARK))
    if head == _SQLITE_MARK or head.startswith(_DUMP_MARK):
        return head == _SQLITE_MARK
    raise StorageError(
        f"{shown_path(path)} must be a backup, but is neither a SQLite file nor a dump of pg_dump "
        "in its custom format; name a file that `freerun backup` wrote."
    )


def _check_versions(path: Path, versions: Versions) -> None:
    """Raise StorageError for tables that this freerun, or the Optuna beside it, does not know."""
    from search.storage.optuna_tables import newest_revision
    from search.storage.tables import SCHEMA_VERSION

    if versions.schema is not None and versions.schema > SCHEMA_VERSION:
        raise StorageError(
            f"{shown_path(path)} has schema version {versions.schema}, but this freerun works with "
            f"version {SCHEMA_VERSION}. Install a newer freerun."
        )
    if versions.optuna != newest_revision():
        raise StorageError(
            f"{shown_path(path)} has Optuna's tables of revision {versions.optuna}, but the Optuna "
            f"that is installed works with {newest_revision()}. Install the Optuna that made it."
        )


def _check_free(url: URL) -> None:
    """Raise StorageError for a SQLite file that holds tables, or of which a log was left."""
    path = Path(url.database or "")
    rest = rest_of(path)
    if rest is not None:
        raise StorageError(
            f"a backup must go where no database is in use, but {shown_path(rest)} is there. Stop "
            "what uses it, move the file away, or name another storage."
        )
    if not path.exists() or not path.stat().st_size:
        return
    with _refused_by_sqlite(url, "can't be read"):
        tables = sqlite_backup.tables_of(path)
    # Also without any: somebody may have settings of a database in it.
    raise _not_empty(url, tables, "move the file away, or name another one")


def _not_empty(url: URL, tables: Sequence[str], remedy: str) -> StorageError:
    named = f"{len(tables)} tables, such as {cut(tables[0], 60)}" if tables else "a database"
    return StorageError(
        f"a backup must go into an empty storage, but {shown(url)} holds {named}. Stop what uses "
        f"it; {remedy}."
    )


def _check_unused(path: Path) -> None:
    """Raise StorageError for a SQLite file that somebody writes to, or wrote to when it died."""
    log = sqlite_backup.log_of(Path(os.path.realpath(at_home(path))))
    if log is not None:
        raise StorageError(
            f"a backup must be a file that nobody uses, but {shown_path(log)} is beside "
            f"{shown_path(path)}. Name another file, or make a backup of that storage first."
        )


def _file_of(url: URL) -> Path | None:
    """The file of a SQLite storage."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


@contextmanager
def _refused_by_sqlite(url: URL, doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise refusal(url, error, doing) from error


def _is_backup(file: BinaryIO) -> bool:
    head = file.read(_LIST_BYTES)
    if head.startswith(_SQLITE_MARK):
        return sqlite_backup.is_backup(Path(file.name))
    return head.startswith(_DUMP_MARK) and b"freerun_studies" in head


_BACKUP = OutputKind("backup of a storage of freerun", _is_backup, needs_consent=True)
