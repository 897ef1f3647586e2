"""`freerun methods`: what can be searched, in words and as a JSON schema."""

import tomllib
from pathlib import Path

import jsonschema
import pytest

from models.methods import methods
from search.series import known_sources
from tests.search.cli.conftest import STUDIES, freerun, refused

STUDY_FILES = sorted(STUDIES.glob("*.toml"))


def test_every_method_and_source_is_listed_with_what_it_is(tmp_path: Path) -> None:
    lines = freerun(tmp_path, "methods").out.splitlines()
    shown = {words[0]: words[1:] for words in map(str.split, lines)}
    searchable = [method.name for method in methods() if method.is_searchable]
    for name in [*searchable, *known_sources()]:
        assert shown[name], name


def test_a_method_is_shown_with_its_settings_and_its_source(tmp_path: Path) -> None:
    shown = freerun(tmp_path, "methods", "lru").out
    assert "arXiv 2303.06349" in shown
    for setting in ("modes", "damping", "initial_phases"):
        assert f"\n  {setting} " in shown


def test_a_source_of_series_is_shown_with_its_keys(tmp_path: Path) -> None:
    shown = " ".join(freerun(tmp_path, "methods", "sine").out.split())
    assert (
        "angular_frequency Radians per step. Must be at least 1e-06 and below 3.14159. "
        "Default: 0.01." in shown
    )


@pytest.mark.parametrize("name", list(known_sources()))
def test_every_key_of_a_source_has_a_description(name: str) -> None:
    fields = known_sources()[name].model_fields
    assert all(field.description for key, field in fields.items() if key != "source")


@pytest.mark.parametrize(("name", "key"), [("lru", "modes"), ("sine", "phase")])
def test_the_schema_of_one_name_has_its_settings_alone(tmp_path: Path, name: str, key: str) -> None:
    found = freerun(tmp_path, "methods", name, "--json").json
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["properties"][key]["description"]
    assert "task" not in found["properties"]


def test_an_unknown_name_is_refused_with_a_nearby_one(tmp_path: Path) -> None:
    refused(tmp_path, ["methods", "grru"], "no method 'grru'. Did you mean 'gru'?")


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> jsonschema.Draft202012Validator:
    found = freerun(tmp_path_factory.mktemp("schema"), "methods", "--json").json
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: path.stem)
def test_the_schema_accepts_every_study_file(
    schema: jsonschema.Draft202012Validator, path: Path
) -> None:
    schema.validate(tomllib.loads(path.read_text()))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("space", "cel", ["gru"]),
        ("space", "cell", "gruu"),
        ("space", "hidden_units", 0),
        ("space", "hidden_units", {"low": 8}),
        ("series", "source", "cosine"),
        ("presets", "lstm", 0),
        ("task", "horizon_steps", "long"),
    ],
)
def test_the_schema_refuses_what_check_refuses(
    schema: jsonschema.Draft202012Validator, section: str, key: str, value: object
) -> None:
    study = tomllib.loads((STUDIES / "smoke.toml").read_text())
    study.setdefault(section, {})[key] = value
    assert not schema.is_valid(study)
