"""One study: what workers and commands change in it.

Each method is one short transaction. Methods that return "lost" ids name the trials that the worker
no longer holds because its heartbeat was late: nothing was stored of them, and it should drop them.
"""

import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row

from search.storage import budgets, final_jobs, finished_trials, leases, workers
from search.storage.database import Database
from search.storage.optuna_writers import TrialWriter
from search.storage.records import (
    Beat,
    ClaimedTrial,
    FinalJob,
    FinishedTrial,
    Proposal,
    Report,
    Swept,
)
from search.storage.study_reader import StudyReader


class StudyStore(StudyReader):
    """A study that can be changed; made by `Storage.create_study` and `Storage.study`."""

    def __init__(
        self,
        database: Database,
        writer: TrialWriter,
        lease_seconds: float,
        row: Row[*tuple[Any, ...]],
    ) -> None:
        super().__init__(database, lease_seconds, row)
        self._writer = writer

    def set_budget(
        self,
        *,
        trials: int | None,
        minutes: float | None,
        quota_trials: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Set the limits: trials of any state and minutes of running time, None for no limit.

        quota_trials: limits of quotas by name; quotas that are not named keep theirs.
        """
        self._database.write(
            lambda c: budgets.set_limits(c, self.study_id, trials, minutes, quota_trials)
        )

    def request_stop(self) -> None:
        """Ask all workers to end: they learn it at their next heartbeat, and can claim nothing."""
        self._database.write(lambda c: budgets.set_stop(c, self.study_id, requested=True))

    def clear_stop(self) -> None:
        """Withdraw a request to stop."""
        self._database.write(lambda c: budgets.set_stop(c, self.study_id, requested=False))

    def register_worker(self, *, host: str, pid: int, machine: Mapping[str, Any]) -> int:
        """Return the id of a new worker, whose heartbeats must come more often than leases expire.

        Raises StorageError where workers of two hosts would share a SQLite file.
        """
        return self._database.write(
            lambda c: workers.register(c, self.study_id, host, pid, machine, self.lease_seconds)
        )

    def beat(self, worker_id: int) -> Beat:
        """Record a heartbeat, which renews the worker's leases; return what the worker needs to
        know."""

        def beat(connection: Connection) -> Beat:
            budget = workers.heartbeat(connection, self.study_id, worker_id, self.lease_seconds)
            trials = leases.held(connection, worker_id)
            jobs = final_jobs.held(connection, self.study_id, worker_id)
            dead = leases.expired_workers(connection, self.study_id, self.lease_seconds)
            return Beat(
                stop_requested=budget.stop_requested,
                seconds_left=budget.seconds_left,
                held_trials=trials,
                held_jobs=jobs,
                budget_spent=budget.exhausted,
                to_sweep=bool(dead),
            )

        return self._database.write(beat)

    def leave(self, worker_id: int) -> None:
        """Give back all that the worker holds, as if not begun, and end its registration."""

        def leave(connection: Connection) -> None:
            held = sorted(leases.held(connection, worker_id))
            leases.give_back(connection, self._writer, worker_id, held)
            workers.leave(connection, self.study_id, worker_id, self.lease_seconds)
            final_jobs.give_back(connection, self.study_id, worker_id)

        self._database.write(leave)

    def lose_worker(self, worker_id: int) -> Swept:
        """Take at once what a worker holds that is known to be dead, and end its registration."""

        def lose(connection: Connection) -> Swept:
            again, failed = leases.take_from(connection, self._writer, [worker_id])
            workers.leave(connection, self.study_id, worker_id, self.lease_seconds)
            return Swept(again, failed, final_jobs.lose(connection, self.study_id, [worker_id]))

        return self._database.write(lose)

    def sweep(self) -> Swept:
        """Take what dead workers hold: their trials wait again, or fail after three losses."""

        def sweep(connection: Connection) -> Swept:
            dead = leases.expired_workers(connection, self.study_id, self.lease_seconds)
            if not dead:
                return Swept((), (), ())
            again, failed = leases.take_from(connection, self._writer, dead)
            return Swept(again, failed, final_jobs.lose(connection, self.study_id, dead))

        # A database that is away now is away for the workers too: their heartbeats come first.
        return self._database.try_write(sweep) or Swept((), (), ())

    def claim_waiting(self, worker_id: int, at_most: int) -> list[ClaimedTrial]:
        """Claim trials that were given back, all of one cohort key; none where none wait.

        Trials that were lost with their worker are claimed in smaller groups, and at last alone:
        if one of them kills workers, only that one is lost again.
        """
        claim = str(uuid.uuid4())
        return self._database.write(
            lambda c: leases.claim_waiting(
                c, self._writer, self.study_id, worker_id, claim, at_most, self.lease_seconds
            )
        )

    def claim_new(self, worker_id: int, proposals: Sequence[Proposal]) -> list[ClaimedTrial]:
        """Create and claim trials for the first proposals, as many as budget and quotas allow.

        Returns none while trials wait that `claim_waiting` would return, which come first. Raises
        ValueError for a parameter whose distribution is incompatible with the study's, and for a
        quota that the study does not have.
        """
        claim = str(uuid.uuid4())
        return self._database.write(
            lambda c: leases.claim_new(
                c, self._writer, self.study_id, worker_id, claim, proposals, self.lease_seconds
            )
        )

    def report(
        self, worker_id: int, reports: Sequence[Report | tuple[int, int, float]]
    ) -> list[int]:
        """Store intermediate values; return the ids of the trials that the worker lost."""
        named = [Report(*report) for report in reports]
        ids = sorted({report.trial_id for report in named})

        def report(connection: Connection) -> list[int]:
            held = leases.lock_held(connection, worker_id, ids)
            if kept := [report for report in named if report.trial_id in held]:
                self._writer.report(connection, kept)
            return [trial_id for trial_id in ids if trial_id not in held]

        return self._database.write(report)

    def finish(self, worker_id: int, finished: Sequence[FinishedTrial]) -> list[int]:
        """Store trials with all their results; return the ids of those that the worker lost."""
        return self._database.write(
            lambda c: finished_trials.finish(c, self._writer, self.study_id, worker_id, finished)
        )

    def give_back(self, worker_id: int, trial_ids: Sequence[int]) -> None:
        """Let trials wait again, as if not begun; those that the worker lost are skipped."""
        self._database.write(lambda c: leases.give_back(c, self._writer, worker_id, trial_ids))

    def plan_final_jobs(self, purpose: str, trial_ids: Sequence[int]) -> list[FinalJob]:
        """Make sure that each trial has one job of this purpose; return these jobs."""
        return self._database.write(lambda c: final_jobs.plan(c, self.study_id, purpose, trial_ids))

    def claim_final_job(self, worker_id: int) -> FinalJob | None:
        """Claim the oldest waiting job, whatever the budget says; None where none waits."""
        claim = str(uuid.uuid4())
        return self._database.write(
            lambda c: final_jobs.claim(c, self.study_id, worker_id, claim, self.lease_seconds)
        )

    def finish_final_job(
        self, worker_id: int, job_id: int, result: str, weights: bytes | None = None
    ) -> bool:
        """Store a job's result, JSON text, and its weights; return False if the worker lost it."""
        return self._database.write(
            lambda c: final_jobs.finish(c, worker_id, job_id, result, weights)
        )

    def fail_final_job(self, worker_id: int, job_id: int, message: str) -> bool:
        """End a job that can't be done; return False if the worker lost it."""
        return self._database.write(lambda c: final_jobs.fail(c, worker_id, job_id, message))
