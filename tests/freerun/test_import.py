"""What `import freerun` brings, what it costs, and what it refuses to start with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import freerun
import search

HEAVY = ("torch", "optuna", "pandas", "polars", "sqlalchemy", "pydantic", "sklearn", "sktime")
ROOT = Path(__file__).parents[2]


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_an_import_is_cheap_and_brings_nothing_heavy(tmp_path: Path) -> None:
    # Processor time: a busy machine changes it little.
    script = (
        "import json, sys, time; began = time.process_time(); import freerun; "
        "print(json.dumps([time.process_time() - began, list(sys.modules)]))"
    )
    seconds, modules = json.loads(python(tmp_path, "-c", script).stdout)
    assert not {name.partition(".")[0] for name in modules} & set(HEAVY)
    assert seconds < 0.3


def test_every_public_name_is_there_and_documented() -> None:
    assert dir(freerun) == sorted(freerun.__all__)
    for name in freerun.__all__:
        found = getattr(freerun, name)
        assert name == "__version__" or found.__doc__, name
    assert freerun.__version__ == search.__version__
    with pytest.raises(AttributeError, match="Studdy"):
        _ = freerun.Studdy


def test_every_public_method_is_documented() -> None:
    for kind in (freerun.Study, freerun.ExportedForecaster, freerun.Forecaster):
        for name, member in vars(kind).items():
            assert name.startswith("_") or member.__doc__, f"{kind.__name__}.{name}"


@pytest.mark.parametrize("name", ["search", "models"])
def test_a_package_of_the_users_that_hides_ours_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("")
    ended = python(tmp_path, "-c", "import freerun")
    assert ended.returncode == 1
    assert f"ImportError: freerun needs its own package '{name}'" in ended.stderr
    assert str(tmp_path / f"{name}.py") in ended.stderr
    assert "rename" in ended.stderr


def test_a_folder_of_data_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    assert python(tmp_path, "-c", "import freerun").returncode == 0


@pytest.mark.parametrize("lacking", ["sktime", "pandas"])
def test_what_the_forecaster_for_sktime_needs_is_named(tmp_path: Path, lacking: str) -> None:
    # As where the package is not installed, whether it is here or not.
    script = (
        "import sys\n"
        "class Lacking:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {lacking!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Lacking())\n"
        "from freerun.sktime import FreerunForecaster\n"
    )
    ended = python(tmp_path, "-c", script)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    package = last.partition("needs the package ")[2].partition(",")[0]
    assert package in (lacking, "pandas")
    assert last.endswith("pip install 'freerun[sktime]'")


def test_the_package_runs_as_the_command(tmp_path: Path) -> None:
    ended = python(tmp_path, "-m", "freerun", "--version")
    assert ended.stdout == f"freerun {freerun.__version__}\n"
