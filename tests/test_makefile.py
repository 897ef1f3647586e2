"""Which environment make installs into: its own, or one that is there, which it never deletes."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(folder: Path) -> subprocess.CompletedProcess[str]:
    """Let make ready an environment; nothing is installed into it."""
    python = getattr(sys, "_base_executable", sys.executable)
    command = ["make", "-C", str(ROOT), f"{folder}/created.stamp", f"VENV={folder}"]
    return subprocess.run(
        [*command, f"PYTHON={python}"], capture_output=True, text=True, check=False
    )


def site_packages(folder: Path) -> Path:
    return next((folder / "lib").glob("python*/site-packages"))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment that a user made, with a package in it."""
    venv.create(tmp_path / "own", with_pip=False, symlinks=True)
    pip = site_packages(tmp_path / "own") / "pip"
    pip.mkdir()
    (pip / "__main__.py").touch()
    (site_packages(tmp_path / "own") / "mine.py").write_text("x = 1\n")
    return tmp_path / "own"


def test_an_environment_that_is_there_is_used_with_all_that_is_in_it(environment: Path) -> None:
    made = make(environment)
    assert made.returncode == 0, made.stderr
    assert f"Using the environment {environment}, which is there (Python 3." in made.stdout
    assert (site_packages(environment) / "mine.py").exists()
    assert "is up to date" in make(environment).stdout


def test_an_environment_of_an_older_python_stays(environment: Path) -> None:
    python = environment / "bin" / "python"
    python.unlink()
    # As one of 3.10 answers: it runs, and says that it is too old.
    python.write_text('#!/bin/sh\ncase "$2" in *version_info*) exit 1;; esac\n')
    python.chmod(0o755)
    said = python.read_bytes()
    made = make(environment)
    assert made.returncode != 0
    assert "must be an environment of Python 3.11 or newer that works" in made.stderr
    assert python.read_bytes() == said
    assert (site_packages(environment) / "mine.py").exists()


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_no_environment_stays(tmp_path: Path, is_folder: bool) -> None:
    place = tmp_path / "own"
    mine = place / "mine.txt" if is_folder else place
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    made = make(place)
    assert made.returncode != 0
    assert "Move it away" in made.stderr
    assert mine.read_text() == "mine"


def test_an_environment_whose_python_is_gone_has_another(environment: Path) -> None:
    """As after an update of Python, which an environment links to."""
    for link in (environment / "bin").glob("python*"):
        link.unlink()
        link.symlink_to(environment / "gone" / link.name)
    made = make(environment)
    assert made.returncode == 0, made.stderr
    assert (site_packages(environment) / "mine.py").exists()
    subprocess.run([environment / "bin" / "python", "-m", "pip", "--version"], check=True)


def test_a_creation_that_was_interrupted_is_completed(tmp_path: Path) -> None:
    place = tmp_path / "own"
    (place / "lib").mkdir(parents=True)
    (place / "pyvenv.cfg").touch()
    made = make(place)
    assert made.returncode == 0, made.stderr
    assert f"Creating {place} with " in made.stdout
    subprocess.run([place / "bin" / "python", "-m", "pip", "--version"], check=True)
