"""pg_dump and pg_restore: what they are told, what is refused, and what is left when they fail."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from search.errors import StorageError, UsageError
from search.storage.backups import back_up, restore
from search.storage.opening import open_storage
from tests.search.cli.conftest import freerun_anew
from tests.search.stored import stored

if TYPE_CHECKING:
    from tests.conftest import PostgresServer

PASSWORD = "opensesame42"
TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


def quietly(_done: int, _total: int | None) -> None:
    """Told of the progress."""


@pytest.fixture
def backup(postgres_url: str, postgres_programs: None, tmp_path: Path) -> Path:
    """A backup of a storage with a study."""
    with open_storage(postgres_url, create=False) as storage:
        storage.create_study("sine", definition="{}", definition_hash="a", data=os.urandom(10**6))
    back_up(postgres_url, tmp_path / "backup", quietly)
    return tmp_path / "backup"


def program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program first in PATH."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize("name", ["pg_dump", "pg_restore"])
def test_no_argument_of_a_program_holds_anything_of_the_url(
    backup: Path,
    postgres: PostgresServer,
    empty_postgres_url: str,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """The program is replaced by one that notes what it is told, and then runs it."""
    real, noted = postgres.programs() / name, tmp_path / "noted"
    noted.mkdir()
    script = f"""
    printf '%s\\n' "$@" >> {shlex.quote(str(noted))}/arguments
    if [ -n "$PGSERVICEFILE" ]; then
        printenv PGPASSWORD > {noted}/password
        printenv PGSERVICEFILE > {noted}/service
        stat -c %a "$PGSERVICEFILE" > {noted}/rights
    fi
    exec {real} "$@"
    """
    program(tmp_path / "bin", name, script, monkeypatch)
    old, new = (
        url.replace("postgres@", f"postgres:{PASSWORD}@") + "&options=-cwork_mem%3D7MB"
        for url in (postgres_url, empty_postgres_url)
    )
    if name == "pg_dump":
        back_up(old, tmp_path / "again", quietly)
    else:
        restore(backup, new, quietly)
    arguments = (noted / "arguments").read_text()
    assert "--dbname=service=freerun" in arguments.splitlines()
    for secret in (PASSWORD, "postgres@", "work_mem", str(postgres.data_folder)):
        assert secret not in arguments
    assert (noted / "password").read_text() == f"{PASSWORD}\n"
    assert (noted / "rights").read_text() == "600\n"
    assert not Path((noted / "service").read_text().strip()).exists()


def test_a_failure_is_one_message_without_the_password(
    postgres_url: str, postgres_programs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"pg_dump: error: connection failed: password={PASSWORD} {PASSWORD} is wrong"
    versions = 'case "$1" in --version) echo "pg_dump (PostgreSQL) 99.1"; exit;; esac'
    script = f"{versions}\necho warning >&2\necho '{said}' >&2\nexit 1"
    program(tmp_path / "bin", "pg_dump", script, monkeypatch)
    url = postgres_url.replace("postgres@", f"postgres:{PASSWORD}@")
    with pytest.raises(StorageError, match=r"can't be backed up by pg_dump: connection") as failed:
        back_up(url, tmp_path / "b", quietly)
    assert PASSWORD not in str(failed.value)
    assert "\n" not in str(failed.value)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("version", ["pg_dump (PostgreSQL) 9.6.24", "nonsense"])
def test_a_pg_dump_older_than_the_server_is_refused(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    program(tmp_path / "bin", "pg_dump", f"echo '{version}'", monkeypatch)
    with pytest.raises(StorageError, match=r"as new as the server.* put their folder first in PA"):
        back_up(postgres_url, tmp_path / "b", quietly)
    assert not (tmp_path / "b").exists()


def test_a_pg_restore_too_new_for_the_server_is_refused(
    backup: Path,
    postgres: PostgresServer,
    empty_postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ((version,),) = stored(empty_postgres_url, "SHOW server_version_num")
    if int(version) >= 170_000:
        pytest.skip("this server knows what newer programs set")
    real = postgres.programs() / "pg_restore"
    script = (
        f'case "$1" in --version) echo "pg_restore (PostgreSQL) 17.2";; *) exec {real} "$@";; esac'
    )
    program(tmp_path / "bin", "pg_restore", script, monkeypatch)
    with pytest.raises(
        StorageError, match=r"is version 17, and the server is PostgreSQL 1\d\. Ins"
    ):
        restore(backup, empty_postgres_url, quietly)
    assert stored(empty_postgres_url, TABLES) == [(0,)]


def test_a_restore_that_is_cut_off_behind_pg_restore_says_what_to_do(
    backup: Path,
    postgres: PostgresServer,
    empty_postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pg_restore is followed by a statement after which freerun's tables can't be read."""
    name = empty_postgres_url.partition("?")[0].rpartition("/")[2]
    change = "ALTER TABLE freerun_workers RENAME TO gone"
    script = f"""
    {postgres.programs()}/pg_restore "$@" || exit $?
    [ "$1" != --single-transaction ] || {postgres.programs()}/psql -c '{change}' service=freerun
    """
    program(tmp_path / "bin", "pg_restore", script, monkeypatch)
    with pytest.raises(
        StorageError, match=r"was copied into .* drop the database, or its schema '"
    ):
        restore(backup, empty_postgres_url, quietly)
    postgres.execute("DROP SCHEMA public CASCADE", name)
    postgres.execute("CREATE SCHEMA public", name)
    monkeypatch.setenv("PATH", f"{postgres.programs()}:{os.environ['PATH']}")
    monkeypatch.chdir(backup.parent)
    monkeypatch.setenv("HOME", str(backup.parent))
    assert restore(Path("~/backup"), empty_postgres_url, quietly).studies == 1


def test_a_missing_program_is_named(
    backup: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match=r"needs pg_dump, which is not on PATH. Install"):
        back_up(postgres_url, tmp_path / "b", quietly)
    with pytest.raises(StorageError, match="needs pg_restore, which is not on PATH"):
        restore(backup, postgres_url, quietly)


def test_a_disk_that_is_full_is_the_files_fault(
    postgres_url: str, postgres_programs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "pg_dump: error: could not write to output file: No space left on device"
    versions = 'case "$1" in --version) echo "pg_dump (PostgreSQL) 99.1"; exit;; esac'
    script = f"{versions}\necho '{said}' >&2\nexit 1"
    program(tmp_path / "bin", "pg_dump", script, monkeypatch)
    with pytest.raises(UsageError, match=r"b can't be written: .*No space left on device; name"):
        back_up(postgres_url, tmp_path / "b", quietly)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_sigterm_ends_the_program_and_leaves_nothing(
    postgres_url: str, postgres_programs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program is replaced by one that asks freerun to end, and would hang for ever."""
    (tmp_path / "work").mkdir()
    versions = 'case "$1" in --version) echo "pg_dump (PostgreSQL) 99.1"; exit;; esac'
    script = f"{versions}\necho $$ > {tmp_path}/pid\nkill -TERM $PPID\nexec tail -f /dev/null"
    program(tmp_path / "bin", "pg_dump", script, monkeypatch)
    ended = freerun_anew(tmp_path / "work", "backup", "-o", "b", "--storage", postgres_url)
    assert ended.code == 128 + signal.SIGTERM, ended.err
    assert list((tmp_path / "work").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_damaged_dump_changes_nothing(backup: Path, empty_postgres_url: str) -> None:
    content = bytearray(backup.read_bytes())
    # Among the rows, which no list of contents covers.
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    backup.write_bytes(content)
    with pytest.raises(StorageError, match=r"can't be restored from .*, and is as it was"):
        restore(backup, empty_postgres_url, quietly)
    assert stored(empty_postgres_url, TABLES) == [(0,)]
    os.truncate(backup, 2000)
    with pytest.raises(StorageError, match=r"can't be read by pg_restore: .* Take another copy"):
        restore(backup, empty_postgres_url, quietly)
    backup.write_bytes(b"PGDMP")
    with pytest.raises(StorageError, match="can't be read by pg_restore"):
        restore(backup, empty_postgres_url, quietly)
    with pytest.raises(StorageError, match=r"of PostgreSQL, and sqlite:///x\.db is SQLite"):
        restore(backup, "sqlite:///x.db", quietly)


def test_a_dump_of_other_tables_is_refused(
    postgres: PostgresServer, postgres_programs: None, empty_postgres_url: str, tmp_path: Path
) -> None:
    name = empty_postgres_url.partition("?")[0].rpartition("/")[2]
    postgres.execute("CREATE TABLE mine (x int)", name)
    postgres.execute("CREATE TABLE freerun_studies (x int)", name)
    postgres.execute("ALTER TABLE freerun_studies RENAME TO other", name)
    dump = tmp_path / "dump"
    code = os.spawnlp(
        os.P_WAIT, "pg_dump", "pg_dump", "-Fc", "-f", str(dump), f"--dbname={empty_postgres_url}"
    )
    assert code == 0
    with pytest.raises(StorageError, match="must hold freerun's tables, but is another dump"):
        restore(dump, empty_postgres_url, quietly)


def test_a_database_with_tables_is_refused_whosever_they_are(
    backup: Path, postgres: PostgresServer, empty_postgres_url: str
) -> None:
    name = empty_postgres_url.partition("?")[0].rpartition("/")[2]
    postgres.execute("CREATE TABLE mine (x int)", name)
    with pytest.raises(StorageError, match=r"holds 1 tables, such as mine.* createdb"):
        restore(backup, empty_postgres_url, quietly)
    postgres.execute("DROP TABLE mine", name)
    restore(backup, empty_postgres_url, quietly)
    with pytest.raises(StorageError, match=r"empty storage, but .* holds \d+ tables"):
        restore(backup, empty_postgres_url, quietly)


def test_a_schema_goes_back_into_the_schema_of_its_name(
    postgres: PostgresServer, postgres_programs: None, empty_postgres_url: str, tmp_path: Path
) -> None:
    name = empty_postgres_url.partition("?")[0].rpartition("/")[2]
    postgres.execute('CREATE SCHEMA "of Anna"', name)
    postgres.execute("CREATE TABLE public.mine (x int)", name)
    url = f"{empty_postgres_url}&options=-csearch_path%3D%22of%5C%20Anna%22"
    with open_storage(url, create=True) as storage:
        storage.create_study("sine", definition="{}", definition_hash="a")
    back_up(url, tmp_path / "b", quietly)
    postgres.execute('DROP SCHEMA "of Anna" CASCADE', name)
    with pytest.raises(StorageError, match=r"of the schema 'of Anna', but .* leads to none"):
        restore(tmp_path / "b", url, quietly)
    postgres.execute('CREATE SCHEMA "of Anna"', name)
    # Tables of other schemas are not in the way.
    assert restore(tmp_path / "b", url, quietly).studies == 1
    with open_storage(url, create=False) as storage:
        assert [study.name for study in storage.studies()] == ["sine"]
