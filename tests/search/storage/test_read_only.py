"""A storage that may only be read: everything that reads works, what writes is one message."""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from search.errors import StorageError
from search.storage.opening import open_storage

if TYPE_CHECKING:
    from tests.conftest import PostgresServer

REPOSITORY = Path(__file__).parents[3]
PROGRAM = """
import sys
from search.errors import StorageError
from search.storage.opening import open_storage
try:
    with open_storage(sys.argv[1], create=False) as storage:
        study = storage.study("sine")
        print([summary.name for summary in storage.studies()], study.counts().total, study.sweep())
        study.request_stop()
except StorageError as error:
    sys.exit(str(error))
"""
DROP, OVERRIDE_RIGHTS, SEARCH_ALL = 24, 1, 2


def without_privileges() -> None:
    """Let rights on files count for root, too."""
    for capability in (OVERRIDE_RIGHTS, SEARCH_ALL):
        ctypes.CDLL(None).prctl(DROP, capability, 0, 0, 0)


def used(url: str) -> subprocess.CompletedProcess[str]:
    """Read a study, then try to change it, as somebody who must respect rights."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, url],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        preexec_fn=without_privileges,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A file with a study, in a folder of its own."""
    path = tmp_path / "kept" / "freerun.db"
    path.parent.mkdir()
    with open_storage(f"sqlite:///{path}", create=True) as storage:
        storage.create_study("sine", definition="{}", definition_hash="abc")
    return path


@pytest.mark.parametrize("what", ["file", "folder", "both"])
def test_a_file_that_cannot_be_written_is_read(stored: Path, what: str) -> None:
    if what != "folder":
        stored.chmod(0o444)
    if what != "file":
        stored.parent.chmod(0o555)
    ended = used(f"sqlite:///{stored}")
    stored.parent.chmod(0o755)
    assert ended.stdout.startswith("['sine'] 0 Swept"), ended.stderr
    assert "can't be changed: attempt to write a readonly database. It can be read" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_a_file_that_others_write_is_read_as_it_is_now(stored: Path) -> None:
    with open_storage(f"sqlite:///{stored}", create=False) as storage:
        storage.create_study("latest", definition="{}", definition_hash="abc")
        stored.parent.chmod(0o555)
        ended = used(f"sqlite:///{stored}")
        stored.parent.chmod(0o755)
    assert ended.stdout.startswith("['sine', 'latest']"), ended.stderr


def test_a_copy_whose_log_cannot_be_read_is_refused(stored: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    with open_storage(f"sqlite:///{stored}", create=False) as storage:
        storage.create_study("latest", definition="{}", definition_hash="abc")
        for name in ("freerun.db", "freerun.db-wal"):
            shutil.copy(stored.with_name(name), copy / name)
    copy.chmod(0o555)
    ended = used(f"sqlite:///{copy / 'freerun.db'}")
    copy.chmod(0o755)
    assert "its latest changes are in" in ended.stderr
    assert "Copy both files into a folder that can be written" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_damaged_file_is_refused_with_the_remedy(stored: Path) -> None:
    connection = sqlite3.connect(stored)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    content = bytearray(stored.read_bytes())
    content[size:] = b"\xa5" * (size * (pages - 1))
    stored.write_bytes(content)
    with pytest.raises(StorageError, match=r"is damaged, .*freerun restore FILE"):
        open_storage(f"sqlite:///{stored}", create=False)


def test_a_role_that_may_only_read_reads(postgres: PostgresServer, empty_postgres_url: str) -> None:
    database = empty_postgres_url.partition("?")[0].rpartition("/")[2]
    with open_storage(empty_postgres_url, create=True) as storage:
        storage.create_study("sine", definition="{}", definition_hash="abc")
        with storage.engine.begin() as connection:
            for statement in (
                "DROP ROLE IF EXISTS reader",
                "CREATE ROLE reader LOGIN",
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
            ):
                connection.exec_driver_sql(statement)
    with open_storage(postgres.url(database, user="reader"), create=False) as storage:
        study = storage.study("sine")
        assert study.counts().total == 0
        assert study.sweep().given_back == ()
        with pytest.raises(StorageError, match=r"permission denied .* Grant the user the rights"):
            study.request_stop()
    with open_storage(empty_postgres_url, create=False) as storage, storage.engine.begin() as owner:
        owner.exec_driver_sql("DROP OWNED BY reader")
        owner.exec_driver_sql("DROP ROLE reader")
