"""The notebooks run from their first to their last cell."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
# A search of seconds in place of one of minutes.
IN_PLACE = {
    "from-a-csv.ipynb": (
        ('name="sunspots-notebook")', 'name="sunspots-notebook", space={"cell": ["ar"]})'),
        ("run(minutes=MINUTES)", "run(trials=1, workers=0)"),
    ),
    "an-estimator.ipynb": (("minutes=MINUTES)", 'trials=2, workers=0, space={"cell": ["ar"]})'),),
}


def _prepared(path: Path, folder: Path) -> dict[str, Any]:
    """The notebook with the small search; the folder gets what it reads."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for there, here in IN_PLACE[path.name]:
        changed = 0
        for cell in notebook["cells"]:
            text = "".join(cell["source"])
            changed += there in text
            cell["source"] = text.replace(there, here)
        assert changed == 1, f"{path.name} has {there!r} {changed} times"
    home = folder / "examples" / "notebooks"
    home.mkdir(parents=True)
    (folder / "studies").mkdir()
    shutil.copy(ROOT / "studies" / "sunspots.csv", folder / "studies")
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["cells"][0]["source"][0].startswith("# ")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            compile("".join(cell["source"]), path.name, "exec")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("freerun", reason="there is no package freerun to import")
    notebook = _prepared(path, tmp_path)
    monkeypatch.chdir(tmp_path / "examples" / "notebooks")
    names: dict[str, Any] = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            exec(compile(cell["source"], f"{path.name}, cell {number}", "exec"), names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs_in_a_kernel(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("freerun", reason="there is no package freerun to import")
    reason = "no kernel to run it in: run make site"
    pytest.importorskip("ipykernel", reason=reason)
    nbclient = pytest.importorskip("nbclient", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    notebook = nbformat.from_dict(_prepared(path, tmp_path))
    # The kernel is another process: of this Python, with the packages of this checkout.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    home = tmp_path / "examples" / "notebooks"
    resources = {"metadata": {"path": str(home)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    assert not [o for c in notebook.cells for o in c.get("outputs", ()) if o.output_type == "error"]


def test_there_are_two_notebooks() -> None:
    assert {path.name for path in NOTEBOOKS} == set(IN_PLACE)
