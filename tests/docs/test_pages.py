"""What the pages show is true: links lead somewhere, commands parse, study files are valid."""

import ast
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

import freerun
from search.cli import app
from search.study.definition import StudyDefinition
from search.study.study_file import read_study_file
from tests.docs.conftest import PAGES, ROOT, Block, blocks, text_of

GROUP: Any = get_command(app)
_FENCED = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"^\s*(?:\$ )?(?:\w+=\S+ )*(?:srun |exec )?(?:\S*/)?freerun (.*)$")
_PROSE_COMMAND = re.compile(r"`freerun ([a-z]+)")
# What a block leaves out that shows a part of a study file.
_TABLE = {"source": "table", "path": "table.csv", "time": "time", "columns": ["value"]}
_TASK = {"train_steps": 600, "horizon_steps": 50}
# A study of a second, which the pages know as `sine`.
_SMALL = """
name = "sine"
series = { source = "sine" }
task = { train_steps = 200, horizon_steps = 50 }
space = { cell = ["ar"] }
[search]
trials = 2
replicas = 1
finalists = 1
final_replicas = 2
test_draws = 2
"""


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    titles = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in kept}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    # The home page stands at the root of the site, where the reference is made from the code.
    home = ROOT if page == "website/index.md" else (ROOT / page).parent
    for link in _LINK.findall(_FENCED.sub("", text_of(page))):
        if link.startswith(("https://", "http://", "reference/")):
            continue
        if link.startswith("examples/notebooks/"):
            link = link.replace(".md", ".ipynb")  # a page of the site
        path, _, anchor = link.partition("#")
        target = (home / path).resolve() if path else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        assert target.is_relative_to(ROOT), f"{page} links out of the repository: {link}"
        if anchor:
            assert anchor in _anchors(target.read_text(encoding="utf-8")), f"{page}: {link}"


def _command_lines(block: Block) -> Iterator[list[str]]:
    """The arguments of each `freerun ...` of a block, up to a shell's operator."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if found := _COMMAND.match(line):
            words = shlex.split(found[1], comments=True)
            ends = [n for n, word in enumerate(words) if word in {">", "|", "&", "&&", "||", ";"}]
            yield words[: min(ends, default=len(words))]


SHELL = [block for block in blocks("sh", "console", "bash") if any(_command_lines(block))]


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_parse(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    context = typer.Context(GROUP, info_name="freerun")
    for name, *arguments in _command_lines(block):
        if name.startswith("-"):
            continue
        assert name in GROUP.commands, f"{block}: freerun {name}"
        # Raises the error of the command line where an option or a value is wrong.
        GROUP.commands[name].make_context(name, arguments, parent=context)


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_exist(page: str) -> None:
    if page == "CHANGELOG.md":
        pytest.skip("it tells of what was there once")
    assert set(_PROSE_COMMAND.findall(text_of(page))) <= set(GROUP.commands)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_study_files_are_valid(block: Block, tmp_path: Path) -> None:
    raw = tomllib.loads(block.text)
    if {"name", "series", "task"} <= set(raw):
        for table in (ROOT / "studies").glob("*.csv"):
            (tmp_path / table.name).symlink_to(table)
        (tmp_path / "study.toml").write_text(block.text, encoding="utf-8")
        assert read_study_file(tmp_path / "study.toml").definition.name == raw["name"]
        return
    series = raw.get("series", {})
    whole = {
        "name": "part",
        **raw,
        "series": series if "source" in series else _TABLE | series,
        "task": _TASK | raw.get("task", {}),
    }
    StudyDefinition.model_validate(whole)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_is_python(block: Block) -> None:
    ast.parse(block.text, filename=str(block))


RUN = [block for block in blocks("python") if block.is_run]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a small study that has run."""
    made, before = tmp_path_factory.mktemp("pages"), Path.cwd()
    (made / "studies").symlink_to(ROOT / "studies")
    (made / "sine.toml").write_text(_SMALL, encoding="utf-8")
    os.chdir(made)
    # In this process: worker processes would take longer to start than to work.
    with freerun.Study("sine.toml", storage="sqlite:///freerun.db") as study:
        study.run(workers=0, progress=False)
    yield made
    os.chdir(before)


@pytest.mark.parametrize("page", sorted({block.page for block in RUN}))
def test_marked_blocks_run_one_after_the_other(page: str, folder: Path) -> None:
    names: dict[str, Any] = {}
    for block in RUN:
        if block.page == page:
            exec(compile(block.text, str(block), "exec"), names)


def test_there_is_something_to_check() -> None:
    assert len(PAGES) > 50
    assert len(SHELL) > 8
    assert len(blocks("toml")) > 4
    assert RUN
