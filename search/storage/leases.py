"""Leases: which worker trains which trial, and what happens to the trials of a dead worker.

A worker's heartbeats keep its leases alive. Only the worker that holds a trial's lease can finish
the trial, in the transaction that ends the lease: so each trial is finished once, and what a dead
or late worker still reports is dropped.
"""

from collections.abc import Sequence

from optuna.trial import TrialState
from sqlalchemy import Connection, Select, delete, insert, select, union_all, update

from search.storage import budgets, workers
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.optuna_tables import load_trials
from search.storage.optuna_writers import TrialEnd, TrialWriter
from search.storage.records import ClaimedTrial, OpenTrials, Proposal
from search.storage.tables import BUDGETS, FINALS, LEASES, TRIALS, WORKERS, DatabaseNow

MAX_ATTEMPTS = 3


def claim_waiting(
    connection: Connection,
    writer: TrialWriter,
    study_id: int,
    worker_id: int,
    claim: str,
    at_most: int,
    lease_seconds: float,
) -> list[ClaimedTrial]:
    """Lease up to `at_most` waiting trials, all with the cohort key of the oldest.

    Trials that were lost with their worker are leased apart from others and in smaller cohorts,
    because one of them may have killed it: after one loss half of those that wait, before the last
    attempt one alone. Returns none once the time is used up or a stop was requested.
    """
    budget = workers.heartbeat(connection, study_id, worker_id, lease_seconds)
    claimed = _claimed(connection, study_id, claim)
    if claimed or budget.stop_requested or budget.seconds_left == 0:
        return claimed
    waiting = _waiting(study_id).order_by(TRIALS.c.trial_id)
    oldest = connection.execute(waiting.limit(1)).one_or_none()
    if oldest is None:
        return []
    alike = waiting.where(
        TRIALS.c.cohort_key == oldest.cohort_key, TRIALS.c.attempts == oldest.attempts
    )
    ids = list(connection.execute(alike).scalars())[:at_most]
    if oldest.attempts:
        alone = oldest.attempts >= MAX_ATTEMPTS - 1
        ids = ids[: 1 if alone else (len(ids) + 1) // 2]
    writer.resume(connection, ids)
    connection.execute(update(TRIALS).where(TRIALS.c.trial_id.in_(ids)).values(worker_id=worker_id))
    _lease(connection, study_id, worker_id, claim, ids)
    return _claimed(connection, study_id, claim)


def claim_new(
    connection: Connection,
    writer: TrialWriter,
    study_id: int,
    worker_id: int,
    claim: str,
    proposals: Sequence[Proposal],
    lease_seconds: float,
) -> list[ClaimedTrial]:
    """Insert and lease new trials for the first proposals, as many as the budget allows.

    Proposals whose quota is used up are skipped. Returns none while trials wait that were given
    back, which come first.
    """
    budget = workers.heartbeat(connection, study_id, worker_id, lease_seconds)
    claimed = _claimed(connection, study_id, claim)
    if claimed or budget.exhausted or connection.scalar(select(_waiting(study_id).exists())):
        return claimed
    allowed = budgets.within_quotas(budget.quotas, proposals)[: budget.trials_left]
    if not allowed:
        return []
    budgets.use_quotas(connection, study_id, allowed)
    created = writer.create(connection, study_id, allowed)
    ours = {"study_id": study_id, "attempts": 0, "worker_id": worker_id}
    rows = [
        {"trial_id": trial_id, "cohort_key": proposal.cohort_key, **ours}
        for (trial_id, _), proposal in zip(created, allowed, strict=True)
    ]
    connection.execute(insert(TRIALS), rows)
    _lease(connection, study_id, worker_id, claim, [trial_id for trial_id, _ in created])
    return [
        ClaimedTrial(trial_id, number, p.params, p.distributions, p.cohort_key, attempts=0)
        for (trial_id, number), p in zip(created, allowed, strict=True)
    ]


def held(connection: Connection, worker_id: int) -> frozenset[int]:
    """Return the ids of the trials that a worker holds, without locking them."""
    of_worker = select(LEASES.c.trial_id).where(LEASES.c.worker_id == worker_id)
    return frozenset(connection.execute(of_worker).scalars())


def held_by_any(connection: Connection, study_id: int) -> frozenset[int]:
    """Return the ids of all held trials of a study, read from an index."""
    of_study = select(LEASES.c.trial_id).where(LEASES.c.study_id == study_id)
    return frozenset(connection.execute(of_study).scalars())


def open_trials(connection: Connection, study_id: int) -> OpenTrials:
    """Return whether trials are held or wait.

    One statement, because a trial that is given back between two would be missed.
    """
    held = select(LEASES.c.trial_id).where(LEASES.c.study_id == study_id).exists()
    row = connection.execute(select(held, _waiting(study_id).exists())).one()
    return OpenTrials(*map(bool, row))


def lock_held(connection: Connection, worker_id: int, trial_ids: Sequence[int]) -> set[int]:
    """Return which of the trials a worker holds, and lock them until the commit."""
    leases = (
        select(LEASES.c.trial_id)
        .where(LEASES.c.worker_id == worker_id, LEASES.c.trial_id.in_(trial_ids))
        .order_by(LEASES.c.trial_id)
        .with_for_update()
    )
    return set(connection.execute(leases).scalars())


def end(connection: Connection, trial_ids: Sequence[int]) -> None:
    """Remove the leases of trials."""
    connection.execute(delete(LEASES).where(LEASES.c.trial_id.in_(trial_ids)))


def give_back(
    connection: Connection, writer: TrialWriter, worker_id: int, trial_ids: Sequence[int]
) -> None:
    """Let those of the trials wait again that the worker holds."""
    held = sorted(lock_held(connection, worker_id, trial_ids))
    if held:
        _release(connection, writer, held)


def take_from(
    connection: Connection, writer: TrialWriter, dead: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Take all trials from dead workers.

    Returns the ids of the trials that wait again, and of those that failed after MAX_ATTEMPTS.
    """
    held_by_dead = (
        select(LEASES.c.trial_id)
        .where(LEASES.c.worker_id.in_(dead))
        # A locked lease belongs to a trial that another process finishes or sweeps right now.
        .with_for_update(skip_locked=True)
    )
    taken = sorted(connection.execute(held_by_dead).scalars())
    if not taken:
        return (), ()
    these = TRIALS.c.trial_id.in_(taken)
    connection.execute(update(TRIALS).where(these).values(attempts=TRIALS.c.attempts + 1))
    hopeless = select(TRIALS.c.trial_id).where(these, TRIALS.c.attempts >= MAX_ATTEMPTS)
    failed = sorted(connection.execute(hopeless).scalars())
    again = sorted(set(taken) - set(failed))
    if failed:
        message = {"message": f"lost {MAX_ATTEMPTS} times: each worker that trained it died"}
        writer.finish(
            connection, [TrialEnd(trial_id, TrialState.FAIL, None, message) for trial_id in failed]
        )
        _forget_worker(connection, failed)
        end(connection, failed)
    if again:
        _release(connection, writer, again)
    return tuple(again), tuple(failed)


def expired_workers(connection: Connection, study_id: int, lease_seconds: float) -> list[int]:
    """Return the ids of the workers that hold trials or final jobs on an expired lease.

    None are returned during a grace period. The statement starts from what is held, since there may
    be thousands of dead workers. A worker that was swept before may still hold a trial: one that
    was locked at that moment.
    """
    holding = union_all(
        select(LEASES.c.worker_id).where(LEASES.c.study_id == study_id),
        select(FINALS.c.worker_id).where(
            FINALS.c.study_id == study_id, FINALS.c.state == "running"
        ),
    )
    expired = (
        select(WORKERS.c.worker_id)
        .join(BUDGETS, BUDGETS.c.study_id == WORKERS.c.study_id)
        .where(
            WORKERS.c.worker_id.in_(holding),
            WORKERS.c.last_beat <= DatabaseNow() - lease_seconds,
            BUDGETS.c.grace_until <= DatabaseNow(),
        )
    )
    return list(connection.execute(expired).scalars())


def _waiting(study_id: int) -> Select[int, str, int]:
    """Select the trials of a study that were given back, not those another program enqueued."""
    return (
        select(TRIALS.c.trial_id, TRIALS.c.cohort_key, TRIALS.c.attempts)
        .join(OPTUNA_TRIALS, OPTUNA_TRIALS.c.trial_id == TRIALS.c.trial_id)
        .where(
            TRIALS.c.study_id == study_id,
            # Few trials have no worker, so few of Optuna's rows are read.
            TRIALS.c.worker_id.is_(None),
            OPTUNA_TRIALS.c.state == TrialState.WAITING,
        )
    )


def _lease(
    connection: Connection, study_id: int, worker_id: int, claim: str, trial_ids: Sequence[int]
) -> None:
    row = {"study_id": study_id, "worker_id": worker_id, "claim": claim}
    connection.execute(insert(LEASES), [{"trial_id": i, **row} for i in trial_ids])


def _claimed(connection: Connection, study_id: int, claim: str) -> list[ClaimedTrial]:
    """Return the trials that a claim leased, also where its first answer was lost."""
    of_claim = (
        select(TRIALS.c.trial_id, TRIALS.c.cohort_key, TRIALS.c.attempts)
        .join(LEASES, LEASES.c.trial_id == TRIALS.c.trial_id)
        .where(LEASES.c.study_id == study_id, LEASES.c.claim == claim)
    )
    rows = {row.trial_id: row for row in connection.execute(of_claim)}
    return [
        ClaimedTrial(
            trial_id=trial._trial_id,
            number=trial.number,
            params=trial.params,
            distributions=trial.distributions,
            cohort_key=rows[trial._trial_id].cohort_key,
            attempts=rows[trial._trial_id].attempts,
        )
        for trial in load_trials(connection, study_id, sorted(rows))
    ]


def _release(connection: Connection, writer: TrialWriter, trial_ids: Sequence[int]) -> None:
    writer.release(connection, trial_ids)
    _forget_worker(connection, trial_ids)
    end(connection, trial_ids)


def _forget_worker(connection: Connection, trial_ids: Sequence[int]) -> None:
    these = TRIALS.c.trial_id.in_(trial_ids)
    connection.execute(update(TRIALS).where(these).values(worker_id=None))
