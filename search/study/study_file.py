"""From a study file to a checked definition, and to the table that it names."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from models.methods.values import nearest
from search.errors import SeriesError, StudyFileError
from search.plugins import check_plugins
from search.series import Table, TableSeries
from search.study.definition import StudyDefinition
from search.study.problems import complaints
from search.study.task_data import TaskData


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
    try:
        raw = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(f"{path} is not TOML: {error}; correct it there") from error
    except ValueError as error:  # int() refuses thousands of digits
        raise StudyFileError(f"{path} holds a number that is too long; shorten it") from error
    try:
        definition = StudyDefinition.model_validate(raw)
    except ValidationError as error:
        raise StudyFileError("\n".join(f"{path}: {line}" for line in complaints(error))) from error
    if not isinstance(definition.series, TableSeries):
        return StudyFile(definition, None)
    try:
        table = definition.series.read(path.parent)
        table.to_bytes()  # refuses what would be too large to keep with the study
        TaskData(definition, table)  # refuses what is too short for the task
    except SeriesError as error:
        raise SeriesError(f"{path}: [series] {error}") from error
    except StudyFileError as error:
        raise StudyFileError(f"{path}: {error}") from error
    return StudyFile(definition, table)


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
            f"{'; '.join(complaints(error))}; use the version that made the study, or start a new "
            "one from its file"
        ) from error


def named_plugins(text: str) -> Mapping[str, str]:
    """Return the plug-ins that a stored definition (JSON) names, none where it is damaged."""
    try:
        plugins = json.loads(text)["plugins"]
        return {str(name): str(version) for name, version in plugins.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # what is wrong with it is told when all of it is read


def _text(path: Path) -> str:
    if path.is_dir():
        raise StudyFileError(f"{path} is a folder; name the study file in it")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        files = [file.name for file in path.parent.glob("*.toml")]
        hint = nearest(path.name, files) or " Name a study file, for example studies/sine.toml"
        raise StudyFileError(f"there is no study file {path}.{hint}") from None
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{path} must be UTF-8 text ({error.reason}); save it so") from error
    except OSError as error:
        raise StudyFileError(f"{path} can't be read: {error.strerror or error}") from error
