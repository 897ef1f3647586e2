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

from sqlalchemy import Connection, Row, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.records import Budget, Proposal, Quota
from search.storage.tables import BUDGETS, QUOTAS, WORKERS, DatabaseNow


def set_limits(
    connection: Connection,
    study_id: int,
    trials: int | None,
    minutes: float | None,
    quota_trials: Mapping[str, int],
) -> None:
    """Set the limits of a study, None for no limit, and those of the quotas that are named."""
    of_study = BUDGETS.c.study_id == study_id
    connection.execute(update(BUDGETS).where(of_study).values(trials=trials, minutes=minutes))
    set_quotas(connection, study_id, quota_trials)


def set_stop(connection: Connection, study_id: int, *, requested: bool) -> None:
    """Ask the workers of a study to end, or withdraw the request."""
    of_study = BUDGETS.c.study_id == study_id
    connection.execute(update(BUDGETS).where(of_study).values(stop_requested=requested))


def read(connection: Connection, study_id: int, lease_seconds: float) -> Budget:
    """Return the budget as it is now, without locking it."""
    row = connection.execute(select(BUDGETS).where(BUDGETS.c.study_id == study_id)).one()
    return _budget(connection, row, now(connection), lease_seconds)


def count_time(connection: Connection, study_id: int, lease_seconds: float) -> Budget:
    """Count the running time up to now and return the budget, locked against other claims."""
    of_study = BUDGETS.c.study_id == study_id
    row = connection.execute(select(BUDGETS).where(of_study).with_for_update()).one()
    at = now(connection)
    budget = _budget(connection, row, at, lease_seconds)
    connection.execute(
        update(BUDGETS).where(of_study).values(spent_seconds=budget.spent_seconds, counted_until=at)
    )
    return budget


def pause_time(connection: Connection, study_id: int, lease_seconds: float) -> None:
    """Stop counting if no worker of the study is alive. The budget must be locked."""
    alive = exists().where(
        WORKERS.c.study_id == study_id,
        WORKERS.c.left_at.is_(None),
        WORKERS.c.last_beat > now(connection) - lease_seconds,
    )
    of_study = BUDGETS.c.study_id == study_id
    connection.execute(update(BUDGETS).where(of_study, ~alive).values(counted_until=None))


def now(connection: Connection) -> float:
    """Return the seconds since the epoch by the database's clock."""
    return connection.execute(select(DatabaseNow())).scalar_one()


def _budget(
    connection: Connection, row: Row[*tuple[object, ...]], at: float, lease: float
) -> Budget:
    in_study = OPTUNA_TRIALS.c.study_id == row.study_id
    used = connection.execute(
        select(func.count()).select_from(OPTUNA_TRIALS).where(in_study)
    ).scalar_one()
    since = None if row.counted_until is None else at - row.counted_until
    # Negative where the clock was set back.
    running = since if since is not None and 0 < since <= lease else 0.0
    return Budget(
        trials=row.trials,
        minutes=row.minutes,
        used_trials=used,
        spent_seconds=row.spent_seconds + running,
        stop_requested=row.stop_requested,
        quotas=_quotas(connection, row.study_id),
    )


def set_quotas(connection: Connection, study_id: int, limits: Mapping[str, int]) -> None:
    """Set the limits of new or known quotas; what is used of them stays."""
    if not limits:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(QUOTAS)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["study_id", "name"], set_={"trials": statement.excluded.trials}
        ),
        [{"study_id": study_id, "name": name, "trials": n} for name, n in sorted(limits.items())],
    )


def _quotas(connection: Connection, study_id: int) -> dict[str, Quota]:
    of_study = select(QUOTAS).where(QUOTAS.c.study_id == study_id).order_by(QUOTAS.c.name)
    return {row.name: Quota(row.trials, row.used) for row in connection.execute(of_study)}


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


def use_quotas(connection: Connection, study_id: int, claimed: Sequence[Proposal]) -> None:
    """Count claimed proposals. The budget of the study must be locked."""
    for name, trials in Counter(proposal.quota for proposal in claimed).items():
        if name is not None:
            of_quota = (QUOTAS.c.study_id == study_id, QUOTAS.c.name == name)
            connection.execute(update(QUOTAS).where(*of_quota).values(used=QUOTAS.c.used + trials))
