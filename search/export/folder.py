"""An export as a folder: written all or nothing, and checked when it is read."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)

from models.closed_form.closed_form import FittedForm
from models.ensemble import Ensemble, any_from_plain, any_to_plain
from models.ensemble.ensemble_checkpoint import AnyCandidate
from models.training.trained_network import TrainedNetwork
from search.analysis.wording import errors_rule, short_baseline_name, shown_errors, shown_score
from search.errors import ExportError, SeriesError
from search.export.content import Claim, Export, Manifest, first_fault
from search.export.intervals import Intervals
from search.export.trust import networks_of
from search.files import EXPORT_PART, read_file, shown_path, template, write_folder
from search.names import cut
from search.outputs import (
    CANDIDATE,
    DATA,
    EXPORT_FILES,
    HELD_OUT,
    MANIFEST,
    ONNX,
    README,
    STUDY,
    WEIGHTS,
    check_export,
)
from search.plugins import check_plugins
from search.series import Purpose, Table, TableSeries
from search.storage.records import ParamValue
from search.study.definition import StudyDefinition
from search.study.study_file import named_plugins, problems
from search.study.task_data import season_steps

_REQUIRED = (CANDIDATE, STUDY, README)

Read = TypeVar("Read")


def _read_candidate(plain: Any) -> AnyCandidate:
    if isinstance(plain, TrainedNetwork | FittedForm | Ensemble):
        return plain
    try:
        return any_from_plain(plain)
    except (KeyError, TypeError, AttributeError) as error:  # values of other kinds than candidates'
        raise ValueError(f"is no candidate ({error!r})") from error


class _CandidateFile(BaseModel):
    """What candidate.json holds; purpose and replicas: None without a claim."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    candidate: Annotated[
        AnyCandidate, PlainValidator(_read_candidate), PlainSerializer(any_to_plain)
    ]
    params: dict[str, ParamValue]
    seed: int
    purpose: Purpose | None
    replicas: int | None


def write_export(export: Export, out: Path, *, onnx: bytes | None = None) -> None:
    """Write an export folder, all or nothing; an older export there is replaced.

    onnx: the free run of its networks as an ONNX model, None to leave it out. Raises ExportError
    where `out` is a file, or a folder that holds anything else; UsageError where it can't be
    written.
    """
    files = _files(export, out.name, onnx)
    files[MANIFEST] = Manifest.of(export, files).to_bytes()
    write_folder(out, files, check_export)


def read_export(folder: Path) -> Export:
    """Read an export folder.

    Raises ExportError where it is missing, lacks a file, is damaged, or of a newer format.
    """
    shown = shown_path(folder)
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "does not exist"
        raise ExportError(
            f"an export is a folder that `freerun export` or Study.export wrote, but {shown} "
            f"{kind}; name the folder of its {MANIFEST}"
        )
    try:
        return _read(folder)
    except ExportError as error:
        raise ExportError(f"{shown}: {error}") from error.__cause__


def _files(export: Export, folder_name: str, onnx: bytes | None) -> dict[str, bytes]:
    claim = export.claim
    described = _CandidateFile(
        candidate=export.candidate,
        params=dict(export.params),
        seed=export.study_seed,
        purpose=None if claim is None else claim.purpose,
        replicas=None if claim is None else claim.replicas,
    )
    readme = template("search.export", "README.md").render(
        export=export,
        folder=shlex.quote(folder_name),
        onnx=None if onnx is None else ONNX,
        described=export.candidate.description(),
        beside=[] if claim is None else export.beside,
        baseline_name=short_baseline_name,
        where={"final": "validation", "test": "the test"},
        shown_score=shown_score,
        shown_errors=shown_errors,
        errors_rule=errors_rule(season_steps(export.definition)),
    )
    files = {CANDIDATE: _json(described), STUDY: _json(export.definition), README: readme.encode()}
    if export.table is not None:
        files[DATA] = export.table.to_bytes()
    if export.weights is not None:
        files[WEIGHTS] = export.weights
    if export.intervals is not None:
        files[HELD_OUT] = export.intervals.to_bytes()
    if onnx is not None:
        files[ONNX] = onnx
    return files


def _json(model: BaseModel) -> bytes:
    return (model.model_dump_json(indent=2) + "\n").encode()


def _read(folder: Path) -> Export:
    manifest = Manifest.from_bytes(_content(folder, MANIFEST))
    if lacking := [name for name in _REQUIRED if name not in manifest.files]:
        raise ExportError(f"{MANIFEST} must name {lacking[0]}, but does not; export again")
    if unknown := [name for name in manifest.files if name not in EXPORT_FILES - {MANIFEST}]:
        raise ExportError(f"{MANIFEST} names {unknown[0]!r}, which is no part of an export")
    files = {name: _content(folder, name) for name in manifest.files}
    for name, content in files.items():
        manifest.check(name, content)
    # Before the candidate, whose methods may be those of a plug-in.
    check_plugins(named_plugins(files[STUDY].decode(errors="replace")))
    definition = _parsed(STUDY, files[STUDY], TypeAdapter(StudyDefinition))
    described = _parsed(CANDIDATE, files[CANDIDATE], TypeAdapter(_CandidateFile))
    try:
        table = Table.from_bytes(files[DATA]) if DATA in files else None
    except SeriesError as error:
        raise ExportError(f"{DATA} can't be read: {error}") from error
    export = Export(
        study=manifest.study,
        subject=manifest.subject,
        trial=manifest.trial,
        candidate=described.candidate,
        params=described.params,
        definition=definition,
        claim=manifest.claim,
        test=manifest.test,
        table=table,
        weights=files.get(WEIGHTS),
        weights_purpose=manifest.weights_purpose,
        versions=manifest.versions,
        machine=manifest.machine,
        intervals=Intervals.from_bytes(files[HELD_OUT]) if HELD_OUT in files else None,
        beside=manifest.beside,
    )
    if table is None and not definition.series.is_generated:
        raise ExportError(f"the study's series is a table, but there is no {DATA}; export again")
    _check_claim(export.claim, described, definition)
    _check_table(export)
    checkpoint, intervals = export.checkpoint, export.intervals  # the first raises where damaged
    _check_columns_beside(export)
    if checkpoint and intervals and intervals.channels != checkpoint.channels:
        raise ExportError(
            f"{HELD_OUT} must have the {checkpoint.channels} channels of the networks, but has "
            f"{intervals.channels}; export again"
        )
    return export


def _check_claim(
    claim: Claim | None, described: _CandidateFile, definition: StudyDefinition
) -> None:
    """Raise ExportError where the files of an export contradict each other on what was trained."""
    purpose, replicas = (None, None) if claim is None else (claim.purpose, claim.replicas)
    for key, found, wanted in (
        ("seed", described.seed, definition.seed),
        ("purpose", described.purpose, purpose),
        ("replicas", described.replicas, replicas),
    ):
        if found != wanted:
            raise ExportError(
                f"{key} of {CANDIDATE} must be {wanted!r}, as the other files say, but is "
                f"{cut(repr(found))}; export again"
            )
    if claim is not None and not (claim.replicas and claim.horizon_steps > 0):
        raise ExportError(
            f"a claim must have a replica and a scored step at least, but {MANIFEST} has "
            f"{claim.replicas} and {claim.horizon_steps}; export again"
        )


def _check_table(export: Export) -> None:
    """Raise ExportError where the table is not one of the study's columns."""
    table, series = export.table, export.definition.series
    if table is None:
        return
    if not isinstance(series, TableSeries):
        # Networks that were trained again on a file, of which nothing is claimed.
        if export.claim is not None:
            raise ExportError(
                f"the study generates its series, but there is {DATA} with a claim; export again"
            )
        return
    wanted = (series.time, series.columns, series.id, series.known or (), series.past or ())
    columns = table.columns if table.long is None else table.long.value_columns
    id_column, beside = None if table.long is None else table.long.id_column, table.covariates
    further = ((), ()) if beside is None else (beside.known, beside.past)
    found = (table.time_column, columns, id_column, *further)
    if found != wanted:
        raise ExportError(
            f"{DATA} must have the columns of the study, {cut(str(wanted))}, but has "
            f"{cut(str(found))}; export again"
        )


def _check_columns_beside(export: Export) -> None:
    """Raise ExportError where networks read other columns beside than the table has."""
    if export.checkpoint is None:
        return
    table = export.table
    known, past = (0, 0) if table is None else (len(table.known_columns), table.past_count)
    for own in networks_of(export.checkpoint):
        if own.known not in (0, known) or own.past not in (0, past):
            raise ExportError(
                f"the exported weights must read the {known} known and {past} past columns of "
                f"{DATA}, but read {own.known} and {own.past}; export again"
            )


def _content(folder: Path, name: str) -> bytes:
    remedy = "name an export folder" if name == MANIFEST else "export again"
    return read_file(folder / name, EXPORT_PART, missing=lambda: f"{name} is missing; {remedy}")


def _parsed(name: str, content: bytes, adapter: TypeAdapter[Read]) -> Read:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        found = problems(error)[0] if name == STUDY else first_fault(error)
        raise ExportError(f"{name} is damaged: {cut(found, 500)}; export again") from None
