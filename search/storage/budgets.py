"""The budget of a study: how many trials may be claimed, and for how long it may run.

The running time is the time in which at least one worker was alive. Each heartbeat adds the time
since the last count, unless that is longer than a lease, when no worker was alive.

Quotas are parts of the budget of trials, each with a name and a limit. A claim uses them in its
transaction; a trial that fails, is pruned or is given back stays counted.

All transactions lock rows in the same order, so that no two wait for each other: leases, budget,
worker, Optuna's study.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select, update

from search.storage.database import StudyTransaction, upsert
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.records import Budget, Proposal, Quota
from search.storage.tables import BUDGETS, QUOTAS, WORKERS, DatabaseNow


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
    budget = _budget(study, row, at)
    change(study, spent_seconds=budget.spent_seconds, counted_until=at)
    return budget


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


def _budget(study: StudyTransaction, row: Row[*tuple[Any, ...]], at: float) -> Budget:
    in_study = OPTUNA_TRIALS.c.study_id == study.study_id
    used = select(func.count()).select_from(OPTUNA_TRIALS).where(in_study)
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
