"""Final jobs: finalists trained again, and the winner's test, distributed among the workers.

A job is leased like a trial: its worker's heartbeats keep it, it is given back when the worker
leaves or dies, and it fails after as many losses as a trial.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Select, case, select, update

from search.storage import budgets, leases
from search.storage.database import StudyTransaction, upsert
from search.storage.records import FinalJob, JobState, Subject
from search.storage.tables import FINALS

_FREE: dict[str, Any] = {"state": "waiting", "worker_id": None, "claim": None}


def plan(study: StudyTransaction, purpose: str, subjects: Sequence[Subject]) -> list[FinalJob]:
    """Make sure that there is one job of this purpose for each subject; return these jobs.

    Those of trials come first, by their ids, the others in the order that is given.
    """
    trials = sorted(subject for subject in subjects if isinstance(subject, int))
    others = [subject for subject in subjects if isinstance(subject, str)]
    assert not any(subject.isdecimal() for subject in others)
    ours = {"study_id": study.study_id, "purpose": purpose}
    rows = [{**ours, "subject": str(trial_id), "trial_id": trial_id} for trial_id in trials]
    rows += [{**ours, "subject": subject, "trial_id": None} for subject in others]
    keys = (*ours, "subject")
    upsert(study.connection, FINALS, rows, *keys)
    wanted = [row["subject"] for row in rows]
    return _jobs(study, FINALS.c.purpose == purpose, FINALS.c.subject.in_(wanted))


def claim(study: StudyTransaction, worker_id: int) -> FinalJob | None:
    """Claim the oldest waiting job, whatever the budget says; None where none waits."""
    budgets.heartbeat(study, worker_id)
    of_claim = FINALS.c.claim == study.claim
    # No other claim runs at the same time: the heartbeat has locked the study's budget.
    waiting = (FINALS.c.study_id == study.study_id, FINALS.c.state == "waiting")
    first = select(FINALS.c.job_id).where(*waiting).order_by(FINALS.c.job_id).limit(1)
    oldest = study.connection.scalar(first)
    if not (claimed := _jobs(study, of_claim)) and oldest is not None:
        held = {"state": "running", "worker_id": worker_id, "claim": study.claim}
        study.connection.execute(update(FINALS).where(FINALS.c.job_id == oldest).values(held))
        claimed = _jobs(study, of_claim)
    return claimed[0] if claimed else None


def finish(
    study: StudyTransaction, worker_id: int, job_id: int, result: str, weights: bytes | None = None
) -> bool:
    """Store a job's result, JSON text, and its weights; return False if the worker lost it."""
    done = {"state": "done", "result": result, "weights": weights, "message": None}
    return _end(study, worker_id, job_id, done)


def fail(study: StudyTransaction, worker_id: int, job_id: int, message: str) -> bool:
    """End a job that can't be done; return False if the worker lost it."""
    return _end(study, worker_id, job_id, {"state": "failed", "message": message})


def weights(study: StudyTransaction, job_id: int) -> bytes | None:
    """Return the weights that a job stored, if any."""
    return study.connection.scalar(select(FINALS.c.weights).where(FINALS.c.job_id == job_id))


def jobs(study: StudyTransaction) -> list[FinalJob]:
    """Return all jobs of a study in the order in which they were planned."""
    return _jobs(study)


def states(study: StudyTransaction) -> dict[int, JobState]:
    """Return the state of each job by its id, by one cheap statement."""
    of_study = select(FINALS.c.job_id, FINALS.c.state).where(FINALS.c.study_id == study.study_id)
    return {row.job_id: row.state for row in study.connection.execute(of_study)}


def held(study: StudyTransaction, worker_id: int) -> frozenset[int]:
    """Return the ids of the jobs that a worker holds, without locking them."""
    mine = select(FINALS.c.job_id).where(_held_by(study, [worker_id]))
    return frozenset(study.connection.execute(mine).scalars())


def give_back(study: StudyTransaction, worker_id: int) -> None:
    """Let the jobs that a worker holds wait again."""
    mine = update(FINALS).where(_held_by(study, [worker_id]))
    study.connection.execute(mine.values(_FREE))


def lose(study: StudyTransaction, dead: Sequence[int]) -> tuple[int, ...]:
    """Take the jobs of dead workers; return their ids."""
    of_dead = select(FINALS.c.job_id).where(_held_by(study, dead))
    taken = sorted(study.connection.execute(of_dead.with_for_update(skip_locked=True)).scalars())
    hopeless = FINALS.c.attempts + 1 >= leases.MAX_ATTEMPTS
    message = f"lost {leases.MAX_ATTEMPTS} times: each worker that trained it died"
    lost = {
        **_FREE,
        "attempts": FINALS.c.attempts + 1,
        "state": case((hopeless, "failed"), else_="waiting"),
        "message": case((hopeless, message), else_=None),
    }
    study.connection.execute(update(FINALS).where(FINALS.c.job_id.in_(taken)).values(lost))
    return tuple(taken)


def _end(study: StudyTransaction, worker_id: int, job_id: int, values: dict[str, Any]) -> bool:
    # Also where this worker has ended the job before: the confirmation may have been lost.
    mine = (FINALS.c.job_id == job_id, FINALS.c.worker_id == worker_id)
    statement = update(FINALS).where(*mine).values(values).returning(FINALS.c.job_id)
    return study.connection.execute(statement).one_or_none() is not None


def _held_by(study: StudyTransaction, worker_ids: Sequence[int]) -> ColumnElement[bool]:
    of_study = FINALS.c.study_id == study.study_id
    return of_study & (FINALS.c.state == "running") & FINALS.c.worker_id.in_(worker_ids)


def _jobs(study: StudyTransaction, *conditions: ColumnElement[bool]) -> list[FinalJob]:
    # Weights are megabytes, so a list of jobs only says whether there are any.
    columns = (
        FINALS.c.weights.is_not(None).label(field.name)
        if field.name == "has_weights"
        else FINALS.c[field.name]
        for field in fields(FinalJob)
    )
    wanted: Select[*tuple[Any, ...]] = select(*columns).where(
        FINALS.c.study_id == study.study_id, *conditions
    )
    rows = study.connection.execute(wanted.order_by(FINALS.c.job_id))
    return [
        FinalJob(**{**row._mapping, "subject": _subject(row._mapping["subject"])}) for row in rows
    ]


def _subject(stored: str) -> Subject:
    return int(stored) if stored.isdecimal() else stored
