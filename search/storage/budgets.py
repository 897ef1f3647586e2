"""The budget of a study, in trials and running time, and the workers that spend it.

Workers register, send heartbeats while they live, and leave.

The running time is the time in which at least one worker was alive. Each heartbeat adds the time
since the last count, unless that is longer than a lease, when no worker was alive.

Quotas are parts of the budget of trials, each with a name and a limit. A claim uses them in its
transaction; a trial that fails, is pruned or is given back stays counted.

All transactions lock rows in the same order, so that no two wait for each other: leases, budget,
worker, Optuna's study.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, insert, select, update

from search.errors import FreerunError, StorageError
from search.storage.database import StudyTransaction, upsert
from search.storage.records import Budget, Proposal, Quota, WorkerStatus
from search.storage.tables import BUDGETS, FINALS, LEASES, QUOTAS, TRIALS, WORKERS, DatabaseNow

# Of a row of workers that stands for no process: see `restored`.
NO_PID = 0


def set_limits(
    study: StudyTransaction,
    *,
    trials: int | None,
    minutes: float | None,
    quota_trials: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Set the limits: trials of any state and minutes of running time, None for no limit.

    quota_trials: limits of new or known quotas by name; those that are not named keep theirs.
    """
    change(study, trials=trials, minutes=minutes)
    set_quotas(study.connection, study.study_id, quota_trials)


def request_stop(study: StudyTransaction) -> None:
    """Ask all workers to end: they learn it at their next heartbeat, and can claim nothing."""
    change(study, stop_requested=True)


def clear_stop(study: StudyTransaction) -> None:
    """Withdraw a request to stop."""
    change(study, stop_requested=False)


def change(study: StudyTransaction, **columns: Any) -> None:
    """Set columns of the study's budget."""
    of_study = BUDGETS.c.study_id == study.study_id
    study.connection.execute(update(BUDGETS).where(of_study).values(columns))


def read(study: StudyTransaction) -> Budget:
    """Return the limits and what is spent of them by now, without locking them."""
    of_study = select(BUDGETS).where(BUDGETS.c.study_id == study.study_id)
    return _budget(study, study.connection.execute(of_study).one(), now(study.connection))


def count_time(study: StudyTransaction) -> Budget:
    """Count the running time up to now and return the budget, locked against other claims."""
    of_study = select(BUDGETS).where(BUDGETS.c.study_id == study.study_id)
    row = study.connection.execute(of_study.with_for_update()).one()
    at = now(study.connection)
    if row.counted_until is not None and at < row.counted_until:
        follow_clock(study)
    budget = _budget(study, row, at)
    change(study, spent_seconds=budget.spent_seconds, counted_until=at)
    return budget


def follow_clock(study: StudyTransaction) -> None:
    """Let no heartbeat lie in the future, as where the clock of the database was set back.

    A dead worker would else keep its trials until the clock has caught up, and a lease longer.
    """
    at = now(study.connection)
    for column in (WORKERS.c.registered, WORKERS.c.last_beat):
        later = update(WORKERS).where(WORKERS.c.study_id == study.study_id, column > at)
        study.connection.execute(later.values({column: at}))
    latest = at + study.lease_seconds
    graced = (BUDGETS.c.study_id == study.study_id, BUDGETS.c.grace_until > latest)
    study.connection.execute(update(BUDGETS).where(*graced).values(grace_until=latest))


def pause_time(study: StudyTransaction) -> None:
    """Stop counting if no worker of the study is alive. The budget must be locked."""
    alive = exists().where(
        WORKERS.c.study_id == study.study_id,
        WORKERS.c.left_at.is_(None),
        WORKERS.c.last_beat > now(study.connection) - study.lease_seconds,
    )
    if not study.connection.scalar(select(alive)):
        change(study, counted_until=None)


def now(connection: Connection) -> float:
    """Return the seconds since the epoch by the database's clock."""
    return connection.execute(select(DatabaseNow())).scalar_one()


def set_quotas(connection: Connection, study_id: int, limits: Mapping[str, int]) -> None:
    """Set the limits of new or known quotas; what is used of them stays."""
    rows = [{"study_id": study_id, "name": n, "trials": t} for n, t in sorted(limits.items())]
    upsert(connection, QUOTAS, rows, "study_id", "name")


def within_quotas(quotas: Mapping[str, Quota], proposals: Sequence[Proposal]) -> list[Proposal]:
    """Return the first proposals of each quota, as many as it allows.

    Raises ValueError for a quota that the study does not have.
    """
    left = {name: quota.left for name, quota in quotas.items()}
    allowed = []
    for proposal in proposals:
        if proposal.quota is not None:
            if proposal.quota not in left:
                raise ValueError(
                    f"a proposal's quota must be one of {', '.join(left) or 'none'}, but is "
                    f"{proposal.quota!r}"
                )
            if left[proposal.quota] == 0:
                continue
            left[proposal.quota] -= 1
        allowed.append(proposal)
    return allowed


def use_quotas(study: StudyTransaction, claimed: Sequence[Proposal]) -> None:
    """Count claimed proposals. The budget of the study must be locked."""
    for name, trials in Counter(p.quota for p in claimed if p.quota is not None).items():
        of_quota = (QUOTAS.c.study_id == study.study_id, QUOTAS.c.name == name)
        counted = update(QUOTAS).where(*of_quota).values(used=QUOTAS.c.used + trials)
        study.connection.execute(counted)


def register(study: StudyTransaction, *, host: str, pid: int, machine: Mapping[str, Any]) -> int:
    """Return the id of a new worker, whose heartbeats must come more often than leases expire.

    Raises StorageError where a worker of another host is alive on the same SQLite file, because
    SQLite's locks do not hold between machines.
    """
    count_time(study)
    follow_clock(study)
    at = now(study.connection)
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
    budget = count_time(study)
    at = now(study.connection)
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
        change(study, grace_until=at + study.lease_seconds)
    study.connection.execute(update(WORKERS).where(this).values(last_beat=at))
    return budget


def leave(study: StudyTransaction, worker_id: int) -> None:
    """Mark a worker that holds nothing any more as gone."""
    count_time(study)
    gone = update(WORKERS).where(_this(study, worker_id))
    study.connection.execute(gone.values(left_at=now(study.connection)))
    pause_time(study)


def statuses(study: StudyTransaction) -> list[WorkerStatus]:
    """Return all workers that ever registered, in the order of their ids, with what they hold."""
    at = now(study.connection)
    leased = (LEASES.c.study_id == study.study_id,)
    running = (FINALS.c.study_id == study.study_id, FINALS.c.state == "running")
    trials = _by_worker(study, select(LEASES.c.worker_id, LEASES.c.trial_id).where(*leased))
    jobs = _by_worker(study, select(FINALS.c.worker_id, FINALS.c.job_id).where(*running))
    of_study = select(WORKERS).where(WORKERS.c.study_id == study.study_id, WORKERS.c.pid != NO_PID)
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


def _budget(study: StudyTransaction, row: Row[*tuple[Any, ...]], at: float) -> Budget:
    # Those of other programs, finished or enqueued, are not of this budget.
    used = select(func.count()).select_from(TRIALS).where(TRIALS.c.study_id == study.study_id)
    quotas = select(QUOTAS).where(QUOTAS.c.study_id == study.study_id).order_by(QUOTAS.c.name)
    since = None if row.counted_until is None else at - row.counted_until
    # Negative where the clock was set back.
    running = since if since is not None and 0 < since <= study.lease_seconds else 0.0
    return Budget(
        trials=row.trials,
        minutes=row.minutes,
        used_trials=study.connection.execute(used).scalar_one(),
        spent_seconds=row.spent_seconds + running,
        stop_requested=row.stop_requested,
        quotas={q.name: Quota(q.trials, q.used) for q in study.connection.execute(quotas)},
    )


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
