"""Connections to SQLite files, also to those that can be read only."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from search.errors import StorageError
from search.files import shown_path

LOOK_SECONDS = 0.1


def connect_file(path: Path, timeout_seconds: float) -> sqlite3.Connection:
    """Connect to a file: to read it, where the file or its folder can't be written.

    timeout_seconds: how long to wait for other writers. Raises StorageError for a file whose latest
    changes lie in a write-ahead log that can't be read without writing.
    """
    return sqlite3.connect(
        f"file:{quote(str(path))}?{_mode(path)}",
        timeout=timeout_seconds,
        uri=True,
        # Connections of a pool go from thread to thread, one at a time.
        check_same_thread=False,
    )


def connect_still(path: Path) -> sqlite3.Connection:
    """Connect to a file that nobody changes, to read it, and leave nothing beside it."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, check_same_thread=False
    )


def quick_check(connection: sqlite3.Connection, look: Callable[[], None] = lambda: None) -> str:
    """Read a whole database; return "ok", or the first damage that SQLite finds.

    connection: of `connect_file` or `connect_still`. look: called now and then; an error that it
    raises ends the check, as one does that a signal raises. Raises sqlite3.Error.
    """

    def read() -> str:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return str(found)

    # Python handles no signal in a thread that is inside of SQLite.
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            while not wait([reading], LOOK_SECONDS).done:
                look()
        except BaseException:
            connection.interrupt()
            raise
        return reading.result()


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Let one process at a time create databases in a folder, or change their tables.

    Not a lock of SQLite: Optuna creates its tables on connections of its own. The folder is locked,
    because a lock file would stay behind.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def rest_of(path: Path) -> Path | None:
    """Return what a lost database left beside its place; SQLite would take it for a new one's."""
    logs = (path.with_name(path.name + end) for end in ("-wal", "-journal"))
    found = [log for log in logs if log.exists() and log.stat().st_size]
    # It says how far a log was written, also where that is empty.
    shared = path.with_name(path.name + "-shm")
    return next(iter([*found, shared] if shared.exists() else found), None)


def empty_log(path: Path) -> None:
    """Copy the whole write-ahead log of a database into its file, which then may be renamed.

    Raises StorageError where another process holds it up, and sqlite3.Error.
    """
    with closing(sqlite3.connect(path)) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    log = path.with_name(path.name + "-wal")
    if busy or (log.exists() and log.stat().st_size):
        raise StorageError(
            f"a new database must be used by nobody else, but another process reads "
            f"{shown_path(path)}. Stop it, and try again."
        )


def _mode(path: Path) -> str:
    if not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return "mode=rwc"
    # SQLite reads the write-ahead log by way of a second file. One that a reader made, with a
    # reader's rights, would be in the way of those who write.
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if index.exists():
        return "mode=ro"
    if log.exists() and log.stat().st_size:
        raise StorageError(
            f"{shown_path(path)} can be read only, but its latest changes are in "
            f"{shown_path(log)}, which SQLite can't read there. Copy both files into a folder "
            "that can be written, and name the copy."
        )
    # Without a log nobody has the file open to write.
    return "mode=ro&immutable=1"
