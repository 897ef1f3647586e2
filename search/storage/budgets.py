"""The budget of a study: how many trials may be claimed, and for how long it may run.

The running time is the time in which at least one worker was alive. It is counted at every beat: up
to now where the last count is younger than a lease, else from anew, because then nobody was alive.

Rows are locked in one order everywhere, so that no two transactions wait for each other: leases,
budget, worker, Optuna's study.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, Row, exists, func, select, update

from search.storage import quotas
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.records import Budget
from search.storage.tables import BUDGETS, WORKERS, DatabaseNow


def set_limits(
    connection: Connection,
    study_id: int,
    trials: int | None,
    minutes: float | None,
    quota_trials: Mapping[str, int],
) -> None:
    """Set the limits of a study, None is no limit; and those of the quotas that are named."""
    of_study = BUDGETS.c.study_id == study_id
    connection.execute(update(BUDGETS).where(of_study).values(trials=trials, minutes=minutes))
    quotas.set_limits(connection, study_id, quota_trials)


def set_stop(connection: Connection, study_id: int, *, requested: bool) -> None:
    """Ask the workers of a study to end, or take that back."""
    of_study = BUDGETS.c.study_id == study_id
    connection.execute(update(BUDGETS).where(of_study).values(stop_requested=requested))


def read(connection: Connection, study_id: int, lease_seconds: float) -> Budget:
    """Return the budget as it is now, without locking it."""
    row = connection.execute(select(BUDGETS).where(BUDGETS.c.study_id == study_id)).one()
    return _budget(connection, row, now(connection), lease_seconds)


def lock(connection: Connection, study_id: int) -> None:
    """Let no other transaction claim trials of the study until this one ends."""
    connection.execute(
        select(BUDGETS.c.study_id).where(BUDGETS.c.study_id == study_id).with_for_update()
    )


def count_time(connection: Connection, study_id: int, lease_seconds: float) -> Budget:
    """Count the running time up to now, lock the budget and return it."""
    lock(connection, study_id)
    of_study = BUDGETS.c.study_id == study_id
    row = connection.execute(select(BUDGETS).where(of_study)).one()
    at = now(connection)
    budget = _budget(connection, row, at, lease_seconds)
    connection.execute(
        update(BUDGETS).where(of_study).values(spent_seconds=budget.spent_seconds, counted_until=at)
    )
    return budget


def pause_time(connection: Connection, study_id: int, lease_seconds: float) -> None:
    """Stop counting if no worker of the study is alive any more. The budget is locked."""
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
    # A clock that was set back counts nothing.
    running = since if since is not None and 0 < since <= lease else 0.0
    return Budget(
        trials=row.trials,
        minutes=row.minutes,
        used_trials=used,
        spent_seconds=row.spent_seconds + running,
        stop_requested=row.stop_requested,
        quotas=quotas.read(connection, row.study_id),
    )
