"""One study of a storage, as it is read: its definition, progress, trials and results."""

from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial
from sqlalchemy import Connection, Row, select

from search.errors import UnknownTrialError
from search.storage import artifacts, budgets, finals, leases, reading, workers
from search.storage.database import Database
from search.storage.frozen_trials import load_trials
from search.storage.records import (
    Artifact,
    Budget,
    Counts,
    FinalJob,
    JobState,
    OpenTrials,
    Replica,
    ScoredTrial,
    TrialRow,
    WorkerStatus,
)
from search.storage.scored_trials import Seen, load_scored, since
from search.storage.tables import STUDIES


class StudyReader:
    """What can be read of a study; `StudyStore` adds what changes it.

    name, definition, definition_hash, data_hash, data_description: as at creation;
    created: seconds since the epoch; study_id: Optuna's; lease_seconds: as the storage was opened.
    """

    def __init__(
        self, database: Database, lease_seconds: float, row: Row[*tuple[Any, ...]]
    ) -> None:
        self._database = database
        self.lease_seconds = lease_seconds
        self.study_id: int = row.study_id
        self.name: str = row.name
        self.created: float = row.created
        self.definition: str = row.definition
        self.definition_hash: str = row.definition_hash
        self.data_hash: str | None = row.data_hash
        self.data_description: str | None = row.data_description
        self._seen = Seen()

    def data(self) -> bytes | None:
        """Return the data that was kept at creation."""
        wanted = select(STUDIES.c.data).where(STUDIES.c.study_id == self.study_id)
        content: bytes | None = self._database.read(lambda c: c.execute(wanted).scalar_one())
        return content

    def counts(self) -> Counts:
        """Return how many trials are in each state."""
        return self._database.read(lambda c: reading.counts(c, self.study_id))

    def budget(self) -> Budget:
        """Return the limits, and what is spent by now."""
        return self._database.read(lambda c: budgets.read(c, self.study_id, self.lease_seconds))

    def open_trials(self) -> OpenTrials:
        """Return whether trials are held, and whether any wait that were given back."""
        return self._database.read(lambda c: leases.open_trials(c, self.study_id))

    def held_trials(self) -> frozenset[int]:
        """Return the ids of the trials that workers hold. It is cheap; and as long as they stay the
        same, none is given back."""
        return self._database.read(lambda c: leases.held_by_any(c, self.study_id))

    def workers(self) -> list[WorkerStatus]:
        """Return all workers that ever registered, with what they hold."""
        return self._database.read(lambda c: workers.statuses(c, self.study_id, self.lease_seconds))

    def scored_trials(self) -> list[ScoredTrial]:
        """Return what the trials scored that finished since this object was last asked; every
        finished trial at first."""
        trials, self._seen = self._database.read(
            lambda c: load_scored(c, self.study_id, self._seen)
        )
        return trials

    def frozen_trials(
        self, trial_ids: Sequence[int] | None = None, *, attributes: bool = True
    ) -> list[FrozenTrial]:
        """Return trials as Optuna would, by the order of their numbers; all without ids. They share
        their distributions: treat them as constant. attributes: whether to read these too."""
        return self._database.read(
            lambda c: load_trials(c, self.study_id, trial_ids, attributes=attributes)
        )

    def news(self) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Return the trials that finished since this object was last asked (for these, or for
        what trials scored), and beside them all that are unfinished still, as `frozen_trials`.

        One that ends between the two looks comes finished among the latter, and once more in the
        next news.
        """

        def read(connection: Connection) -> tuple[list[FrozenTrial], list[FrozenTrial], Seen]:
            finished, seen = since(connection, self.study_id, self._seen)
            open_ids = sorted(seen.unfinished)
            return (
                load_trials(connection, self.study_id, finished),
                load_trials(connection, self.study_id, open_ids),
                seen,
            )

        finished, unfinished, self._seen = self._database.read(read)
        return finished, unfinished

    def best_trial(self) -> FrozenTrial | None:
        """Return the complete trial of the least value, the first of several; None without one."""
        return self._database.read(lambda c: reading.best_trial(c, self.study_id))

    def trial_rows(self) -> list[TrialRow]:
        """Return all trials in the order of their numbers."""
        return self._database.read(lambda c: reading.trial_rows(c, self.study_id))

    def trial(self, number: int) -> TrialRow:
        """Return the trial of a number; raises UnknownTrialError."""
        found = self._database.read(lambda c: reading.trial_rows(c, self.study_id, number))
        if not found:
            total = self.counts().total
            range_of = f"numbers go from 0 to {total - 1}" if total else "it has no trial yet"
            raise UnknownTrialError(f"study {self.name!r} has no trial {number}: {range_of}.")
        return found[0]

    def curves(self) -> dict[int, bytes]:
        """Return the stored curves by trial id."""
        return self._database.read(lambda c: reading.curves(c, self.study_id))

    def replicas(self) -> dict[int, list[Replica]]:
        """Return the replicas by trial id, in the order of their indices."""
        return self._database.read(lambda c: reading.replicas(c, self.study_id))

    def artifacts(self, trial_id: int) -> list[Artifact]:
        """Return the stored files of a trial, by the order of their names."""
        return self._database.read(lambda c: artifacts.read(c, trial_id))

    def final_jobs(self) -> list[FinalJob]:
        """Return all final jobs in the order in which they were planned."""
        return self._database.read(lambda c: finals.jobs(c, self.study_id))

    def final_states(self) -> dict[int, JobState]:
        """Return the state of each final job by its id, which is cheap."""
        return self._database.read(lambda c: finals.states(c, self.study_id))

    def final_weights(self, job_id: int) -> bytes | None:
        """Return the weights that a final job left, if any."""
        return self._database.read(lambda c: finals.weights(c, job_id))
