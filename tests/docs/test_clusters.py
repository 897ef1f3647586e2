"""The commands of docs/clusters.md run as they stand there, against a real PostgreSQL."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.storage.opening import open_storage

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
FREERUN = Path(sys.executable).with_name("freerun")
# A study of seconds in place of one of minutes.
NAMES = (("studies/sine.toml", "studies/smoke.toml"), ("sine", "smoke"))


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, on the small study."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for there, here in NAMES:
        found = [block.replace(there, here) for block in found]
    return found


@pytest.fixture
def environment(tmp_path: Path, postgres_url: str) -> dict[str, str]:
    """Where freerun is on the path, and so is what a scheduler's node has."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "freerun").symlink_to(FREERUN)
    # As srun does: the command becomes the job's step.
    srun = programs / "srun"
    srun.write_text('#!/bin/sh\nexec "$@"\n')
    srun.chmod(0o755)
    shutil.copy(ROOT / "docker" / "entrypoint.sh", programs / "freerun-entrypoint")
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "FREERUN_STORAGE": postgres_url,
        "OMP_NUM_THREADS": "1",
    }


def run(script: str | list[str], environment: dict[str, str]) -> None:
    command = ["sh", "-e", "-c", script] if isinstance(script, str) else script
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def trials(environment: dict[str, str]) -> int:
    with open_storage(environment["FREERUN_STORAGE"], create=False) as storage:
        return storage.study("smoke").counts().total


def test_the_worker_and_the_slurm_script_run(environment: dict[str, str]) -> None:
    work, create, slurm, launch, local = blocks("sh")
    assert launch.startswith("freerun launch smoke")
    assert local.startswith("freerun launch smoke")
    run(create, environment)
    assert trials(environment) == 0
    run(slurm, environment)
    assert trials(environment) == 6
    # Nothing is left: one more worker ends at once.
    run(work, environment)
    assert trials(environment) == 6
    assert re.search(r"^srun freerun work", slurm, flags=re.MULTILINE)
    assert "#SBATCH --signal=TERM@" in slurm


def test_the_kubernetes_job_runs_by_its_own_command(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (text,) = blocks("yaml")
    job: dict[str, Any] = yaml.safe_load(text)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {variable["name"]: variable["value"] for variable in container["env"]}
    assert set(given) == {"FREERUN_STORAGE", "FREERUN_PASSWORD_FILE"}
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert [volume["name"] for volume in pod["volumes"]] == list(mounted)
    assert given["FREERUN_PASSWORD_FILE"].startswith(mounted["password"] + "/")
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    worker = compose["services"]["worker"]
    assert container["image"] == worker["image"]
    assert given["FREERUN_STORAGE"] == worker["environment"]["FREERUN_STORAGE"]

    _, create, *_ = blocks("sh")
    run(create, environment)
    (tmp_path / "password").write_text("any", encoding="utf-8")
    run(
        container["command"],
        environment
        | {
            "FREERUN_PASSWORD_FILE": str(tmp_path / "password"),
            "PGPASSFILE": str(tmp_path / "pgpass"),
        },
    )
    assert trials(environment) == 6


def test_launch_without_an_address_starts_its_own_cluster(environment: dict[str, str]) -> None:
    pytest.importorskip("ray", reason="no Ray to test with; install freerun[ray]")
    _, create, *_, local = blocks("sh")
    run(create, environment)
    run(local, environment)
    assert trials(environment) == 6
