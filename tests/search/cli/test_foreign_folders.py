"""Nothing in the working folder or on PYTHONPATH takes the place of what is installed."""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

import search
from tests.search.cli.conftest import PATIENCE_SECONDS, REPOSITORY, STUDIES

START = Path(search.__file__).with_name("start.py")
TRAP = (
    "open('sprung', 'a').write(__name__ + ' '); raise SystemExit('a foreign module was imported')\n"
)


def names() -> set[str]:
    """Every module of what is installed here, and of Python's library."""
    installed = set(importlib.metadata.packages_distributions()) | {"models", "search"}
    named = {name for name in installed | set(sys.stdlib_module_names) if name.isidentifier()}
    return {name for name in named if name in sys.builtin_module_names or is_file(name)}


def is_file(name: str) -> bool:
    """Whether a module is here, and no namespace, which any module on the path comes before."""
    spec = PathFinder.find_spec(name)  # some of Python's own are for other systems
    if spec is None or spec.origin is None:
        return False
    # Once Ray is imported, copies of other packages are found in its own folder, and only then.
    return "thirdparty_files" not in Path(spec.origin).parts


def at_start() -> set[str]:
    """What an interpreter imports by itself, before it runs any of our code."""
    code = "import json, sys; print(json.dumps([*sys.modules]))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return {name.partition(".")[0] for name in json.loads(listed.stdout)} | {"sitecustomize"}


def set_traps(folder: Path, those: Iterable[str]) -> None:
    for name in those:
        (folder / f"{name}.py").write_text(TRAP)


def freerun(
    folder: Path, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as the script of an installation does."""
    return subprocess.run(
        [sys.executable, str(START), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_study_runs_in_a_folder_of_foreign_modules(tmp_path: Path) -> None:
    set_traps(tmp_path, names())
    (tmp_path / "optuna").mkdir()
    (tmp_path / "optuna" / "__init__.py").write_text(TRAP)
    text = (STUDIES / "smoke.toml").read_text().replace("trials = 6", "trials = 2")
    (tmp_path / "smoke.toml").write_text(text)
    ended = freerun(tmp_path, "run", "smoke.toml", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["trials"]["complete"] > 0
    assert not (tmp_path / "sprung").exists()


def test_a_module_on_pythonpath_is_found_last(tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("")
    set_traps(tmp_path, names() - at_start() - {"search"})
    path = f".{os.pathsep}{REPOSITORY}"
    ended = freerun(tmp_path, "check", STUDIES / "smoke.toml", PYTHONPATH=path)
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("is_on_path", [True, False])
def test_what_is_only_on_pythonpath_can_be_imported(tmp_path: Path, is_on_path: bool) -> None:
    (tmp_path / "only_here.py").write_text("")
    code = (
        "import sys; sys.argv = ['/bin/freerun']\n"
        "from search.start import installed_first\n"
        "installed_first()\n"
        "try: import only_here; print('found')\n"
        "except ImportError: print('not found')\n"
    )
    path = f"{tmp_path}{os.pathsep}{REPOSITORY}" if is_on_path else str(REPOSITORY)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == ("found\n" if is_on_path else "not found\n")
