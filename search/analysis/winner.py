"""Which candidate won the final, and what the final and the test found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from search.analysis.trials import Trial
from search.records import FinalRecord, ranked
from search.storage.records import FinalJob
from search.storage.study_store import StudyReader

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
            job.job_id,
            purpose,
            job.trial_id,
            job.has_weights,
            FinalRecord.from_json(job.result),
        )
        for job in jobs
        if job.purpose == purpose and job.result is not None
    }
    order = ranked({trial_id: outcome.found for trial_id, outcome in done.items()})
    return [done[trial_id] for trial_id in order]
