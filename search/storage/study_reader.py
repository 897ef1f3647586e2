"""Everything that can be read of one study: definition, progress, trials and results."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Row, func, select

from search.errors import UnknownTrialError
from search.storage import artifacts, budgets, final_jobs, leases, workers
from search.storage.database import Database
from search.storage.finished_trials import Seen, ids_since, scores_since
from search.storage.optuna_tables import STATE_NAMES, VALUES, is_finite_value, load_trials
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
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
from search.storage.tables import CURVES, REPLICAS, STUDIES, TRIALS


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
        """Return the data that was stored at creation."""
        wanted = select(STUDIES.c.data).where(STUDIES.c.study_id == self.study_id)
        content: bytes | None = self._database.read(lambda c: c.execute(wanted).scalar_one())
        return content

    def counts(self) -> Counts:
        """Return how many trials are in each state."""
        return self._database.read(lambda c: count_trials(c, self.study_id)[self.study_id])

    def budget(self) -> Budget:
        """Return the limits and what is spent of them by now."""
        return self._database.read(lambda c: budgets.read(c, self.study_id, self.lease_seconds))

    def open_trials(self) -> OpenTrials:
        """Return whether workers hold trials, and whether trials wait to be run again."""
        return self._database.read(lambda c: leases.open_trials(c, self.study_id))

    def held_trials(self) -> frozenset[int]:
        """Return the ids of the trials that workers hold, by one cheap statement.

        As long as these stay the same, no trial is given back.
        """
        return self._database.read(lambda c: leases.held_by_any(c, self.study_id))

    def workers(self) -> list[WorkerStatus]:
        """Return all workers that ever registered, with what they hold."""
        return self._database.read(lambda c: workers.statuses(c, self.study_id, self.lease_seconds))

    def scored_trials(self) -> list[ScoredTrial]:
        """Return the trials that finished since the last call, all finished ones at first."""
        trials, self._seen = self._database.read(
            lambda c: scores_since(c, self.study_id, self._seen)
        )
        return trials

    def frozen_trials(
        self, trial_ids: Sequence[int] | None = None, *, attributes: bool = True
    ) -> list[FrozenTrial]:
        """Return trials as Optuna would, in the order of their numbers; all of them without ids.

        The trials share their distributions, which must not be changed.
        attributes: whether to read user and system attributes.
        """
        return self._database.read(
            lambda c: load_trials(c, self.study_id, trial_ids, attributes=attributes)
        )

    def news(self) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Return the trials that finished since the last call of this or of `scored_trials`, and
        all unfinished trials, as `frozen_trials` does.

        A trial that ends between the two reads is finished among the latter, and is returned
        once more by the next call.
        """

        def read(connection: Connection) -> tuple[list[FrozenTrial], list[FrozenTrial], Seen]:
            finished, seen = ids_since(connection, self.study_id, self._seen)
            open_ids = sorted(seen.unfinished)
            return (
                load_trials(connection, self.study_id, finished),
                load_trials(connection, self.study_id, open_ids),
                seen,
            )

        finished, unfinished, self._seen = self._database.read(read)
        return finished, unfinished

    def best_trial(self) -> FrozenTrial | None:
        """Return the first complete trial of the least value, None where none is complete."""
        best = (
            select(OPTUNA_TRIALS.c.trial_id)
            .join(VALUES, VALUES.c.trial_id == OPTUNA_TRIALS.c.trial_id)
            .where(
                OPTUNA_TRIALS.c.study_id == self.study_id,
                OPTUNA_TRIALS.c.state == TrialState.COMPLETE,
                is_finite_value(),
            )
            .order_by(VALUES.c.value, OPTUNA_TRIALS.c.trial_id)
            .limit(1)
        )

        def read(connection: Connection) -> FrozenTrial | None:
            ids = list(connection.execute(best).scalars())
            return next(iter(load_trials(connection, self.study_id, ids)), None)

        return self._database.read(read)

    def trial_rows(self) -> list[TrialRow]:
        """Return all trials in the order of their numbers."""
        return self._database.read(lambda c: _trial_rows(c, self.study_id))

    def trial(self, number: int) -> TrialRow:
        """Return the trial of a number; raises UnknownTrialError."""
        found = self._database.read(lambda c: _trial_rows(c, self.study_id, number))
        if not found:
            total = self.counts().total
            range_of = f"numbers go from 0 to {total - 1}" if total else "it has no trial yet"
            raise UnknownTrialError(f"study {self.name!r} has no trial {number}: {range_of}.")
        return found[0]

    def curves(self) -> dict[int, bytes]:
        """Return the stored curves by trial id."""
        wanted = select(CURVES.c.trial_id, CURVES.c.content)
        of_study = wanted.where(CURVES.c.study_id == self.study_id)
        return self._database.read(
            lambda c: {row.trial_id: row.content for row in c.execute(of_study)}
        )

    def replicas(self) -> dict[int, list[Replica]]:
        """Return the replicas by trial id, in the order of their indices."""
        wanted = select(REPLICAS).where(REPLICAS.c.study_id == self.study_id)
        ordered = wanted.order_by(REPLICAS.c.trial_id, REPLICAS.c.replica)
        groups: defaultdict[int, list[Replica]] = defaultdict(list)
        for row in self._database.read(lambda c: c.execute(ordered).all()):
            loss = float("nan") if row.training_loss is None else row.training_loss
            groups[row.trial_id].append(Replica(row.replica, row.score, loss, row.restart))
        return dict(groups)

    def artifacts(self, trial_id: int) -> list[Artifact]:
        """Return the stored files of a trial in the order of their names."""
        return self._database.read(lambda c: artifacts.read(c, trial_id))

    def final_jobs(self) -> list[FinalJob]:
        """Return all final jobs in the order in which they were planned."""
        return self._database.read(lambda c: final_jobs.jobs(c, self.study_id))

    def final_states(self) -> dict[int, JobState]:
        """Return the state of each final job by its id, by one cheap statement."""
        return self._database.read(lambda c: final_jobs.states(c, self.study_id))

    def final_weights(self, job_id: int) -> bytes | None:
        """Return the weights that a final job stored, if any."""
        return self._database.read(lambda c: final_jobs.weights(c, job_id))


def count_trials(connection: Connection, study_id: int | None = None) -> defaultdict[int, Counts]:
    """Return how many trials are in each state by study id, of one study or of all."""
    states = select(OPTUNA_TRIALS.c.study_id, OPTUNA_TRIALS.c.state, func.count())
    if study_id is not None:
        states = states.where(OPTUNA_TRIALS.c.study_id == study_id)
    grouped = states.group_by(OPTUNA_TRIALS.c.study_id, OPTUNA_TRIALS.c.state)
    by_study: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for of_study, state, count in connection.execute(grouped):
        by_study[of_study][STATE_NAMES[state]] = count
    counts = {of_study: Counts(**states) for of_study, states in by_study.items()}
    return defaultdict(Counts, counts)


def _trial_rows(connection: Connection, study_id: int, number: int | None = None) -> list[TrialRow]:
    """Return all trials in the order of their numbers, or the one of a number."""
    own = select(TRIALS).where(TRIALS.c.study_id == study_id)
    ids = None
    if number is not None:
        wanted = (OPTUNA_TRIALS.c.study_id == study_id, OPTUNA_TRIALS.c.number == number)
        of_number = select(OPTUNA_TRIALS.c.trial_id).where(*wanted)
        ids = list(connection.execute(of_number).scalars())
        own = own.where(TRIALS.c.trial_id.in_(ids))
    ours = {row.trial_id: row for row in connection.execute(own)}
    rows = []
    for trial in load_trials(connection, study_id, ids):
        mine = ours.get(trial._trial_id)
        rows.append(
            TrialRow(
                trial_id=trial._trial_id,
                number=trial.number,
                state=STATE_NAMES[trial.state],
                value=trial.value,
                params=trial.params,
                user_attributes=trial.user_attrs,
                intermediate_values=trial.intermediate_values,
                started=trial.datetime_start,
                completed=trial.datetime_complete,
                cohort_key=None if mine is None else mine.cohort_key,
                attempts=0 if mine is None else mine.attempts,
                worker_id=None if mine is None else mine.worker_id,
            )
        )
    return rows
