"""Everything that is stored of one study and is shown in its report, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from models.candidate import Candidate
from search.analysis.trials import Trial, best_first
from search.analysis.winner import Outcome, Winner, outcomes, winner_of
from search.series import Table
from search.storage.records import Budget, Counts, WorkerStatus
from search.storage.study_store import StudyReader
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition


@dataclass(frozen=True, eq=False)
class StudyResults:
    """What a study has found so far.

    trials: of any state, by their numbers; complete: the best first. finals, tests: the best
    candidate first.
    """

    study: StudyReader
    definition: StudyDefinition
    table: Table | None
    trials: Sequence[Trial]
    complete: Sequence[Trial]
    counts: Counts
    budget: Budget
    workers: Sequence[WorkerStatus]
    finals: Sequence[Outcome]
    tests: Sequence[Outcome]
    winner: Winner | None

    @classmethod
    def read(cls, study: StudyReader) -> Self:
        """Read a study's results."""
        data, jobs = study.data(), study.final_jobs()
        trials = [Trial.of(trial) for trial in study.frozen_trials()]
        return cls(
            study=study,
            definition=read_stored_definition(study.definition),
            table=None if data is None else Table.from_bytes(data),
            trials=trials,
            complete=best_first(trials),
            counts=study.counts(),
            budget=study.budget(),
            workers=study.workers(),
            finals=outcomes(jobs, "final"),
            tests=outcomes(jobs, "test"),
            winner=winner_of(study),
        )

    def candidate(self, trial: Trial) -> Candidate:
        """What a trial trained."""
        return self.definition.full_space().resolve(trial.params)

    def trial(self, trial_id: int) -> Trial:
        """The trial of an id."""
        return next(trial for trial in self.trials if trial.trial_id == trial_id)
