"""From what a user has (a table, a frame, a study file, a dict) to a checked definition."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from freerun.arguments import path_of
from freerun.frames import as_parquet, read_rows
from search.errors import StudyFileError, UsageError
from search.starter.names import study_name
from search.study.definition import check_study_name
from search.study.study_file import StudyFile, read_content, read_study

# What messages call a definition that is no file.
_NAMED = "the study"
_DEFAULT_NAME = "series"
# Keys of [series] without which a table may be refused, and its study not be found.
_AS_READ = {"time", "id", "time_format", "missing", "duplicates", "separator", "decimal", "period"}
_BESIDE = ("known", "past", "calendar")
_AS_READ |= {*_BESIDE}


class SeriesWarning(UserWarning):
    """What was done to a series before it was taken, such as gaps that were filled in."""


@dataclass(frozen=True)
class Asked:
    """What a user says of a study beside its source; see `Study`.

    changes: keys by the section of a study file. found_before: the periods of a table that were
    found when a study began; None to look for them.
    """

    horizon: int | None
    name: str | None
    seed: int | None
    time: str | None
    columns: Sequence[str] | None
    changes: Mapping[str, Mapping[str, Any]]
    found_before: tuple[float, ...] | None = None


def define(source: Any, asked: Asked) -> StudyFile:
    """Return the definition of a study, and its table; see `Study`."""
    if isinstance(source, Mapping):
        return _of_content(source, Path(), _NAMED, asked)
    if isinstance(source, str | os.PathLike):
        path = path_of("the path of a series", source)
        if path.suffix == ".toml":
            return _of_content(read_content(path), path.parent, str(path), asked)
        return _of_table(path, asked, study_name(path), str(path))
    rows = read_rows(source)
    name = asked.name or _DEFAULT_NAME
    try:
        check_study_name(name)  # of which the file's is made
    except ValueError as error:
        raise StudyFileError(f"{_NAMED}: name {error}") from None
    with as_parquet(rows, f"{name}.parquet") as path:
        time = asked.time or rows.time
        said = asked.changes.get("series", {})
        beside = [name for key in ("known", "past") for name in said.get(key) or ()]
        unnamed = [name for name in rows.value_columns if name not in beside]
        columns = asked.columns or (None if rows.named else unnamed)
        return _of_table(path, replace(asked, time=time, columns=columns), name, _NAMED)


def _of_content(raw: Mapping[str, Any], folder: Path, named: str, asked: Asked) -> StudyFile:
    for key, home in (("horizon", "task"), ("time", "series"), ("columns", "series")):
        if (value := getattr(asked, key)) is not None:
            own = "horizon_steps" if key == "horizon" else key
            raise UsageError(
                f"{key} must be left out where a study file or a dict says it, but got {value!r}; "
                f"change {own} in [{home}], or give {home}={{{own!r}: ...}}"
            )
    return read_study(_changed(raw, asked), folder, named)


def _changed(raw: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """The content with what the user says otherwise; a section that is no section is left as is."""
    changed = dict(raw)
    own = {"name": asked.name, "seed": asked.seed}
    changed |= {key: value for key, value in own.items() if value is not None}
    for section, keys in asked.changes.items():
        before = changed.get(section, {})
        changed[section] = {**before, **keys} if isinstance(before, Mapping) else before
    return changed


def _of_table(path: Path, asked: Asked, name: str, named: str) -> StudyFile:
    # Imports torch, which nobody should wait for who is refused.
    from search.starter.starting import start

    changes = asked.changes.get("series", {})
    said = {key: value for key, value in changes.items() if key in _AS_READ}
    if asked.time is not None:
        said["time"] = asked.time
    found = start(
        path,
        path.parent,
        name=name,
        horizon_steps=asked.horizon,
        columns=asked.columns or (),
        said=said,
        found_before=asked.found_before,
    )
    for notice in (*found.table.notices, *found.roles.notes):
        # At the caller of `Study`.
        warnings.warn(f"{named}: {notice}", SeriesWarning, stacklevel=5)
    return read_study(_changed(found.sections, asked), path.parent, named)
