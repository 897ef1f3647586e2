"""What can be opened, what is refused with which remedy, and that a schema is created once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import optuna
import pytest
from sqlalchemy import create_engine, inspect, text

from search.errors import StorageError
from search.storage.opening import open_storage
from search.storage.optuna_tables import newest_revision, revision_by_alembic
from search.storage.tables import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.search.storage.conftest import RunSql, Swarm


STARTERS = 32
OUR_VERSIONS = ("freerun_alembic_version", "freerun_schema")


def refusal(url: str, *, create: bool = True) -> str:
    """The message with which a URL is refused."""
    with pytest.raises(StorageError) as refused:
        open_storage(url, create=create)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_a_storage_is_created_once_and_opened_again(empty_database_url: str) -> None:
    with open_storage(empty_database_url, create=True) as storage:
        storage.create_study("sine", definition="{}", definition_hash="abc")
    for create in (True, False):
        with open_storage(empty_database_url, create=create) as storage:
            assert [summary.name for summary in storage.studies()] == ["sine"]


def test_many_starters_make_one_schema_and_one_study(empty_database_url: str, swarm: Swarm) -> None:
    started = swarm(STARTERS, "start", empty_database_url)
    assert len({study_id for study_id, _ in started}) == 1
    assert len({worker for _, worker in started}) == STARTERS
    with open_storage(empty_database_url, create=False) as storage:
        assert [summary.name for summary in storage.studies()] == ["sine"]
        assert len(storage.study("sine").workers()) == STARTERS
        engine = create_engine(storage.url)
    with engine.connect() as connection:
        for table in (
            "freerun_alembic_version",
            "freerun_schema",
            "version_info",
            "alembic_version",
        ):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 1
    engine.dispose()


def test_optunas_own_database_gets_our_tables_beside_its_own(empty_sqlite_url: str) -> None:
    theirs = optuna.storages.RDBStorage(empty_sqlite_url)
    theirs.create_new_study([optuna.study.StudyDirection.MINIMIZE], "theirs")
    theirs.engine.dispose()
    assert "holds no freerun study" in refusal(empty_sqlite_url, create=False)
    with open_storage(empty_sqlite_url, create=True) as storage:
        storage.create_study("ours", definition="{}", definition_hash="abc")
        assert [summary.name for summary in storage.studies()] == ["ours"]
        with pytest.raises(StorageError, match="named 'theirs' already"):
            storage.create_study("theirs", definition="{}", definition_hash="abc")


def test_opening_and_creating_is_silent(
    empty_sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_storage(empty_sqlite_url, create=True) as storage:
        storage.create_study("sine", definition="{}", definition_hash="abc")
    assert capfd.readouterr() == ("", "")


def test_sqlite_is_tuned(empty_sqlite_url: str) -> None:
    open_storage(empty_sqlite_url, create=True).close()
    connection = sqlite3.connect(empty_sqlite_url.removeprefix("sqlite:///"))
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_path_may_contain_braces_and_percent_signs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a {b} 100%.db'}"
    open_storage(url, create=True).close()
    assert (tmp_path / "a {b} 100%.db").exists()


def test_a_relative_path_is_kept_as_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_storage("sqlite:///freerun.db", create=True) as storage:
        assert storage.url.endswith(f"{tmp_path}/freerun.db")


def test_a_missing_file_is_created_only_on_request(tmp_path: Path) -> None:
    message = refusal(f"sqlite:///{tmp_path / 'none.db'}", create=False)
    assert "there is no storage at" in message
    assert "freerun run" in message
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "must exist" in refusal(f"sqlite:///{tmp_path / 'none' / 'freerun.db'}")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in refusal(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    message = refusal(f"sqlite:///{path}", create=create)
    assert "file is not a database. Remedy: move it away and restore a backup" in message
    assert path.read_text().startswith("not a database")


@pytest.mark.parametrize(("version", "remedy"), [(0, "that made it"), (99, "Install a newer")])
def test_a_schema_of_another_version_is_refused(
    database_url: str, run_sql: RunSql, version: int, remedy: str
) -> None:
    write = "UPDATE freerun_alembic_version SET version_num = :version"
    run_sql(write, version=str(version))
    message = refusal(database_url)
    run_sql(write, version=str(SCHEMA_VERSION))
    assert f"has schema version {version}" in message
    assert remedy in message


def test_tables_of_another_optuna_are_refused(database_url: str, run_sql: RunSql) -> None:
    ((revision,),) = run_sql("SELECT version_num FROM alembic_version")
    run_sql("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    message = refusal(database_url)
    run_sql("UPDATE alembic_version SET version_num = :revision", revision=revision)
    assert "of revision v9.0.0.a" in message
    assert "optuna storage upgrade" in message


def test_a_wrong_password_is_refused_and_not_shown(
    postgres: PostgresServer, postgres_url: str
) -> None:
    rules = postgres.data_folder / "pg_hba.conf"
    kept = rules.read_text()
    postgres.execute("CREATE ROLE guarded LOGIN PASSWORD 'right-word'")
    rules.write_text(f"local all guarded scram-sha-256\n{kept}")
    postgres.execute("SELECT pg_reload_conf()")
    try:
        database = postgres_url.partition("?")[0].rpartition("/")[2]
        message = refusal(postgres.url(database, user="guarded:wrong-word"))
    finally:
        rules.write_text(kept)
        postgres.execute("SELECT pg_reload_conf()")
    assert "password authentication failed" in message
    assert "Check the password" in message
    assert "wrong-word" not in message


def test_an_unknown_database_is_refused(postgres: PostgresServer) -> None:
    message = refusal(postgres.url("nowhere"))
    assert 'database "nowhere" does not exist. Check the names' in message


def test_an_unreachable_server_is_refused() -> None:
    message = refusal("postgresql://ann:pw-1@127.0.0.1:1/db?sslpassword=pw-2")
    assert "can't be opened" in message
    assert "Connection refused. Check that the server runs" in message
    assert "pw-" not in message


def test_a_server_without_a_free_connection_is_waited_for(
    postgres: PostgresServer, postgres_url: str
) -> None:
    postgres.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    database = postgres_url.partition("?")[0].rpartition("/")[2]
    url = postgres.url(database, user="crowded")
    with pytest.raises(StorageError, match=r"did not answer for 0 s: .*too many connections for"):
        open_storage(url, create=False, patience_seconds=0)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_name_of_postgresql_is_accepted(postgres_url: str, scheme: str) -> None:
    url = postgres_url.replace("postgresql", scheme, 1)
    with open_storage(url, create=False) as storage:
        assert storage.url.startswith("postgresql+psycopg://")
        assert storage.shown_url.startswith("postgresql://")


def test_the_names_of_our_tables_start_with_freerun(database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    theirs = set(optuna.storages._rdb.models.BaseModel.metadata.tables) | {"alembic_version"}
    assert {name.partition("_")[0] for name in names - theirs} == {"freerun"}


def test_the_newest_revision_of_optunas_tables_is_the_one_that_alembic_finds() -> None:
    newest = newest_revision()
    assert newest is not None
    assert newest == revision_by_alembic()


def test_a_start_does_not_run_the_migrations_of_optuna() -> None:
    program = (
        "import sys; from search.storage.optuna_tables import newest_revision; "
        "sys.exit(newest_revision() is None or 'alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
