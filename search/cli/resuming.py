"""Which study `freerun run` means: that of a file, new or stored before, or a stored one's name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from search.cli.options import storage_at
from search.errors import StorageError, StudyFileError, UsageError
from search.files import like_named, shown_path
from search.names import cut
from search.study.definition import StudyDefinition, differing_keys
from search.study.study_file import StudyFile, read_stored_definition, read_study_file

if TYPE_CHECKING:
    from search.storage.studies import Storage
    from search.storage.study_store import StudyStore

_NAMEABLE = "name a study file (TOML), a table or a stored study."


def study_file(study: str, fork: str | None) -> StudyFile | None:
    """The study file that was named; None where a stored study is meant.

    fork: the new name of the study in it. Raises StudyFileError, SeriesError, UsageError.
    """
    path = Path(study)
    if path.suffix != ".toml" and not path.exists():
        if len(path.parts) > 1:  # no name of a study has a folder
            raise UsageError(f"there is no file {shown_path(path)}; {_NAMEABLE}{like_named(path)}")
        if fork is not None:
            raise UsageError("--fork must go with a study file, but got the name " + repr(study))
        return None
    file = read_study_file(path)
    if fork is None:
        return file
    renamed = file.definition.model_copy(update={"name": fork})
    # Validated again, since a copy takes any name. The copy remembers what the file did not say.
    read_stored_definition(renamed.model_dump_json())
    return file._replace(definition=renamed)


def storage_of(study: str, url: str | None, *, is_new: bool) -> Storage:
    """Open the storage of a study that a file or a table defines anew, or that was named.

    Raises StorageError; for a name UsageError where there is neither a storage nor a file, and
    where it looks like that of a file and is not stored.
    """
    if is_new:
        return storage_at(url, create=True, checked_whole=True)
    missing = f"there is no file {cut(study)!r}"
    try:
        opened = storage_at(url, checked_whole=True)
    except StorageError as error:
        near = like_named(Path(study))
        raise UsageError(f"{missing}, and no stored study of that name: {error}{near}") from None
    if Path(study).suffix and study not in [summary.name for summary in opened.studies()]:
        opened.close()
        raise UsageError(
            f"{missing}, and no study of that name in {opened.shown_url}; {_NAMEABLE}"
            f"{like_named(Path(study))}"
        )
    return opened


def create_or_resume(
    opened: Storage, study: str, file: StudyFile | None
) -> tuple[StudyStore, StudyDefinition]:
    """The stored study, made from the file if it is new.

    Raises StudyFileError where the file differs from the stored study, UnknownStudyError where a
    name is not known.
    """
    from search.storage.studies import StudyExistsError

    if file is None:
        store = opened.study(study)
        return store, read_stored_definition(store.definition)
    definition, table = file
    if definition.name not in [summary.name for summary in opened.studies()]:
        try:
            return _create(opened, definition, file), definition
        except StudyExistsError:
            # Another starter was faster, or another program has a study of that name.
            if definition.name not in [summary.name for summary in opened.studies()]:
                raise
    store = opened.study(definition.name)
    stored = read_stored_definition(store.definition)
    definition = definition.continuing(stored)
    keys = differing_keys(stored, definition)
    if table is not None and store.data_hash != table.content_hash:
        keys.append("the rows of [series] path")
    if keys:
        raise StudyFileError(
            f"{study} must be as it was when study {definition.name!r} began, but these differ: "
            f"{', '.join(keys)}; undo the change, or start a new study with --fork NEW_NAME "
            "(in Python name=...)"
        )
    return store, definition


def _create(opened: Storage, definition: StudyDefinition, file: StudyFile) -> StudyStore:
    from search.dashboard.note import save_study_note

    table = file.table
    search = definition.search
    store = opened.create_study(
        definition.name,
        definition=definition.model_dump_json(),
        definition_hash=definition.identity_hash,
        data=None if table is None else table.to_bytes(),
        data_hash=None if table is None else table.content_hash,
        data_description=None if table is None else f"{table.rows} rows of {table.columns[0]}",
        attributes={
            "task": f"free runs of {definition.task.horizon_steps} steps, NMSE against the "
            f"{definition.task.score_against}",
            "resume": f"freerun run {definition.name}",
        },
        artifact_bytes_per_trial=search.artifact_kib_per_trial * 2**10,
        artifact_bytes_per_study=search.artifact_mib * 2**20,
        quota_trials={name: preset.trials for name, preset in definition.presets.items()},
    )
    save_study_note(opened, definition)
    return store


def set_budget(
    store: StudyStore,
    definition: StudyDefinition,
    trials: int | None,
    minutes: float | None,
    *,
    is_file: bool,
) -> None:
    """Options win over the file, the file over what the study was given before.

    Raises UsageError for more trials than the quotas of the study's presets allow.
    """
    before = store.budget()
    quotas = {name: quota.trials for name, quota in before.quotas.items()}
    if is_file:
        quotas |= {name: preset.trials for name, preset in definition.presets.items()}
    if quotas and trials is not None and trials > sum(quotas.values()):
        raise UsageError(
            f"--trials must be at most {sum(quotas.values())}, the sum of the quotas of the "
            f"presets, but got {trials}; raise quotas in [presets] of the study file"
        )
    if is_file or before.trials is None:
        limits = (definition.search.trials, definition.search.minutes)
    else:
        limits = (before.trials, before.minutes)
    store.set_budget(
        trials=limits[0] if trials is None else trials,
        minutes=limits[1] if minutes is None else minutes,
        quota_trials=quotas,
    )
    store.clear_stop()
