"""What an export holds: a value and its manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.checkpoint import CheckpointError
from models.diagnostics.errors import Errors
from models.ensemble import Ensemble, EnsembleCheckpoint, load_any
from models.ensemble.ensemble_checkpoint import AnyCandidate, AnyCheckpoint
from models.network.architecture import Architecture
from search.analysis.wording import short_baseline_name
from search.contest import baseline_of
from search.errors import ExportError
from search.export.intervals import STANDARD_LEVELS, Coverage, Intervals
from search.files import read_json
from search.names import cut
from search.outputs import MANIFEST
from search.records import ChannelErrors, FinalPurpose, OwnAveraging
from search.series import Purpose, Table
from search.storage.records import ParamValue
from search.study.definition import ScoreAgainst, StudyDefinition

# Format 1 held candidates and weights as version 0.1.0 wrote them, see `models.version_1`; format 2
# knew no subject but a trial, format 3 no free runs for intervals.
FORMAT: Literal[4] = 4
# The manifest's own checksum, over all its other keys.
_CHECKSUM = "sha256"
_CHANGED = f"its checksum differs from the one in {MANIFEST}"

WeightsPurpose = Literal["search", "final", "test", "all"]


@dataclass(frozen=True)
class Claim:
    """A score, and all that is needed to reproduce it.

    purpose: which views, of the indices 0, 1, ..., one network trained on each; replica_scores:
    NMSE of each; averaging: how they make the score; scored_against: what the forecasts were
    compared with; horizon_steps: scored steps of each free run; errors: in the units of the series,
    None where an earlier version did not record them; channel_errors: see `ChannelErrors`.
    """

    purpose: Purpose
    score: float
    replica_scores: tuple[float, ...]
    scored_against: ScoreAgainst
    horizon_steps: int
    verdict: str | None
    averaging: OwnAveraging = "median"
    errors: Errors | None = None
    channel_errors: ChannelErrors = field(default_factory=dict)

    @property
    def replicas(self) -> int:
        """How many networks were trained."""
        return len(self.replica_scores)

    @property
    def mean_score(self) -> float:
        return float(np.mean(self.replica_scores))


@dataclass(frozen=True)
class Beside:
    """A subject beside the best of the baselines, itself left out, where both were scored.

    purpose: "final" on validation, or "test". own, best: NMSE of the subject and of that baseline,
    whose name is `baseline`.
    """

    purpose: FinalPurpose
    own: float
    baseline: str
    best: float

    @property
    def is_worse(self) -> bool:
        """Whether the baseline is better."""
        return self.best < self.own


@dataclass(frozen=True, eq=False)
class Export:
    """What an export folder holds.

    study: where the candidate comes from. subject: "trial", "ensemble" or "baseline" with its name;
    trial: its number, None for another subject. claim: the score that a retraining on the same
    data gives again; None where the networks were trained on all rows. test: the winner's score on
    data that no trial saw. table: the rows of the study, None for a generated series. weights: a
    checkpoint's bytes, None where no network was kept; weights_purpose: the views that they were
    trained on, "all" for all rows of the table. versions: of freerun, torch, numpy, python and the
    study's plug-ins; machine: its type; both of the process that made the claimed score, where it
    recorded them. intervals: what prediction intervals are made from; None without networks, and of
    earlier versions. beside: how it did in the final and in the test of the study, as far as it and
    baselines were in them.
    """

    study: str
    subject: str
    trial: int | None
    candidate: AnyCandidate
    params: Mapping[str, ParamValue]
    definition: StudyDefinition
    claim: Claim | None
    test: Claim | None
    table: Table | None
    weights: bytes | None
    weights_purpose: WeightsPurpose | None
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    intervals: Intervals | None = None
    beside: tuple[Beside, ...] = ()

    @property
    def study_seed(self) -> int:
        """The seed of all draws and initialisations."""
        return self.definition.seed

    @property
    def named(self) -> str:
        """What was exported, in a sentence: "trial 3", "the ensemble", "the baseline SSA"."""
        if self.trial is not None:
            return f"trial {self.trial}"
        name = baseline_of(self.subject)
        return (
            f"the {self.subject}" if name is None else f"the baseline {short_baseline_name(name)}"
        )

    @property
    def coverage(self) -> tuple[Coverage, ...]:
        """What its intervals of some levels were measured to hold."""
        if self.intervals is None:
            return ()
        return tuple(self.intervals.coverage(level) for level in STANDARD_LEVELS)

    @cached_property
    def checkpoint(self) -> AnyCheckpoint | None:
        """The networks; ExportError where they are damaged, or not the candidate's."""
        if self.weights is None:
            return None
        try:
            checkpoint = load_any(self.weights)
        except CheckpointError as error:
            raise ExportError(f"the exported weights can't be read: {error}") from error
        own, found = _architectures(self.candidate), _architectures(checkpoint)
        if [a.shared_settings() for a in found] != [a.shared_settings() for a in own]:
            raise ExportError(
                f"the exported weights must be of {own}, but are of {found}; export again"
            )
        if isinstance(self.candidate, Ensemble):
            assert isinstance(checkpoint, EnsembleCheckpoint)
            if self.candidate.weights != checkpoint.weights:
                raise ExportError(
                    "the exported weights must combine the members as the candidate does; export "
                    "again"
                )
        return checkpoint


def _architectures(of: AnyCandidate | AnyCheckpoint) -> list[Architecture]:
    """The architecture, or those of an ensemble's members."""
    if isinstance(of, Ensemble | EnsembleCheckpoint):
        return [member.architecture for member in of.members]
    return [of.architecture]


class Manifest(BaseModel):
    """What manifest.json holds.

    files: SHA-256 by file name, of all other files. intervals: what those of STANDARD_LEVELS were
    measured to hold; none where the export has no free runs for intervals. widening: of intervals,
    for the choice of the winner. beside: the subject and the best baseline; none in exports of
    earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    program: Literal["freerun"] = "freerun"
    format: Literal[1, 2, 3, 4] = FORMAT
    study: str
    subject: str = "trial"
    trial: int | None = Field(ge=0)
    claim: Claim | None
    test: Claim | None
    weights_purpose: WeightsPurpose | None
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    files: Mapping[str, str]
    intervals: tuple[Coverage, ...] = ()
    widening: float = Field(default=1.0, ge=1.0)
    beside: tuple[Beside, ...] = ()

    @classmethod
    def of(cls, export: Export, files: Mapping[str, bytes]) -> Self:
        """The manifest of an export that is written as these files."""
        return cls(
            study=export.study,
            subject=export.subject,
            trial=export.trial,
            claim=export.claim,
            test=export.test,
            weights_purpose=export.weights_purpose,
            versions=export.versions,
            machine=export.machine,
            files={name: sha256(content).hexdigest() for name, content in sorted(files.items())},
            intervals=export.coverage,
            widening=1.0 if export.intervals is None else export.intervals.widening,
            beside=export.beside,
        )

    def to_bytes(self) -> bytes:
        """The content of manifest.json."""
        plain = self.model_dump(mode="json")
        return (json.dumps(plain | {_CHECKSUM: _checksum(plain)}, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read manifest.json; ExportError where it is damaged, foreign or of another format."""
        try:
            found = read_json(content)
        except ValueError as error:
            raise ExportError(f"{MANIFEST} is damaged: {error}; export again") from None
        if not isinstance(found, dict) or found.get("program") != "freerun":
            raise ExportError(f"{MANIFEST} is not one that freerun wrote; name another folder")
        version = found.get("format")
        if type(version) is not int or not 1 <= version <= FORMAT:
            raise ExportError(
                f"{MANIFEST} has the format {version!r}, but this version of freerun reads formats "
                f"up to {FORMAT}; update freerun, or export again"
            )
        if found.pop(_CHECKSUM, None) != _checksum(found):
            raise ExportError(f"{MANIFEST} is not as it was exported: {_CHANGED}; export again")
        try:
            return cls.model_validate_json(json.dumps(found))
        except ValidationError as error:
            raise ExportError(
                f"{MANIFEST} is damaged: {first_fault(error)}; export again"
            ) from None

    def check(self, name: str, content: bytes) -> None:
        """Raise ExportError unless a file has the content that it was written with."""
        if self.files.get(name) != sha256(content).hexdigest():
            raise ExportError(f"{name} is not as it was exported: {_CHANGED}; export again")


def first_fault(error: ValidationError) -> str:
    """Return the first error that pydantic found: its key and its message.

    What a candidate's own check says stands as it is, in the words that a study file gets.
    """
    first = error.errors()[0]
    said = first.get("ctx", {}).get("error", first["msg"])
    return f"{cut('.'.join(map(str, first['loc'])))}: {cut(str(said), 500)}"


def _checksum(plain: Mapping[str, Any]) -> str:
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()
