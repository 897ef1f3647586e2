"""What an export holds, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from models.candidate import Candidate
from models.checkpoint import Checkpoint, CheckpointError, load
from search.errors import ExportError
from search.series import Purpose, Table
from search.storage import ParamValue
from search.study.definition import ScoreAgainst, StudyDefinition

WeightsPurpose = Literal["search", "final", "test", "all"]


@dataclass(frozen=True)
class Claim:
    """A score, and what is needed to obtain it again.

    purpose: which views, of the indices 0, 1, ..., one network trained on each; replica_scores:
    NMSE of each; score: their median; scored_against: what the forecasts were compared with;
    horizon_steps: scored steps of each free run.
    """

    purpose: Purpose
    score: float
    replica_scores: tuple[float, ...]
    scored_against: ScoreAgainst
    horizon_steps: int
    verdict: str | None

    @property
    def replicas(self) -> int:
        """How many networks were trained."""
        return len(self.replica_scores)

    @property
    def mean_score(self) -> float:
        """The mean of the replicas' scores."""
        return float(np.mean(self.replica_scores))


@dataclass(frozen=True, eq=False)
class Export:
    """What an export folder holds.

    study, trial: where the candidate comes from. claim: the score that a retraining on the same
    data gives again; None where the networks were trained on all rows. test: the winner's score on
    data that no trial saw. table: the rows of the study, None for a generated series. weights: a
    checkpoint's bytes, None where no network was kept; weights_purpose: the views that they were
    trained on, "all" for all rows of the table. versions: of freerun, torch, numpy and python;
    machine: its type; both of the process that made the claimed score, where it recorded them.
    """

    study: str
    trial: int
    candidate: Candidate
    params: Mapping[str, ParamValue]
    definition: StudyDefinition
    claim: Claim | None
    test: Claim | None
    table: Table | None
    weights: bytes | None
    weights_purpose: WeightsPurpose | None
    versions: Mapping[str, str]
    machine: Mapping[str, str]

    @property
    def study_seed(self) -> int:
        """The seed of all draws and initialisations."""
        return self.definition.seed

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        """The networks; ExportError where they are damaged, or not the candidate's."""
        if self.weights is None:
            return None
        try:
            checkpoint = load(self.weights)
        except CheckpointError as error:
            raise ExportError(f"the exported weights can't be read: {error}") from error
        own, found = self.candidate.architecture, checkpoint.architecture
        if found.shared_settings() != own.shared_settings():
            raise ExportError(
                f"the exported weights must be of {own}, but are of {found}; export again"
            )
        return checkpoint
