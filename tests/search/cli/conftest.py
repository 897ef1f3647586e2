"""The command line as a user runs it: a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
STUDIES = REPOSITORY / "studies"


@dataclass(frozen=True)
class Finished:
    """An ended command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object and nothing else."""
        plain: dict[str, Any] = json.loads(self.out)
        return plain


Freerun = Callable[..., Finished]


def freerun(folder: Path, *arguments: object, **environment: str) -> Finished:
    """Run `freerun` in a folder."""
    ended = subprocess.run(
        [sys.executable, "-m", "search", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Finished(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder in which studies/smoke.toml was run, and what `run --json` printed."""
    folder = tmp_path_factory.mktemp("smoke")
    ended = freerun(folder, "run", STUDIES / "smoke.toml", "--json")
    assert ended.code == 0, ended.err
    return folder, ended.json


@pytest.fixture(scope="session")
def table_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder in which a tiny study of a table was run, and what `run --json` printed."""
    folder = tmp_path_factory.mktemp("table")
    rows = [f"{1700 + i},{(i * 37) % 11 + 0.5 * (i % 7)}" for i in range(120)]
    (folder / "spots.csv").write_text("year,spots\n" + "\n".join(rows) + "\n")
    smoke = (STUDIES / "smoke.toml").read_text()
    head, rest = smoke.split("[series]")
    (folder / "spots.toml").write_text(
        head.replace('"smoke"', '"spots"')
        + '[series]\nsource = "table"\npath = "spots.csv"\ntime = "year"\ncolumns = ["spots"]\n'
        + "[task]\ntrain_steps = 70\nhorizon_steps = 10\nvalidation_steps = 20\n"
        + "start_points = 2\ntest_horizon_steps = 10\n[search]"
        + rest.split("[search]")[1]
    )
    ended = freerun(folder, "run", "spots.toml", "--json")
    assert ended.code == 0, ended.err
    return folder, ended.json
