"""What is stored of one study, read once: its trials, its winner, and all that its report shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from search.analysis.trials import Trial, best_first
from search.errors import UsageError
from search.records import FinalRecord, ranked
from search.series import Table
from search.storage.records import Budget, Counts, FinalJob, WorkerStatus
from search.storage.study_store import StudyReader
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition

if TYPE_CHECKING:
    # `freerun status` reads results, and need not wait for torch.
    from models.candidate import Candidate

FinalPurpose: TypeAlias = Literal["final", "test"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A final or a test that is done: whose, what it found, and whether its networks are kept."""

    job_id: int
    purpose: FinalPurpose
    trial_id: int
    has_weights: bool
    found: FinalRecord


@dataclass(frozen=True, eq=False)
class Winner:
    """The winner of the final, and its test where that is done."""

    trial: Trial
    final: Outcome
    test: Outcome | None

    @property
    def last(self) -> Outcome:
        """The test, or the final as long as the test is not done."""
        return self.test or self.final

    @property
    def tested(self) -> FinalRecord | None:
        """What the test found, None where it is not done."""
        return None if self.test is None else self.test.found


def winner_of(study: StudyReader) -> Winner | None:
    """Return the winner of the finals that are done, None without one."""
    jobs = study.final_jobs()
    final = next(iter(outcomes(jobs, "final")), None)
    if final is None:
        return None
    tests = outcomes(jobs, "test")
    test = next((test for test in tests if test.trial_id == final.trial_id), None)
    (trial,) = study.frozen_trials([final.trial_id])
    return Winner(Trial.of(trial), final, test)


def outcomes(jobs: Iterable[FinalJob], purpose: FinalPurpose) -> list[Outcome]:
    """Return the jobs of a purpose that are done, the best candidate first."""
    done = {
        job.trial_id: Outcome(
            job.job_id, purpose, job.trial_id, job.has_weights, FinalRecord.from_json(job.result)
        )
        for job in jobs
        if job.purpose == purpose and job.result is not None
    }
    order = ranked({trial_id: outcome.found for trial_id, outcome in done.items()})
    return [done[trial_id] for trial_id in order]


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

    def described(self, trial: Trial) -> str:
        """The same in words, also of a trial that another program made."""
        try:
            return self.candidate(trial).description()
        except UsageError:
            return "no candidate of this space (another program made it)"

    def trial(self, trial_id: int) -> Trial:
        return next(trial for trial in self.trials if trial.trial_id == trial_id)

    def artifact(self, trial: Trial, filename: str) -> bytes | None:
        """What a trial keeps under a name, None where it does not."""
        kept = self.study.artifacts(trial.trial_id)
        return next((file.content for file in kept if file.filename == filename), None)
