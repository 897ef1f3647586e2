"""Final jobs: finalists trained again, and the winner's test, distributed among the workers.

A job is leased like a trial: its worker's heartbeats keep it, it is given back when the worker
leaves or dies, and it fails after as many losses as a trial.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, select, update
from sqlalchemy.dialects import postgresql, sqlite

from search.storage import leases, workers
from search.storage.records import FinalJob, JobState
from search.storage.tables import FINALS

_FREE: dict[str, Any] = {"state": "waiting", "worker_id": None, "claim": None}


def plan(
    connection: Connection, study_id: int, purpose: str, trial_ids: Sequence[int]
) -> list[FinalJob]:
    """Make sure that there is one job of this purpose for each trial; return these jobs."""
    if not trial_ids:
        return []
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = [{"study_id": study_id, "purpose": purpose, "trial_id": i} for i in sorted(trial_ids)]
    connection.execute(dialect.insert(FINALS).on_conflict_do_nothing(), rows)
    of_trials = (FINALS.c.purpose == purpose, FINALS.c.trial_id.in_(trial_ids))
    return _jobs(connection, _select(study_id).where(*of_trials))


def claim(
    connection: Connection, study_id: int, worker_id: int, claim: str, lease_seconds: float
) -> FinalJob | None:
    """Lease the oldest waiting job, or return None; budget and stop requests do not matter."""
    workers.heartbeat(connection, study_id, worker_id, lease_seconds)
    of_claim = _select(study_id).where(FINALS.c.claim == claim)
    # No other claim runs at the same time: the heartbeat has locked the study's budget.
    oldest = connection.scalar(
        select(FINALS.c.job_id)
        .where(FINALS.c.study_id == study_id, FINALS.c.state == "waiting")
        .order_by(FINALS.c.job_id)
        .limit(1)
    )
    if not (claimed := _jobs(connection, of_claim)) and oldest is not None:
        held = {"state": "running", "worker_id": worker_id, "claim": claim}
        connection.execute(update(FINALS).where(FINALS.c.job_id == oldest).values(held))
        claimed = _jobs(connection, of_claim)
    return claimed[0] if claimed else None


def finish(
    connection: Connection, worker_id: int, job_id: int, result: str, weights: bytes | None
) -> bool:
    """Store a job's result; return False if the worker no longer holds it."""
    done = {"state": "done", "result": result, "weights": weights, "message": None}
    return _end(connection, worker_id, job_id, done)


def fail(connection: Connection, worker_id: int, job_id: int, message: str) -> bool:
    """End a job without a result; return False if the worker no longer holds it."""
    return _end(connection, worker_id, job_id, {"state": "failed", "message": message})


def weights(connection: Connection, job_id: int) -> bytes | None:
    """Return the weights that a job left, if any."""
    return connection.scalar(select(FINALS.c.weights).where(FINALS.c.job_id == job_id))


def jobs(connection: Connection, study_id: int) -> list[FinalJob]:
    """Return all jobs of a study in the order in which they were planned."""
    return _jobs(connection, _select(study_id))


def states(connection: Connection, study_id: int) -> dict[int, JobState]:
    """Return the state of each job of a study, without its results."""
    of_study = select(FINALS.c.job_id, FINALS.c.state).where(FINALS.c.study_id == study_id)
    return {row.job_id: row.state for row in connection.execute(of_study)}


def held(connection: Connection, study_id: int, worker_id: int) -> frozenset[int]:
    """Return the ids of the jobs that a worker holds, without locking them."""
    mine = (FINALS.c.study_id == study_id, _held_by([worker_id]))
    return frozenset(connection.execute(select(FINALS.c.job_id).where(*mine)).scalars())


def give_back(connection: Connection, study_id: int, worker_id: int) -> None:
    """Let the jobs that a worker holds wait again."""
    connection.execute(
        update(FINALS).where(FINALS.c.study_id == study_id, _held_by([worker_id])).values(_FREE)
    )


def lose(connection: Connection, study_id: int, dead: Sequence[int]) -> tuple[int, ...]:
    """Take the jobs of dead workers; return their ids."""
    held = (
        select(FINALS.c.job_id)
        .where(FINALS.c.study_id == study_id, _held_by(dead))
        .with_for_update(skip_locked=True)
    )
    taken = sorted(connection.execute(held).scalars())
    hopeless = FINALS.c.attempts + 1 >= leases.MAX_ATTEMPTS
    message = f"lost {leases.MAX_ATTEMPTS} times: each worker that trained it died"
    connection.execute(
        update(FINALS)
        .where(FINALS.c.job_id.in_(taken))
        .values(
            {
                **_FREE,
                "attempts": FINALS.c.attempts + 1,
                "state": case((hopeless, "failed"), else_="waiting"),
                "message": case((hopeless, message), else_=None),
            }
        )
    )
    return tuple(taken)


def _end(connection: Connection, worker_id: int, job_id: int, values: dict[str, Any]) -> bool:
    # Also where this worker has ended the job before: the confirmation may have been lost.
    mine = (FINALS.c.job_id == job_id, FINALS.c.worker_id == worker_id)
    statement = update(FINALS).where(*mine).values(values).returning(FINALS.c.job_id)
    return connection.execute(statement).one_or_none() is not None


def _held_by(worker_ids: Sequence[int]) -> ColumnElement[bool]:
    return (FINALS.c.state == "running") & FINALS.c.worker_id.in_(worker_ids)


def _select(study_id: int) -> Select[*tuple[Any, ...]]:
    # Weights are megabytes, so a list of jobs only says whether there are any.
    columns = (
        FINALS.c.weights.is_not(None).label(field.name)
        if field.name == "has_weights"
        else FINALS.c[field.name]
        for field in fields(FinalJob)
    )
    return select(*columns).where(FINALS.c.study_id == study_id).order_by(FINALS.c.job_id)


def _jobs(connection: Connection, statement: Select[*tuple[Any, ...]]) -> list[FinalJob]:
    return [FinalJob(*row) for row in connection.execute(statement)]
