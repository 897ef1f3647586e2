"""From a study file to a checked definition, and to the table that it names.

Each problem is in words: key, rule, value and remedy, one line a problem.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticUndefined

from models.methods import SettingError, either, nearest, shown
from models.methods.series_properties import SeriesProperties
from search.errors import SeriesError, StudyFileError
from search.files import STUDY_FILE, read_file, read_json, shown_path
from search.plugins import check_plugins
from search.series import Table, TableSeries, known_sources
from search.study.definition import RECORDED, Search, StudyDefinition, Task
from search.study.task_data import TaskData

_SECTIONS = ("series", "task", "presets", "search", "space")

_TABLES = (".csv", ".tsv", ".txt", ".dat", ".parquet", ".xlsx", ".xls", ".ods")

# What a value must be, by the type of pydantic's error.
_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text in quotes",
    "bool_type": "true or false, without quotes",
    "tuple_type": "a list",
    "model_type": "a section of keys",
    "model_attributes_type": "a section of keys",
    "finite_number": "a finite number",
    "string_too_short": "text of at least one character",
}

# The same for bounds: the words, and the name of the bound in the error's context.
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


class StudyFile(NamedTuple):
    """What a study file holds: the definition, and the table where its series is one."""

    definition: StudyDefinition
    table: Table | None


def read_study_file(path: Path) -> StudyFile:
    """Read and check a study file (TOML) and the table it names.

    path: of the file; the path of a table is relative to its folder.
    Raises StudyFileError for what is wrong with the file, one line a problem, and for a table that
    is too short for the task; SeriesError for a table that can't be read or kept with the study.
    """
    return read_study(read_content(path), path.parent, str(path))


def read_content(path: Path) -> dict[str, Any]:
    """Return what a study file says, not yet checked. Raises StudyFileError where it is no TOML."""
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(_no_toml(path, str(error))) from error
    except ValueError as error:  # int() refuses thousands of digits
        raise StudyFileError(f"{path} holds a number that is too long; shorten it") from error
    except RecursionError as error:
        raise StudyFileError(f"{path} nests lists or tables too deep; flatten them") from error


def read_study(raw: Mapping[str, Any], folder: Path, named: str) -> StudyFile:
    """Check the content of a study file, and read the table that it names.

    folder: where the path of a table starts. named: what messages call the file. Raises what
    `read_study_file` raises for a file with this content.
    """
    for key in RECORDED:
        if key in raw:
            raise StudyFileError(
                f"{named}: {key} must not be set: freerun records it itself; remove the key"
            )
    try:
        definition = StudyDefinition.model_validate(raw)
    except ValidationError as error:
        raise StudyFileError("\n".join(f"{named}: {line}" for line in problems(error))) from error
    table: Table | None = None
    try:
        if isinstance(definition.series, TableSeries):
            table = definition.series.read(folder)
            table.to_bytes()  # refuses what would be too large to keep with the study
        # Refuses what is too short for the task.
        properties = TaskData(definition, table).properties()
        # Once more, with the defaults that follow the series.
        definition = _following(raw, properties, table)
    except SeriesError as error:
        raise SeriesError(f"{named}: [series] {error}") from error
    except StudyFileError as error:
        raise StudyFileError(f"{named}: {error}") from error
    except ValidationError as error:  # of what the series leaves room for
        raise StudyFileError("\n".join(f"{named}: {line}" for line in problems(error))) from error
    return StudyFile(definition, table)


def _following(
    raw: Mapping[str, Any], properties: SeriesProperties, table: Table | None
) -> StudyDefinition:
    """The definition of a file's content with the defaults that follow a series.

    Those of a series without noise are left aside where the table is too short for them. Raises
    StudyFileError where others do not fit either.
    """
    try:
        definition = StudyDefinition.of_file(raw, properties)
        if definition.task.validation == "blocks":
            TaskData(definition, table)  # where blocks lie depends on what candidates read
    except (ValidationError, StudyFileError):
        if not properties.is_noise_free:
            raise
        return _following(raw, replace(properties, is_noise_free=False), table)
    return definition


def read_stored_definition(text: str) -> StudyDefinition:
    """Return the definition that a study's storage holds as JSON.

    Raises StudyFileError where this version of freerun can't read it, and UsageError where a
    plug-in that it needs is not installed.
    """
    check_plugins(named_plugins(text))
    try:
        return StudyDefinition.model_validate_json(text)
    except ValidationError as error:
        raise StudyFileError(
            "the stored definition of the study can't be read by this version of freerun: "
            f"{'; '.join(problems(error))}; use the version that made the study, or start a new "
            "one from its file"
        ) from error


def named_plugins(text: str) -> Mapping[str, str]:
    """Return the plug-ins that a stored definition (JSON) names, none where it is damaged."""
    try:
        plugins = read_json(text)["plugins"]
        return {str(name): str(version) for name, version in plugins.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # its problems are found when all of it is read


def _no_toml(path: Path, error: str) -> str:
    if path.suffix.lower() in _TABLES:
        return _no_study_file(path)
    return f"{path} is not TOML: {error}; correct it there"


def _no_study_file(path: Path) -> str:
    return (
        f"{path} is a table, and no study file; name a study file (TOML) that has its path in "
        "[series], which `freerun init` writes"
    )


def _text(path: Path) -> str:
    def missing() -> str:
        files = [file.name for file in path.parent.glob("*.toml")]
        hint = nearest(path.name, files) or " Name a study file, for example studies/sine.toml"
        return f"there is no study file {shown_path(path)}.{hint}"

    content = read_file(path, STUDY_FILE, missing=missing)
    try:
        # As Python reads text: a line may end as on Windows.
        return content.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        if any(suffix.lower() in _TABLES for suffix in path.suffixes):
            raise StudyFileError(_no_study_file(path)) from error
        raise StudyFileError(
            f"{shown_path(path)} must be UTF-8 text ({error.reason}); save it so"
        ) from error


def problems(error: ValidationError) -> list[str]:
    """Return one line for each problem: "[search] trials must be at least 1, but got 0; ..."."""
    details = error.errors(include_url=False)
    misspelt = [_meant(detail) for detail in details if detail["type"] == "extra_forbidden"]
    return [
        _line(detail)
        for detail in details
        # These two follow from another problem, which has its own line.
        if detail["type"] != "default_factory_not_called"
        and not (detail["type"] == "missing" and _place(detail)[0] in misspelt)
    ]


def _place(detail: ErrorDetails) -> tuple[list[str], type[BaseModel]]:
    """The keys that lead to the problem, and the section that has the last of them."""
    path = [part for part in detail["loc"] if isinstance(part, str)]
    if path[:1] == ["series"] and len(path) > 2:
        return ["series", *path[2:]], known_sources()[path[1]]  # the source is no key of the file
    if path[:1] == ["series"] or len(path) < 2:
        return path[:1], StudyDefinition
    return path, Task if path[0] == "task" else Search


def _meant(detail: ErrorDetails) -> list[str]:
    """The keys that lead to what an unknown key was probably meant to be."""
    (*above, key), section = _place(detail)
    return [*above, *get_close_matches(key, list(section.model_fields), n=1)]


def _line(detail: ErrorDetails) -> str:
    path, section = _place(detail)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, SettingError):
        return f"{_key(path + cause.key.split('.'))} {cause.rule}"
    if not path:  # a stored definition that is no JSON at all
        return detail["msg"]
    if isinstance(cause, ValueError):
        return f"{_key(path)} {cause}"
    if detail["type"].startswith("union_tag"):
        return _source_line(detail)
    return f"{_key(path)} {_rule(detail, path, section)}"


def _key(path: Sequence[str]) -> str:
    if len(path) == 1 and path[0] not in _SECTIONS:
        return path[0]
    *section, key = path
    return f"[{'.'.join(section)}] {key}" if section else f"[{key}]"


def _rule(detail: ErrorDetails, path: Sequence[str], section: type[BaseModel]) -> str:
    kind, context, key = detail["type"], detail.get("ctx", {}), path[-1]
    if kind == "extra_forbidden":
        return _unknown_key(path, section)
    remedy = _example(section, key)
    if kind == "missing":
        return f"is missing; {remedy}"
    if kind in _KINDS:
        must = _KINDS[kind]
    elif kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        must = f"{words} {context[name]:.12g}"
    elif kind == "literal_error":
        must = context["expected"].replace("'", '"')
    else:
        return f"is wrong ({detail['msg']}), with {shown(detail['input'])}; {remedy}"
    which = f"entry {detail['loc'][-1] + 1} " if isinstance(detail["loc"][-1], int) else ""
    return f"{which}must be {must}, but got {shown(detail['input'])}; {remedy}"


def _unknown_key(path: Sequence[str], section: type[BaseModel]) -> str:
    key = path[-1]
    if hint := nearest(key, _keys(section)):
        return f"is no key that freerun knows.{hint}"
    if key in _keys(StudyDefinition):
        return "does not belong there; move it above the first section"
    sources = [name for name, own in known_sources().items() if key in own.model_fields]
    is_series = section in known_sources().values()
    homes: list[tuple[str, type[BaseModel]]] = [("task", Task), ("search", Search)]
    for name, home in homes:
        if home is not section and key in home.model_fields:
            return f"does not belong there; move it below [{name}]"
    if sources and is_series:
        own = next(name for name, model in known_sources().items() if model is section)
        return (
            f"is a key of source = {either(sources)}, but source is {shown(own)}; leave it out, or "
            "change source"
        )
    if sources:
        return "does not belong there; move it below [series]"
    return f"is no key that freerun knows; there may be {', '.join(_keys(section))}"


def _source_line(detail: ErrorDetails) -> str:
    if detail["type"] == "union_tag_not_found":
        return f"[series] source is missing; write source = {either(known_sources())}"
    source = detail["input"]["source"]
    hint = nearest(str(source), known_sources())
    return f"[series] source must be {either(known_sources())}, but got {shown(source)}.{hint}"


def _example(section: type[BaseModel], key: str) -> str:
    """The remedy "write for example trials = 200", from the section's examples or defaults.

    What freerun records in an export, and nobody writes, has neither.
    """
    if key in _SECTIONS:
        return f"write [{key}] above its keys"
    field = section.model_fields.get(key)
    value = None if field is None else field.examples[0] if field.examples else field.default
    if value is None or value is PydanticUndefined:
        return "correct it, or take the file from a copy"
    return f"write for example {key} = {shown(value)}"


def _keys(section: type[BaseModel]) -> list[str]:
    return [key for key in section.model_fields if key not in RECORDED]
