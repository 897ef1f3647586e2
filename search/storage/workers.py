"""Workers: they register, send heartbeats while they live, and leave."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, insert, select, update

from search.errors import FreerunError, StorageError
from search.storage import budgets
from search.storage.database import StudyTransaction
from search.storage.records import Budget, WorkerStatus
from search.storage.tables import FINALS, LEASES, WORKERS


def register(study: StudyTransaction, *, host: str, pid: int, machine: Mapping[str, Any]) -> int:
    """Return the id of a new worker, whose heartbeats must come more often than leases expire.

    Raises StorageError where a worker of another host is alive on the same SQLite file, because
    SQLite's locks do not hold between machines.
    """
    budgets.count_time(study)
    at = budgets.now(study.connection)
    if study.connection.dialect.name == "sqlite":
        _check_one_host(study, host, at - study.lease_seconds)
    row = {
        "study_id": study.study_id,
        "host": host,
        "pid": pid,
        "machine": json.dumps(dict(machine)),
        "registered": at,
        "last_beat": at,
    }
    statement = insert(WORKERS).values(row).returning(WORKERS.c.worker_id)
    worker_id: int = study.connection.execute(statement).scalar_one()
    return worker_id


def heartbeat(study: StudyTransaction, worker_id: int) -> Budget:
    """Renew the worker's leases, count the running time, lock the budget and return it.

    Raises FreerunError for a worker that has left.
    """
    budget = budgets.count_time(study)
    at = budgets.now(study.connection)
    this = _this(study, worker_id)
    last_beat = select(WORKERS.c.last_beat).where(this, WORKERS.c.left_at.is_(None))
    previous = study.connection.scalar(last_beat)
    if previous is None:
        raise FreerunError(f"worker {worker_id} is not registered, or has left its study.")
    lately = at - study.lease_seconds / 2
    if previous < lately and not _any_heartbeat(study, lately):
        # No worker sent a heartbeat for half a lease: the database was down or the machine slept.
        # So the others get a grace period to come back before anything is taken from them. It
        # starts after half a lease, when the last one to come back is not yet late.
        budgets.change(study, grace_until=at + study.lease_seconds)
    study.connection.execute(update(WORKERS).where(this).values(last_beat=at))
    return budget


def leave(study: StudyTransaction, worker_id: int) -> None:
    """Mark a worker that holds nothing any more as gone."""
    budgets.count_time(study)
    gone = update(WORKERS).where(_this(study, worker_id))
    study.connection.execute(gone.values(left_at=budgets.now(study.connection)))
    budgets.pause_time(study)


def statuses(study: StudyTransaction) -> list[WorkerStatus]:
    """Return all workers that ever registered, in the order of their ids, with what they hold."""
    at = budgets.now(study.connection)
    leased = (LEASES.c.study_id == study.study_id,)
    running = (FINALS.c.study_id == study.study_id, FINALS.c.state == "running")
    trials = _by_worker(study, select(LEASES.c.worker_id, LEASES.c.trial_id).where(*leased))
    jobs = _by_worker(study, select(FINALS.c.worker_id, FINALS.c.job_id).where(*running))
    of_study = select(WORKERS).where(WORKERS.c.study_id == study.study_id)
    return [
        WorkerStatus(
            worker_id=row.worker_id,
            host=row.host,
            pid=row.pid,
            machine=json.loads(row.machine),
            beat_age=max(0.0, at - row.last_beat),
            alive=row.left_at is None and at - row.last_beat < study.lease_seconds,
            left=row.left_at is not None,
            trial_ids=tuple(sorted(trials[row.worker_id])),
            job_ids=tuple(sorted(jobs[row.worker_id])),
        )
        for row in study.connection.execute(of_study.order_by(WORKERS.c.worker_id))
    ]


def _this(study: StudyTransaction, worker_id: int) -> ColumnElement[bool]:
    return (WORKERS.c.worker_id == worker_id) & (WORKERS.c.study_id == study.study_id)


def _any_heartbeat(study: StudyTransaction, since: float) -> bool:
    """Return whether a worker that registered before a moment sent a heartbeat after it."""
    sent = exists().where(
        WORKERS.c.study_id == study.study_id,
        WORKERS.c.last_beat >= since,
        # A worker that registered after an outage does not show that there was none.
        WORKERS.c.registered < since,
    )
    return bool(study.connection.scalar(select(sent)))


def _by_worker(study: StudyTransaction, held: Select[int, int]) -> defaultdict[int, list[int]]:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for worker_id, held_id in study.connection.execute(held):
        groups[worker_id].append(held_id)
    return groups


def _check_one_host(study: StudyTransaction, host: str, alive_since: float) -> None:
    alive = (WORKERS.c.left_at.is_(None), WORKERS.c.last_beat > alive_since)
    elsewhere = select(WORKERS.c.host).where(WORKERS.c.host != host, *alive)
    other = study.connection.scalar(elsewhere.limit(1))
    if other is not None:
        raise StorageError(
            f"a SQLite storage serves the workers of one machine, but {other} and {host} both use"
            " it. Use a PostgreSQL storage for several machines."
        )
