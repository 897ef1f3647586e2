"""Everything that is stored of one study and is shown in its report, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from models.candidate import Candidate
from search.analysis.winner import Outcome, Winner, outcomes, winner_among
from search.series import Table
from search.storage import Budget, Counts, Replica, StudyReader, TrialRow, WorkerStatus
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition


@dataclass(frozen=True, eq=False)
class StudyResults:
    """What a study has found so far.

    trials: of any state, by their numbers; replicas: by trial id; finals, tests: the least
    geometric mean first.
    """

    study: StudyReader
    definition: StudyDefinition
    table: Table | None
    trials: Sequence[TrialRow]
    replicas: Mapping[int, Sequence[Replica]]
    counts: Counts
    budget: Budget
    workers: Sequence[WorkerStatus]
    finals: Sequence[Outcome]
    tests: Sequence[Outcome]
    winner: Winner | None

    @classmethod
    def read(cls, study: StudyReader) -> Self:
        """Read a study's results."""
        data = study.data()
        trials = study.trial_rows()
        finals, tests = outcomes(study, "final"), outcomes(study, "test")
        return cls(
            study=study,
            definition=read_stored_definition(study.definition),
            table=None if data is None else Table.from_bytes(data),
            trials=trials,
            replicas=study.replicas(),
            counts=study.counts(),
            budget=study.budget(),
            workers=study.workers(),
            finals=finals,
            tests=tests,
            winner=winner_among(finals, tests, trials),
        )

    def ranked(self, at_most: int) -> list[tuple[float, TrialRow]]:
        """The best complete trials with their scores, the least first, ties by number."""
        scored = [
            (t.value, t) for t in self.trials if t.state == "complete" and t.value is not None
        ]
        return sorted(scored, key=lambda pair: (pair[0], pair[1].number))[:at_most]

    def candidate(self, trial: TrialRow) -> Candidate:
        """What a trial trained."""
        return self.definition.full_space().resolve(trial.params)

    def trial(self, trial_id: int) -> TrialRow:
        """The trial of an id."""
        return next(trial for trial in self.trials if trial.trial_id == trial_id)
