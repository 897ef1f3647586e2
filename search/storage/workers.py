"""Workers: they register, send heartbeats while they live, and leave."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, exists, insert, select, update

from search.errors import FreerunError, StorageError
from search.storage import budgets
from search.storage.records import Budget, WorkerStatus
from search.storage.tables import BUDGETS, FINALS, LEASES, WORKERS


def register(
    connection: Connection,
    study_id: int,
    host: str,
    pid: int,
    machine: Mapping[str, Any],
    lease_seconds: float,
) -> int:
    """Insert a worker and return its id.

    Raises StorageError where a worker of another host is alive on the same SQLite file, because
    SQLite's locks do not hold between machines.
    """
    budgets.count_time(connection, study_id, lease_seconds)
    at = budgets.now(connection)
    if connection.dialect.name == "sqlite":
        _check_one_host(connection, host, at - lease_seconds)
    row = {
        "study_id": study_id,
        "host": host,
        "pid": pid,
        "machine": json.dumps(dict(machine)),
        "registered": at,
        "last_beat": at,
    }
    statement = insert(WORKERS).values(row).returning(WORKERS.c.worker_id)
    worker_id: int = connection.execute(statement).scalar_one()
    return worker_id


def heartbeat(
    connection: Connection, study_id: int, worker_id: int, lease_seconds: float
) -> Budget:
    """Renew the worker's leases, count the running time, lock the budget and return it.

    Raises FreerunError for a worker that has left.
    """
    budget = budgets.count_time(connection, study_id, lease_seconds)
    at = budgets.now(connection)
    this = (WORKERS.c.worker_id == worker_id, WORKERS.c.study_id == study_id)
    previous = connection.scalar(
        select(WORKERS.c.last_beat).where(*this, WORKERS.c.left_at.is_(None))
    )
    if previous is None:
        raise FreerunError(f"worker {worker_id} is not registered, or has left its study.")
    lately = at - lease_seconds / 2
    if previous < lately and not _any_heartbeat(connection, study_id, lately):
        # No worker sent a heartbeat for half a lease: the database was down or the machine slept.
        # So the others get a grace period to come back before anything is taken from them. It
        # starts after half a lease, when the last one to come back is not yet late.
        of_study = BUDGETS.c.study_id == study_id
        grace_until = at + lease_seconds
        connection.execute(update(BUDGETS).where(of_study).values(grace_until=grace_until))
    connection.execute(update(WORKERS).where(*this).values(last_beat=at))
    return budget


def leave(connection: Connection, study_id: int, worker_id: int, lease_seconds: float) -> None:
    """Mark a worker that holds nothing any more as gone."""
    budgets.count_time(connection, study_id, lease_seconds)
    this = (WORKERS.c.worker_id == worker_id, WORKERS.c.study_id == study_id)
    connection.execute(update(WORKERS).where(*this).values(left_at=budgets.now(connection)))
    budgets.pause_time(connection, study_id, lease_seconds)


def statuses(connection: Connection, study_id: int, lease_seconds: float) -> list[WorkerStatus]:
    """Return all workers that ever registered, in the order of their ids, with what they hold."""
    at = budgets.now(connection)
    leased = select(LEASES.c.worker_id, LEASES.c.trial_id).where(LEASES.c.study_id == study_id)
    running = (FINALS.c.study_id == study_id, FINALS.c.state == "running")
    trials = _by_worker(connection, leased)
    jobs = _by_worker(connection, select(FINALS.c.worker_id, FINALS.c.job_id).where(*running))
    rows = connection.execute(
        select(WORKERS).where(WORKERS.c.study_id == study_id).order_by(WORKERS.c.worker_id)
    )
    return [
        WorkerStatus(
            worker_id=row.worker_id,
            host=row.host,
            pid=row.pid,
            machine=json.loads(row.machine),
            beat_age=max(0.0, at - row.last_beat),
            alive=row.left_at is None and at - row.last_beat < lease_seconds,
            left=row.left_at is not None,
            trial_ids=tuple(sorted(trials[row.worker_id])),
            job_ids=tuple(sorted(jobs[row.worker_id])),
        )
        for row in rows
    ]


def _any_heartbeat(connection: Connection, study_id: int, since: float) -> bool:
    """Return whether a worker that registered before a moment sent a heartbeat after it."""
    sent = exists().where(
        WORKERS.c.study_id == study_id,
        WORKERS.c.last_beat >= since,
        # A worker that registered after an outage does not show that there was none.
        WORKERS.c.registered < since,
    )
    return bool(connection.scalar(select(sent)))


def _by_worker(connection: Connection, held: Select[int, int]) -> defaultdict[int, list[int]]:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for worker_id, held_id in connection.execute(held):
        groups[worker_id].append(held_id)
    return groups


def _check_one_host(connection: Connection, host: str, alive_since: float) -> None:
    other = connection.scalar(
        select(WORKERS.c.host)
        .where(
            WORKERS.c.host != host,
            WORKERS.c.left_at.is_(None),
            WORKERS.c.last_beat > alive_since,
        )
        .limit(1)
    )
    if other is not None:
        raise StorageError(
            f"a SQLite storage serves the workers of one machine, but {other} and {host} both use"
            " it. Use a PostgreSQL storage for several machines."
        )
