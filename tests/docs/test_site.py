"""The documentation site: every page is reached, the reference is complete, and it builds."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from models.methods import methods
from search.cli import app
from search.study.schema import study_schema
from website.build import pages, stage
from website.navigation import Entry, navigation

GROUP: Any = get_command(app)


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """The pages of the site."""
    return pages()


def test_every_page_is_in_the_navigation_once(found: dict[str, str]) -> None:
    reached = [page for entry in navigation(found) for page in entry.pages()]
    assert sorted(reached) == sorted(found)


def test_a_page_that_no_section_names_ends_the_guide(found: dict[str, str]) -> None:
    guide = navigation({**found, "docs/new.md": "# A new page\n"})[1]
    assert Entry("A new page", "docs/new.md") in guide.content


def test_a_named_page_that_is_not_there_is_refused(found: dict[str, str]) -> None:
    without = {path: text for path, text in found.items() if path != "docs/exports.md"}
    with pytest.raises(KeyError, match=r"docs/exports\.md"):
        navigation(without)


def test_the_reference_has_every_command_with_its_options(found: dict[str, str]) -> None:
    page = found["reference/commands.md"]
    for name, command in GROUP.commands.items():
        _, _, section = page.partition(f"\n## freerun {name}\n")
        section = section.partition("\n## ")[0]
        for parameter in command.params:
            if not parameter.hidden:
                options = [option for option in parameter.opts if option.startswith("-")]
                assert all(option in section for option in options), name
        assert re.search(r"```sh\n(\w+=\S+ )?freerun ", section), f"{name} has no example"
    assert not re.search(r"^\|[ |]*\|\n\|---", page, re.MULTILINE), "a header without words"


def test_the_reference_has_every_key_of_a_study_file(found: dict[str, str]) -> None:
    page = found["reference/study-file.md"]
    sections = study_schema()["properties"]
    for section in ("task", "search", "presets"):
        for key in sections[section]["properties"]:
            assert f"| `{key}` |" in page, f"[{section}] {key}"
    for source in sections["series"]["oneOf"]:
        assert all(f"`{key}`" in page for key in source["properties"] if key != "source")
    # Told by the section's docstring, key by key.
    assert "| `test_steps` | whole number, at least 1, at most 1000000 |  | the test span" in page


def test_the_reference_has_every_method_with_its_settings(found: dict[str, str]) -> None:
    page = found["reference/methods.md"]
    for method in methods():
        if method.is_searchable:
            assert f"### `{method.name}`: " in page
            assert all(f"| `{own.name}` |" in page for own in method.settings), method.name


def test_the_reference_of_python_is_there_where_the_package_is(found: dict[str, str]) -> None:
    assert ("reference/python.md" in found) == (find_spec("freerun") is not None)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    for needed in ("zensical", "mkdocstrings"):
        pytest.importorskip(needed, reason="no builder of the site: run make site")
    configuration = stage(tmp_path / "site")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", str(configuration)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    html = configuration.parent / "html"
    style = re.search(r'href="([^"]*tables\.css)"', (html / "index.html").read_text("utf-8"))
    assert style is not None
    assert (html / style[1]).exists()
    assert "A free run of 1000 steps" in (html / "index.html").read_text(encoding="utf-8")
    methods_html = (html / "reference" / "methods.html").read_text(encoding="utf-8")
    assert "Hochreiter" in methods_html
