"""PostgreSQL databases copied by PostgreSQL's own programs, pg_dump and pg_restore.

A program gets the connection as libpq's service file, which only this user can read, and the
password by its environment: nothing of either stands among its arguments, which everybody sees.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from search.errors import StorageError
from search.files import shown_path
from search.storage.records import Held, Versions
from search.storage.refusals import refusal
from search.storage.sqlite_backup import VERSION_TABLES, versions_of

if TYPE_CHECKING:
    from psycopg import Connection as Driver
    from psycopg import ConnectionInfo
    from sqlalchemy import Connection, Engine

    from search.storage.sqlite_backup import Told

_SERVICE = "freerun"
_LOOK_SECONDS = 0.2
# The version that brought transaction_timeout, which pg_restore sets before all else.
_TIMEOUT_SINCE = 17
_INSTALL = "Install PostgreSQL's client programs (Debian: apt-get install postgresql-client)"
_SCHEMA_NAME = (
    "SELECT nspname FROM pg_class"
    " JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE pg_class.oid = 'freerun_studies'::regclass"
)
_HELD = (
    "SELECT count(*), (SELECT count(*) FROM trials"
    " WHERE study_id IN (SELECT study_id FROM freerun_studies)) FROM freerun_studies"
)
# All but what extensions brought along.
_RELATIONS = (
    "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname = current_schema() AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS"
    " (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') ORDER BY relname"
)
_TABLE = re.compile(r"^\d+; \d+ \d+ TABLE (.+) freerun_studies .*$", re.MULTILINE)
# Of a table of versions.
_ROW = re.compile(r"^COPY .*\.(\w+) \(version_num\) FROM stdin;\n(\S+)$", re.MULTILINE)


def dump(engine: Engine, target: Path, told: Told) -> Held:
    """Write the schema that holds freerun's tables into a file, as it is at one moment.

    Returns what it holds. Raises StorageError for a program that is missing, older than the server
    or fails, OSError for a file that can't be written, and errors of the database.
    """
    program = _program("pg_dump")
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        _check_version(program, _driver(connection).info)
        # Idle until pg_dump has ended.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        held = Held(*connection.exec_driver_sql(_HELD).one())
        (schema,) = connection.exec_driver_sql(_SCHEMA_NAME).one()
        arguments = [
            program,
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            "--no-password",
            "--strict-names",
            f"--schema={_literal(schema)}",
            f"--snapshot={snapshot}",
            f"--file={target}",
            f"--dbname=service={_SERVICE}",
        ]
        with _environment(_driver(connection)) as environment:
            said = _run(arguments, environment, lambda: told(target.stat().st_size, None))
    if said is not None and "output file" in said:
        raise OSError(0, said)
    if said is not None:
        raise refusal(engine.url, RuntimeError(said), "can't be backed up by pg_dump")
    return held


def check_dump(path: Path) -> tuple[str, Versions]:
    """Return the schema that a dump holds freerun's tables of, and their versions.

    Raises StorageError for a damaged file, one without these tables, and a missing program.
    """
    found = _TABLE.search(_read(path, "--list"))
    if found is None:
        raise StorageError(
            f"{shown_path(path)} must hold freerun's tables, but is another dump of PostgreSQL; "
            "name a file that `freerun backup` wrote."
        )
    tables = [f"--table={name}" for name in VERSION_TABLES]
    rows = _ROW.findall(_read(path, "--data-only", *tables, "--file=-"))
    return found.group(1), versions_of(dict(rows))


def _read(path: Path, *options: str) -> str:
    """What pg_restore prints of a file."""
    ended = subprocess.run(
        [_program("pg_restore"), *options, str(path)],
        env=_in_english(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if ended.returncode:
        raise StorageError(
            f"{shown_path(path)} can't be read by pg_restore: {_failure(ended.stderr)}. Take "
            "another copy of it, or a pg_restore as new as the pg_dump that wrote it."
        )
    return ended.stdout


def target_of(engine: Engine) -> tuple[str | None, list[str]]:
    """Return the schema into which tables are created, and the tables and views that it has."""
    with engine.connect() as connection:
        schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
        return schema, list(connection.exec_driver_sql(_RELATIONS).scalars())


def load(engine: Engine, path: Path, schema: str, told: Told) -> None:
    """Restore a schema of a dump in one transaction.

    Raises StorageError for a program that is missing, too new for the server or fails: then nothing
    is changed.
    """
    program = _program("pg_restore")
    arguments = [
        program,
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        # Leaves out the creation of the schema itself, which is there.
        f"--schema={schema}",
        f"--dbname=service={_SERVICE}",
        str(path),
    ]
    with (
        engine.connect() as connection,
        _environment(_driver(connection)) as environment,
    ):
        _check_restores(program, _driver(connection).info)
        said = _run(arguments, environment, lambda: told(0, None))
    if said is not None:
        doing = f"can't be restored from {shown_path(path)}, and is as it was"
        raise refusal(engine.url, RuntimeError(said), doing)


def held_by(engine: Engine) -> Held:
    """Return what a database holds."""
    with engine.connect() as connection:
        return Held(*connection.exec_driver_sql(_HELD).one())


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise StorageError(
            f"a backup of PostgreSQL needs {name}, which is not on PATH. {_INSTALL}, of the "
            "server's version or a newer one."
        )
    return found


def _check_version(program: str, info: ConnectionInfo) -> None:
    """Raise StorageError for a pg_dump of an earlier major version than the server."""
    major, server = _major_version(program), info.server_version // 10000
    if major is None or major < server:
        version = f"version {major}" if major is not None else "no version that can be read"
        raise StorageError(
            f"pg_dump must be as new as the server, which is PostgreSQL {server}, but {program} is "
            f"{version}. {_INSTALL} of version {server} or newer, and put their folder first in "
            "PATH."
        )


def _check_restores(program: str, info: ConnectionInfo) -> None:
    """Raise StorageError for a pg_restore that uses a setting which the server doesn't have."""
    major, server = _major_version(program), info.server_version // 10000
    if major is not None and server < _TIMEOUT_SINCE <= major:
        raise StorageError(
            f"pg_restore of version {_TIMEOUT_SINCE} or newer can't restore into an older server, "
            f"but {program} is version {major}, and the server is PostgreSQL {server}. {_INSTALL} "
            f"of version {server}, put their folder first in PATH, and restore a backup that they "
            f"made; or restore into a server of version {_TIMEOUT_SINCE} or newer."
        )


def _major_version(program: str) -> int | None:
    """The major version that a program of PostgreSQL says it has, None where it says none."""
    said = subprocess.run(
        [program, "--version"],
        env=_in_english(),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = re.search(r" (\d+)[.\w]* *", said)
    return int(found.group(1)) if found else None


def _driver(connection: Connection) -> Driver[tuple[object, ...]]:
    driver: Driver[tuple[object, ...]] = connection.connection.driver_connection  # type: ignore[assignment]
    return driver


@contextmanager
def _environment(driver: Driver[tuple[object, ...]]) -> Iterator[Mapping[str, str]]:
    """Yield an environment in which libpq makes the connection that a driver has.

    It has the values that this connection was made with, wherever they came from, and one of
    several hosts.
    """
    info = driver.info
    service = {
        **info.get_parameters(),
        "dbname": info.dbname,
        "user": info.user,
        "host": info.host,
        "port": str(info.port),
    }
    for name in ("service", "hostaddr"):
        service.pop(name, None)
    if any("\n" in value or value != value.strip() for value in service.values()):
        raise StorageError(
            "pg_dump and pg_restore take no option with blanks or line breaks around its value; "
            "change the storage's URL or the environment."
        )
    with tempfile.TemporaryDirectory(prefix="freerun-") as folder:
        file = Path(folder, "pg_service.conf")
        lines = [f"[{_SERVICE}]", *(f"{name}={value}" for name, value in service.items() if value)]
        file.touch(0o600)
        file.write_text("\n".join(lines) + "\n")
        environment = {**_in_english(), "PGSERVICEFILE": str(file), "PGPASSWORD": info.password}
        environment.pop("PGSERVICE", None)
        yield environment


def _in_english() -> dict[str, str]:
    """The environment with messages that `refusals` knows."""
    return {**os.environ, "LC_MESSAGES": "C", "LC_ALL": "C"}


def _run(
    arguments: Sequence[str], environment: Mapping[str, str], look: Callable[[], None]
) -> str | None:
    """Run a program to its end, looking now and then; return what it says of a failure.

    look: may raise an error or SystemExit, which ends the program.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            while (code := _ended(process)) is None:
                look()
        finally:
            process.kill()
            process.wait()
        if code == 0:
            return None
        # Ctrl-C reaches the program, too.
        look()
        said.seek(0)
        ended = f"it was ended by signal {-code}" if code < 0 else f"exit code {code}"
        return _failure(said.read()) or ended


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """A program's exit code, or None where it still runs after a while."""
    try:
        return process.wait(_LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _failure(said: str) -> str:
    """The first error among what a program says, without the program's name."""
    lines = [line for line in said.splitlines() if "error:" in line] or said.splitlines()
    return re.sub(r"^pg_\w+: (error: )?", "", lines[0]).strip(" .") if lines else ""


def _literal(name: str) -> str:
    """A name as a pattern that fits nothing else."""
    return '"' + name.replace('"', '""') + '"'
