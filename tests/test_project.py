"""What the packaging promises: names, versions, pins, floors, and the commands of the README."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import Version

import freerun
import models
import search

ROOT = Path(__file__).parents[1]
# Imported under a name of its own, pinned exactly by the package it belongs to.
PART_OF = {"pydantic-core": "pydantic", "llvmlite": "numba"}
MAY_BE_USED_BY_MODELS = {"torch", "numpy", "numba", "safetensors"}


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _pins() -> dict[str, Requirement]:
    """The lines of constraints.txt, by canonical name."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    assert len({canonicalize_name(pin.name) for pin in pins}) == len(pins), "a name is pinned twice"
    return {canonicalize_name(pin.name): pin for pin in pins}


def _declared(leave_out: Collection[str] = ()) -> list[Requirement]:
    """Every requirement in pyproject.toml but the extras' references to freerun itself.

    leave_out: extras.
    """
    project = _pyproject()["project"]
    listed = list(project["dependencies"])
    for name, extra in project["optional-dependencies"].items():
        listed += extra if name not in leave_out else []
    return [found for text in listed if (found := Requirement(text)).name != project["name"]]


def _makefile_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z]+):(?!=)", text, flags=re.MULTILINE))


def test_the_packages_come_from_one_folder() -> None:
    # Two names are common: another distribution's `models` would shadow ours.
    files = [package.__file__ for package in (freerun, search, models)]
    assert len({Path(str(file)).parents[1] for file in files}) == 1


def test_version_is_the_same_everywhere() -> None:
    version = _pyproject()["project"]["version"]
    assert search.__version__ == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in ("Dockerfile", "docker-compose.yml"):
        images = re.findall(r"\bfreerun:(\d+\.\d+\.\d+)", (ROOT / name).read_text(encoding="utf-8"))
        assert images, f"{name} names no version of the image"
        assert set(images) == {version}, name


def test_wheel_holds_the_packages_and_the_command() -> None:
    project = _pyproject()
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["freerun", "search", "models"]
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="freerun")
    assert command.value == project["project"]["scripts"]["freerun"] == "search.start:main"
    assert callable(command.load())


@pytest.mark.parametrize("package", [freerun, models, search])
def test_type_checkers_are_told_that_a_package_is_typed(package: ModuleType) -> None:
    assert package.__file__ is not None
    assert Path(package.__file__).with_name("py.typed").is_file()


def test_no_package_file_under_tests() -> None:
    # With --import-mode=importlib a package would be imported under two names.
    assert [str(path) for path in (ROOT / "tests").rglob("__init__.py")] == []


def test_every_declared_requirement_is_pinned_inside_its_range() -> None:
    pins = _pins()
    for requirement in _declared():
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is not in constraints.txt"
        (specifier,) = pin.specifier
        assert requirement.specifier.contains(specifier.version), f"{pin} is not in {requirement}"


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "lowest.py")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    oldest = {line.name: line.specifier for line in map(Requirement, printed.splitlines())}
    runtime = [Requirement(text) for text in _pyproject()["project"]["dependencies"]]
    assert {requirement.name for requirement in runtime} <= oldest.keys()
    for requirement in _declared():
        for version in (pin.version for pin in oldest.get(requirement.name, ())):
            assert f">={version}" in map(str, requirement.specifier), requirement


def test_constraints_are_exact_and_hold_on_any_machine() -> None:
    for pin in _pins().values():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        assert pin.url is None, f"{pin} names a place"
        assert Version(specifier.version).local is None, f"{pin} names one build, such as +cpu"


def test_constraints_cover_what_the_requirements_need() -> None:
    pins = _pins()
    # Installed by `make site` alone.
    docs = _pyproject()["project"]["optional-dependencies"]["docs"]
    site = {canonicalize_name(Requirement(text).name) for text in docs}
    waiting = [
        # The tools for tests leave these out, whose needs only an installation tells.
        (canonicalize_name(item.name), frozenset(item.extras or {""}))
        for item in _declared(leave_out=("onnx", "sktime"))
    ]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        assert name in pins, f"{name} is not in constraints.txt"
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            assert name in site, f"{name} is not installed"
            continue
        for text in needs:
            need = Requirement(text)
            # torch marks what its CUDA builds need by platform, and pins that by itself.
            if need.marker and (
                name == "torch" or not any(need.marker.evaluate({"extra": e}) for e in extras)
            ):
                continue
            waiting.append((canonicalize_name(need.name), frozenset(need.extras or {""})))


def _imported_distributions(folder: str) -> set[str]:
    """The distributions that the Python files of a folder import, but our own."""
    modules: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.partition(".")[0])
    providers = importlib.metadata.packages_distributions()
    outside = modules - set(sys.stdlib_module_names) - {"freerun", "search", "models"}
    names = {canonicalize_name(name) for module in outside for name in providers.get(module, ())}
    return {PART_OF.get(name, name) for name in names}


def test_every_import_is_declared() -> None:
    project = _pyproject()["project"]
    runtime = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    extras = project["optional-dependencies"]
    testing = {canonicalize_name(Requirement(text).name) for text in extras["test"]}
    # Imported where they are needed alone, and their want is said there.
    for extra in ("ray", "excel", "onnx", "pandas", "zstd"):
        runtime |= {canonicalize_name(Requirement(text).name) for text in extras[extra]}
    assert _imported_distributions("search") <= runtime
    assert _imported_distributions("models") <= MAY_BE_USED_BY_MODELS
    # Tests of what these read are left out where they are not installed.
    testing |= {canonicalize_name(name) for name in ("sktime", "scikit-learn")}
    assert _imported_distributions("tests") <= runtime | testing


def _make_commands(path: str) -> set[str]:
    """Targets that a page names as code, in a block or inside a sentence, or that a script runs."""
    text = (ROOT / path).read_text(encoding="utf-8")
    named: set[str] = set()
    if path.endswith(".md"):
        named.update(re.findall(r"`make ([a-z]+)", text))
        text = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    return named | set(re.findall(r"^\s*make ([a-z]+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_every_make_command_that_is_named_exists(path: str) -> None:
    named = _make_commands(path)
    assert "test" in named
    assert named <= _makefile_targets()


def test_readme_names_the_two_commands_and_ci_runs_its_tests_by_them() -> None:
    assert {"study", "test"} <= _make_commands("README.md")
    assert {"lint", "test"} <= _make_commands(".ci/run")


def test_a_public_host_tests_every_python_that_is_claimed_and_both_ends_of_the_ranges() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    pythons = jobs["python"]["strategy"]["matrix"]["python"]
    assert ".ci/run" in [step.get("run") for step in jobs["python"]["steps"]]
    prefix = "Programming Language :: Python :: 3."
    classifiers = [c for c in _pyproject()["project"]["classifiers"] if c.startswith(prefix)]
    assert {f"3.{claimed.removeprefix(prefix)}" for claimed in classifiers} <= set(pythons)
    assert Version(pythons[0]) in Specifier(_pyproject()["project"]["requires-python"])
    versions = {case["versions"] for case in jobs["versions"]["strategy"]["matrix"]["include"]}
    assert versions == {"oldest", "newest"} <= _makefile_targets()


def test_every_make_target_is_phony_and_documented() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    documented = set(re.findall(r"^([a-z]+):.*## \S", text, flags=re.MULTILINE))
    assert set(phony.split()) == documented == _makefile_targets()


def test_decisions_index_lists_every_page() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = {path.name for path in folder.glob("[0-9]*.md")}
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert pages == set(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", index))
