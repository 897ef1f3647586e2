"""The code blocks of docs/python.md run one after the other, as in a notebook."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
# A search of a second in this process in place of one of minutes.
IN_PLACE = (
    ("horizon=33)", 'horizon=33, space={"cell": ["ar"]})'),
    ('search={"replicas": 2}', 'search={"replicas": 2}, space={"cell": ["ar"]}'),
    ("run(minutes=3)", "run(trials=1, workers=0)"),
    ("minutes=1)", 'trials=1, workers=0, space={"cell": ["ar"]})'),
)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The names that the blocks share, in a folder with the studies."""
    folder, before = tmp_path_factory.mktemp("notebook"), Path.cwd()
    (folder / "studies").symlink_to(ROOT / "studies")
    os.chdir(folder)
    names: dict[str, Any] = {}
    yield names
    names.clear()
    os.chdir(before)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
@pytest.mark.filterwarnings("default::FutureWarning")  # of sktime, about its own defaults
def test_the_block_runs(number: int, notebook: dict[str, Any]) -> None:
    block = BLOCKS[number]
    for there, here in IN_PLACE:
        block = block.replace(there, here)
    for extra in ("pandas", "sktime"):
        if f"import {extra}" in block or f"freerun.{extra}" in block:
            pytest.importorskip(extra, reason=f"the extra {extra} is not installed")
    exec(compile(block, f"docs/python.md, block {number}", "exec"), notebook)


def test_the_blocks_left_what_they_say(notebook: dict[str, Any]) -> None:
    assert Path("report.html").is_file()
    assert notebook["ahead"].shape == (24,)
    assert notebook["trials"].height == 1
    assert max(notebook["errors"]) < 0.5


def test_every_replacement_is_of_the_page() -> None:
    assert all(there in "".join(BLOCKS) for there, _ in IN_PLACE)
