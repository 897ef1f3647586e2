"""Plug-ins on the path: what a study file uses of them, and what is said of broken ones."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from search.errors import UsageError
from search.plugins import check_plugins
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition
from tests.search.cli.conftest import REPOSITORY, Finished

NAME = "freerun-invented"
# A module with a source of series and an option of training.
WAVES = dedent(
    """
    from typing import Literal

    import numpy as np

    from models.methods import Flag, Method, Stage, flag
    from models.methods.condition import TRAINED
    from search.series import Draw, GeneratedSource


    class Square(GeneratedSource):
        source: Literal["square"] = "square"
        half_period: int = 5

        @property
        def signal_variance(self):
            return 1.0

        def draw(self, study_seed, purpose, index, steps):
            values = np.where(np.arange(steps) // self.half_period % 2, 1.0, -1.0)[:, None]
            return Draw(values=values.copy(), signal=values)


    class Idle(Method, name="idle"):
        '''An option that changes nothing.'''

        kind = "invented"
        stage = Stage.OPTIMISER
        applies = TRAINED

        idle: bool = flag("Whether nothing is done.")
    """
)
STUDY = """
name = "square"
[series]
source = "square"
half_period = 7
[task]
train_steps = 60
horizon_steps = 10
[space]
warm_up_steps = 10
window_steps = 4
idle = [false, true]
"""
# Prints the definition that a study file is read to.
READ = """
import sys
from pathlib import Path
from search.study.study_file import read_study_file

definition = read_study_file(Path(sys.argv[1])).definition
print(definition.model_dump_json())
"""


def install(folder: Path, modules: Mapping[str, str], name: str = NAME) -> Path:
    """Put a distribution of some modules into a folder, each an entry point; return the folder."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    points = "".join(f"point{i} = {module}\n" for i, module in enumerate(modules))
    (info / "entry_points.txt").write_text(f"[freerun.methods]\n{points}")
    for module, text in modules.items():
        if text:
            (folder / f"{module}.py").write_text(text)
    return folder


def python(folder: Path, *arguments: object) -> Finished:
    """Run Python where the distributions of a folder are on the path."""
    ended = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Finished(ended.returncode, ended.stdout, ended.stderr)


def test_a_source_and_a_method_of_a_plugin_are_accepted_in_a_study_file(tmp_path: Path) -> None:
    folder = install(tmp_path, {"invented_waves": WAVES})
    (folder / "study.toml").write_text(STUDY)
    read = python(folder, "-c", READ, "study.toml")
    assert read.code == 0, read.err
    stored = read.json
    assert stored["series"] == {"source": "square", "half_period": 7, "period": None}
    assert stored["space"]["idle"] == [False, True]
    assert stored["plugins"] == {NAME: "1.2"}
    (folder / "study.toml").write_text(STUDY.replace("half_period = 7", 'half_period = "7"'))
    refused = python(folder, "-m", "search", "check", "study.toml")
    assert refused.code == 2
    assert '[series] half_period must be a whole number, but got "7"' in refused.err


def test_a_study_that_uses_no_plugin_names_none_though_some_are_there(tmp_path: Path) -> None:
    folder = install(tmp_path, {"invented_waves": WAVES})
    plain = STUDY.replace("square", "sine").replace("half_period = 7\n", "")
    (folder / "study.toml").write_text(plain.replace("idle = [false, true]\n", ""))
    stored = python(folder, "-c", READ, "study.toml").json
    assert stored["plugins"] == {}
    assert "idle" not in stored["space"]


SAME_NAME = """
from models.network.cells.cell import UnitCell

class Other(UnitCell, name="gru"):
    pass
"""
OTHER_BOUNDS = """
from models.methods import Choices, Whole, setting
from models.network.cells.cell import Cell

class Wide(Cell, name="wide"):
    hidden_units: int = setting(Whole(1, 10), Choices((8,)), "Hidden units.", shared=True)
"""

TAKEN_NAME = """
from models.methods import Choices, Real, setting
from models.training.losses.loss import Loss

class Taken(Loss, name="taken"):
    weight: float = setting(Real(0, 1), Choices((0.5,)), "A weight.", name="NAME", neutral=0.0)
"""
NOT_NEUTRAL = """
from models.methods import Choices, Method, Real, Stage, setting

class Bold(Method, name="bold"):
    kind = "invented"
    stage = Stage.NOISE
    boldness: float = setting(Real(0, 1), Choices((0.5,)), "How bold.")
"""
CLOSED = """
from models.methods import Method, Stage, flag

class OtherNorm(Method, name="other_norm"):
    kind = "norm"
    stage = Stage.SIZE
    other_norm: bool = flag("Whether nothing is normalised.")
"""
OVERRIDES = """
from models.methods import Method, Stage, flag

class Bent(Method, name="bent"):
    kind = "invented"
    stage = Stage.NOISE
    bent: bool = flag("Whether all is bent.")

    def is_nonlinear_part(self):
        return self.bent
"""
TAKEN = "a setting must not have the name of a parameter that selects a method or a preset"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("", f"the plug-in {NAME} 1.2 can't be used: broken raises ModuleNotFoundError"),
        ("1 / 0\n", f"the plug-in {NAME} 1.2 can't be used: broken raises ZeroDivisionError"),
        ("def", "broken raises SyntaxError"),
        (SAME_NAME, "a cell must have a name of its own, but broken.Other has the name 'gru'"),
        (OTHER_BOUNDS, "the setting 'hidden_units' must be declared alike"),
        (TAKEN_NAME.replace("NAME", "cell"), TAKEN),
        (TAKEN_NAME.replace("NAME", "forcing"), "but taken has 'forcing'"),
        (TAKEN_NAME.replace("NAME", "preset"), f"{NAME} 1.2 can't be used: broken raises ValueErr"),
        (
            NOT_NEUTRAL,
            "must have a neutral value, or be a searched one of a method that a selector",
        ),
        (CLOSED, "broken.OtherNorm is another norm, which nothing would compute"),
        (OVERRIDES, "must leave is_nonlinear_part as it is"),
    ],
    ids=[
        "missing",
        "raising",
        "no Python",
        "same name",
        "other bounds",
        "setting cell",
        "setting forcing",
        "setting preset",
        "no neutral value",
        "closed kind",
        "override",
    ],
)
def test_a_broken_plugin_is_one_clear_message(tmp_path: Path, module: str, words: str) -> None:
    folder = install(tmp_path, {"broken": module})
    (folder / "study.toml").write_text(STUDY)
    ended = python(folder, "-m", "search", "check", "study.toml")
    assert ended.code == 1, ended.err
    assert ended.out == ""
    assert ended.err.count("freerun: failed:") == 1
    assert words in ended.err
    assert "Traceback" not in ended.err


# Makes a study of the plug-in's source in a database; prints the versions that its export names.
STORE = """
from search.storage.opening import open_storage
from tests.search.invented import SINE, make_study

with open_storage("sqlite:///x.db", create=True) as storage:
    series = {"source": "square"}
    study = make_study(storage, ("complete", 0.3), raw={**SINE, "series": series})
    study.add_final("final", {0: 0.3})
"""
VERSIONS = """
import json

from search.export.of_study import export_of
from search.storage.opening import open_storage

with open_storage("sqlite:///x.db", create=False) as storage:
    print(json.dumps(export_of(storage.study("waves")).versions))
"""


def test_an_export_names_the_plugins_of_its_study_as_the_study_had_them(tmp_path: Path) -> None:
    folder = install(tmp_path, {"invented_waves": WAVES})
    install(tmp_path, {"unused": "A = 1\n"}, "freerun-unused")
    assert python(folder, "-c", STORE).code == 0
    metadata = folder / "freerun_invented-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.2", "1.3"))
    exported = python(folder, "-c", VERSIONS)
    assert exported.code == 0, exported.err
    found = exported.json
    assert found.keys() == {"freerun", "torch", "numba", "numpy", "python", NAME}
    assert found[NAME] == "1.2"


def test_a_stored_study_is_refused_where_a_plugin_of_it_is_missing() -> None:
    definition = StudyDefinition.model_validate(
        {
            "name": "x",
            "series": {"source": "sine"},
            "task": {"train_steps": 600, "horizon_steps": 400},
        }
    )
    stored = json.loads(definition.model_dump_json())
    assert stored["plugins"] == {}
    stored["plugins"] = {NAME: "1.2"}
    stored["series"] = {"source": "square"}
    with pytest.raises(UsageError, match=rf"plug-in {NAME} \(version 1.2\), which is not inst"):
        read_stored_definition(json.dumps(stored))
    check_plugins({})
