"""The command line as a user runs it, a process of its own, and a study of a table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.search.cli import forked

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

REPOSITORY = Path(__file__).parents[3]
STUDIES = REPOSITORY / "studies"
PATIENCE_SECONDS = 300


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


@dataclass(frozen=True)
class Running:
    """A command that was started."""

    process: ForkServerProcess
    written: TemporaryDirectory[str]

    def wait(self) -> Finished:
        """Wait for its end."""
        self.process.join(PATIENCE_SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        assert self.process.exitcode is not None
        with self.written as written:
            out, err = (Path(written, name).read_text() for name in ("out", "err"))
        return Finished(self.process.exitcode, out, err)


def process_of(folder: Path, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m search` in a folder, as a shell does."""
    return subprocess.Popen(
        [sys.executable, "-m", "search", *map(str, arguments)],
        cwd=folder,
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def freerun_anew(folder: Path, *arguments: object, **environment: str) -> Finished:
    """Run `freerun` in a folder, in a new interpreter."""
    process = process_of(folder, *arguments, **environment)
    try:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    return Finished(process.returncode, out, err)


def start_freerun(folder: Path, *arguments: object, **environment: str) -> Running:
    """Start `freerun` in a folder, in a process that need not import anything any more."""
    written = TemporaryDirectory()
    out, err = (Path(written.name, name) for name in ("out", "err"))
    texts = [str(argument) for argument in arguments]
    return Running(forked.start(texts, folder, _environment(environment), out, err), written)


def freerun(folder: Path, *arguments: object, **environment: str) -> Finished:
    """Run `freerun` in a folder, in a process that need not import anything any more."""
    return start_freerun(folder, *arguments, **environment).wait()


def refused(folder: Path, arguments: Sequence[object], *words: str) -> Finished:
    """The command ends with exit code 2, one message that holds the words, and nothing written."""
    before = sorted(folder.rglob("*"))
    ended = freerun(folder, *arguments)
    assert ended.code == 2, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert ended.err.count("freerun: error:") == 1
    assert "Usage:" not in ended.err
    for word in words:
        assert word in ended.err
    assert sorted(folder.rglob("*")) == before
    return ended


def _environment(changes: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100", **changes}


def table_study_file(folder: Path) -> Path:
    """Write a small table and a study file of it, which trains in about a second."""
    rows = [f"{1700 + i},{(i * 37) % 11 + 0.5 * (i % 7)}" for i in range(120)]
    (folder / "spots.csv").write_text("year,spots\n" + "\n".join(rows) + "\n")
    head, rest = (STUDIES / "smoke.toml").read_text().split("[series]")
    path = folder / "spots.toml"
    path.write_text(
        head.replace('"smoke"', '"spots"')
        + '[series]\nsource = "table"\npath = "spots.csv"\ntime = "year"\ncolumns = ["spots"]\n'
        + "[task]\ntrain_steps = 70\nhorizon_steps = 10\nvalidation_steps = 20\n"
        + "start_points = 2\ntest_horizon_steps = 10\n[search]"
        + rest.split("[search]")[1]
    )
    return path
