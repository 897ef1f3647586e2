"""Leases: which worker trains which trial, and what becomes of the trials of a dead one.

A trial is told only by the worker that holds its lease, in the transaction that ends the lease: so
it is told once, and what a dead or late worker still says of it is dropped.
"""

from collections.abc import Sequence

from optuna.trial import TrialState
from sqlalchemy import Connection, Select, delete, insert, select, union_all, update

from search.storage import quotas, workers
from search.storage.frozen_trials import load_trials
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.records import ClaimedTrial, OpenTrials, Proposal
from search.storage.tables import BUDGETS, FINALS, LEASES, TRIALS, WORKERS, DatabaseNow
from search.storage.trial_writers import TrialEnd, TrialWriter

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
    """Lease up to `at_most` waiting trials, all of the cohort key of the oldest.

    Trials that were lost with their worker go apart from others and in smaller cohorts, because
    one of them may be what killed it: once lost, half of those that wait; before their last
    attempt, one alone. Returns none once the time is used up or a stop was requested.
    """
    budget = workers.beat(connection, study_id, worker_id, lease_seconds)
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
    """Insert and lease new trials for the first of the proposals, as many as the budget allows.

    Proposals whose quota is used up are passed over. Returns none while trials wait that were given
    back: these come first.
    """
    budget = workers.beat(connection, study_id, worker_id, lease_seconds)
    claimed = _claimed(connection, study_id, claim)
    if claimed or budget.exhausted or connection.scalar(select(_waiting(study_id).exists())):
        return claimed
    allowed = quotas.within(budget.quotas, proposals)[: budget.trials_left]
    if not allowed:
        return []
    quotas.use(connection, study_id, allowed)
    created = writer.create(connection, study_id, allowed)
    rows = [
        {
            "trial_id": trial_id,
            "study_id": study_id,
            "cohort_key": proposal.cohort_key,
            "attempts": 0,
            "worker_id": worker_id,
        }
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
    """Return the ids of the trials of a study that are held, by one look into an index."""
    of_study = select(LEASES.c.trial_id).where(LEASES.c.study_id == study_id)
    return frozenset(connection.execute(of_study).scalars())


def open_trials(connection: Connection, study_id: int) -> OpenTrials:
    """Return whether trials are held or wait; one statement, so that none is missed on its way."""
    held = select(LEASES.c.trial_id).where(LEASES.c.study_id == study_id).exists()
    row = connection.execute(select(held, _waiting(study_id).exists())).one()
    return OpenTrials(*map(bool, row))


def lock_held(connection: Connection, worker_id: int, trial_ids: Sequence[int]) -> set[int]:
    """Return which of the trials a worker holds; nobody can take these until the commit."""
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
) -> list[int]:
    """Let those of the trials that the worker holds wait again; return their ids."""
    mine = sorted(lock_held(connection, worker_id, trial_ids))
    if mine:
        _release(connection, writer, mine)
    return mine


def lose(
    connection: Connection, writer: TrialWriter, trial_ids: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Take trials, whose leases are locked, from a dead worker.

    Returns the ids of the trials that wait again, and of those that were lost too often and failed.
    """
    if not trial_ids:
        return (), ()
    these = TRIALS.c.trial_id.in_(trial_ids)
    connection.execute(update(TRIALS).where(these).values(attempts=TRIALS.c.attempts + 1))
    hopeless = select(TRIALS.c.trial_id).where(these, TRIALS.c.attempts >= MAX_ATTEMPTS)
    failed = sorted(connection.execute(hopeless).scalars())
    again = sorted(set(trial_ids) - set(failed))
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


def take_from(
    connection: Connection, writer: TrialWriter, dead: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Take all trials from dead workers; return the ids as `lose` does."""
    held_by_dead = (
        select(LEASES.c.trial_id)
        .where(LEASES.c.worker_id.in_(dead))
        # A lease that is locked is being told or swept by another at this moment.
        .with_for_update(skip_locked=True)
    )
    return lose(connection, writer, sorted(connection.execute(held_by_dead).scalars()))


def expired_workers(connection: Connection, study_id: int, lease_seconds: float) -> list[int]:
    """Return the ids of the workers that hold trials or final jobs though their lease has run out;
    none during a time of grace.

    One statement, which starts from what is held: of the dead there may be thousands. A worker that
    was said to be dead may hold a trial still, which was being told when the others were taken.
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
    """The trials of a study that were given back; not what another program has enqueued."""
    return (
        select(TRIALS.c.trial_id, TRIALS.c.cohort_key, TRIALS.c.attempts)
        .join(OPTUNA_TRIALS, OPTUNA_TRIALS.c.trial_id == TRIALS.c.trial_id)
        .where(
            TRIALS.c.study_id == study_id,
            # Few are nobody's, so that hardly any of Optuna's rows are looked at.
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
    """Return the trials that a claim has leased."""
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
