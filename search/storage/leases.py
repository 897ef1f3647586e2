"""Leases: which worker trains which trial, and what happens to the trials of a dead worker.

A worker's heartbeats keep its leases alive. Only the worker that holds a trial's lease can finish
the trial, in the transaction that ends the lease: so each trial is finished once, and what a dead
or late worker still reports is dropped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Select, delete, exists, insert, select, union_all, update

from search.storage import budgets
from search.storage.database import StudyTransaction
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.optuna_tables import load_trials
from search.storage.optuna_writers import TrialEnd
from search.storage.records import ClaimedTrial, Enqueued, OpenTrials, Proposal, Report
from search.storage.tables import BUDGETS, FINALS, LEASES, TRIALS, WORKERS, DatabaseNow

MAX_ATTEMPTS = 3
# Looked at in one go; the others follow once these have been claimed or refused.
MOST_ENQUEUED = 32
# Where Optuna's enqueue_trial puts what is asked for.
_FIXED_PARAMS = "fixed_params"


def claim_waiting(study: StudyTransaction, worker_id: int, at_most: int) -> list[ClaimedTrial]:
    """Claim up to `at_most` trials that were given back, all with the cohort key of the oldest.

    Trials that were lost with their worker are claimed apart from others and in smaller groups,
    because one of them may have killed it: after one loss half of those that wait, before the last
    attempt one alone. Returns none once the time is used up or a stop was requested.
    """
    budget = budgets.heartbeat(study, worker_id)
    claimed = _claimed(study)
    if claimed or budget.stop_requested or budget.seconds_left == 0:
        return claimed
    waiting = _waiting(study).order_by(TRIALS.c.trial_id)
    oldest = study.connection.execute(waiting.limit(1)).one_or_none()
    if oldest is None:
        return []
    alike = waiting.where(
        TRIALS.c.cohort_key == oldest.cohort_key, TRIALS.c.attempts == oldest.attempts
    )
    ids = list(study.connection.execute(alike).scalars())[:at_most]
    if oldest.attempts:
        alone = oldest.attempts >= MAX_ATTEMPTS - 1
        ids = ids[: 1 if alone else (len(ids) + 1) // 2]
    study.writer.resume(study.connection, ids)
    held = update(TRIALS).where(TRIALS.c.trial_id.in_(ids)).values(worker_id=worker_id)
    study.connection.execute(held)
    _lease(study, worker_id, ids)
    return _claimed(study)


def claim_new(
    study: StudyTransaction, worker_id: int, proposals: Sequence[Proposal]
) -> list[ClaimedTrial]:
    """Create and claim trials for the first proposals, as many as budget and quotas allow.

    Returns none while trials wait that `claim_waiting` would return, which come first. Raises
    ValueError for a parameter whose distribution is incompatible with the study's, and for a
    quota that the study does not have.
    """
    budget = budgets.heartbeat(study, worker_id)
    claimed = _claimed(study)
    if claimed or budget.exhausted or study.connection.scalar(select(_waiting(study).exists())):
        return claimed
    allowed = budgets.within_quotas(budget.quotas, proposals)[: budget.trials_left]
    if not allowed:
        return []
    budgets.use_quotas(study, allowed)
    created = study.writer.create(study.connection, study.study_id, allowed)
    new = [
        ClaimedTrial(trial_id, number, p.params, p.distributions, p.cohort_key, attempts=0)
        for (trial_id, number), p in zip(created, allowed, strict=True)
    ]
    ours = {"study_id": study.study_id, "worker_id": worker_id}
    rows = [{"trial_id": trial.trial_id, "cohort_key": trial.cohort_key, **ours} for trial in new]
    study.connection.execute(insert(TRIALS), rows)
    _lease(study, worker_id, [trial.trial_id for trial in new])
    return new


def enqueued(study: StudyTransaction, at_most: int = MOST_ENQUEUED) -> list[Enqueued]:
    """Return trials that other programs enqueued and nobody has begun, the oldest first."""
    ids = list(study.connection.execute(_enqueued(study).limit(at_most)).scalars())
    return [
        # What is asked for by `enqueue_trial`, or by a waiting trial that was added.
        Enqueued(t._trial_id, t.number, {**t.params, **_asked(t.system_attrs)})
        for t in (load_trials(study, ids) if ids else ())
    ]


def claim_enqueued(
    study: StudyTransaction, worker_id: int, trial_id: int, proposal: Proposal
) -> list[ClaimedTrial]:
    """Claim a trial that another program enqueued, and give it the parameters of a proposal.

    Returns none where budget or quota do not allow it, or another worker was faster.
    """
    budget = budgets.heartbeat(study, worker_id)
    claimed = _claimed(study)
    if claimed or budget.exhausted or not budgets.within_quotas(budget.quotas, [proposal]):
        return claimed
    if study.connection.scalar(_enqueued(study, trial_id)) is None:
        return []
    budgets.use_quotas(study, [proposal])
    study.writer.fill(study.connection, study.study_id, trial_id, proposal)
    study.writer.resume(study.connection, [trial_id])
    ours = {"study_id": study.study_id, "worker_id": worker_id}
    row = {"trial_id": trial_id, "cohort_key": proposal.cohort_key, **ours}
    study.connection.execute(insert(TRIALS), [row])
    _lease(study, worker_id, [trial_id])
    return _claimed(study)


def refuse_enqueued(study: StudyTransaction, trial_id: int, message: str) -> None:
    """Let a trial fail that another program enqueued and that can't be run; the message says why.

    It stays a trial of that program, and is not of the budget.
    """
    budgets.count_time(study)  # locks out other claims
    if study.connection.scalar(_enqueued(study, trial_id)) is None:
        return
    study.writer.resume(study.connection, [trial_id])
    failed = TrialEnd(trial_id, TrialState.FAIL, None, {"message": message})
    study.writer.finish(study.connection, [failed])


def held(study: StudyTransaction, worker_id: int) -> frozenset[int]:
    """Return the ids of the trials that a worker holds, without locking them."""
    of_worker = select(LEASES.c.trial_id).where(LEASES.c.worker_id == worker_id)
    return frozenset(study.connection.execute(of_worker).scalars())


def held_by_any(study: StudyTransaction) -> frozenset[int]:
    """Return the ids of the trials that workers hold, by one cheap statement.

    As long as these stay the same, no trial is given back.
    """
    of_study = select(LEASES.c.trial_id).where(LEASES.c.study_id == study.study_id)
    return frozenset(study.connection.execute(of_study).scalars())


def open_trials(study: StudyTransaction) -> OpenTrials:
    """Return whether workers hold trials, and whether trials wait to be run again.

    One statement, because a trial that is given back between two would be missed.
    """
    held = select(LEASES.c.trial_id).where(LEASES.c.study_id == study.study_id).exists()
    row = study.connection.execute(select(held, _waiting(study).exists())).one()
    return OpenTrials(*map(bool, row))


def lock_held(study: StudyTransaction, worker_id: int, trial_ids: Sequence[int]) -> set[int]:
    """Return which of the trials a worker holds, and lock them until the commit."""
    leases = (
        select(LEASES.c.trial_id)
        .where(LEASES.c.worker_id == worker_id, LEASES.c.trial_id.in_(trial_ids))
        .order_by(LEASES.c.trial_id)
        .with_for_update()
    )
    return set(study.connection.execute(leases).scalars())


def report(
    study: StudyTransaction, worker_id: int, reports: Sequence[Report | tuple[int, int, float]]
) -> list[int]:
    """Store intermediate values; return the ids of the trials that the worker lost."""
    ids = sorted({trial_id for trial_id, _, _ in reports})
    held = lock_held(study, worker_id, ids)
    if kept := [Report(*report) for report in reports if report[0] in held]:
        study.writer.report(study.connection, kept)
    return [trial_id for trial_id in ids if trial_id not in held]


def end(study: StudyTransaction, trial_ids: Sequence[int]) -> None:
    """Remove the leases of trials."""
    study.connection.execute(delete(LEASES).where(LEASES.c.trial_id.in_(trial_ids)))


def give_back(study: StudyTransaction, worker_id: int, trial_ids: Sequence[int]) -> None:
    """Let trials wait again, as if not begun; those that the worker lost are skipped."""
    if held := sorted(lock_held(study, worker_id, trial_ids)):
        _release(study, held)


def take_from(
    study: StudyTransaction, dead: Sequence[int]
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
    taken = sorted(study.connection.execute(held_by_dead).scalars())
    if not taken:
        return (), ()
    these = TRIALS.c.trial_id.in_(taken)
    study.connection.execute(update(TRIALS).where(these).values(attempts=TRIALS.c.attempts + 1))
    hopeless = select(TRIALS.c.trial_id).where(these, TRIALS.c.attempts >= MAX_ATTEMPTS)
    failed = sorted(study.connection.execute(hopeless).scalars())
    again = sorted(set(taken) - set(failed))
    if failed:
        message = {"message": f"lost {MAX_ATTEMPTS} times: each worker that trained it died"}
        ends = [TrialEnd(trial_id, TrialState.FAIL, None, message) for trial_id in failed]
        study.writer.finish(study.connection, ends)
        _let_go(study, failed)
    if again:
        _release(study, again)
    return tuple(again), tuple(failed)


def expired_workers(study: StudyTransaction) -> list[int]:
    """Return the ids of the workers that hold trials or final jobs on an expired lease.

    None are returned during a grace period. The statement starts from what is held, since there may
    be thousands of dead workers. A worker that was swept before may still hold a trial: one that
    was locked at that moment.
    """
    running = (FINALS.c.study_id == study.study_id, FINALS.c.state == "running")
    holding = union_all(
        select(LEASES.c.worker_id).where(LEASES.c.study_id == study.study_id),
        select(FINALS.c.worker_id).where(*running),
    )
    expired = (
        select(WORKERS.c.worker_id)
        .join(BUDGETS, BUDGETS.c.study_id == WORKERS.c.study_id)
        .where(
            WORKERS.c.worker_id.in_(holding),
            WORKERS.c.last_beat <= DatabaseNow() - study.lease_seconds,
            BUDGETS.c.grace_until <= DatabaseNow(),
        )
    )
    return list(study.connection.execute(expired).scalars())


def _waiting(study: StudyTransaction) -> Select[int, str, int]:
    """Select the trials of a study that were given back, not those another program enqueued."""
    return (
        select(TRIALS.c.trial_id, TRIALS.c.cohort_key, TRIALS.c.attempts)
        .join(OPTUNA_TRIALS, OPTUNA_TRIALS.c.trial_id == TRIALS.c.trial_id)
        .where(
            TRIALS.c.study_id == study.study_id,
            # Few trials have no worker, so few of Optuna's rows are read.
            TRIALS.c.worker_id.is_(None),
            OPTUNA_TRIALS.c.state == TrialState.WAITING,
        )
    )


def _enqueued(study: StudyTransaction, trial_id: int | None = None) -> Select[int]:
    """Select the ids of waiting trials that are not ours, the oldest first; or only one of them."""
    waiting = select(OPTUNA_TRIALS.c.trial_id).where(
        OPTUNA_TRIALS.c.study_id == study.study_id,
        OPTUNA_TRIALS.c.state == TrialState.WAITING,
        ~exists().where(TRIALS.c.trial_id == OPTUNA_TRIALS.c.trial_id),
    )
    if trial_id is not None:
        return waiting.where(OPTUNA_TRIALS.c.trial_id == trial_id)
    return waiting.order_by(OPTUNA_TRIALS.c.trial_id)


def _asked(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = attributes.get(_FIXED_PARAMS, {})
    return asked if isinstance(asked, Mapping) else {}


def _lease(study: StudyTransaction, worker_id: int, trial_ids: Sequence[int]) -> None:
    row = {"study_id": study.study_id, "worker_id": worker_id, "claim": study.claim}
    study.connection.execute(insert(LEASES), [{"trial_id": i, **row} for i in trial_ids])


def _claimed(study: StudyTransaction) -> list[ClaimedTrial]:
    """Return the trials that this claim leased, also where its first answer was lost."""
    of_claim = (
        select(TRIALS.c.trial_id, TRIALS.c.cohort_key, TRIALS.c.attempts)
        .join(LEASES, LEASES.c.trial_id == TRIALS.c.trial_id)
        .where(LEASES.c.study_id == study.study_id, LEASES.c.claim == study.claim)
    )
    rows = {row.trial_id: row for row in study.connection.execute(of_claim)}
    return [
        ClaimedTrial(
            trial_id=trial._trial_id,
            number=trial.number,
            params=trial.params,
            distributions=trial.distributions,
            cohort_key=rows[trial._trial_id].cohort_key,
            attempts=rows[trial._trial_id].attempts,
        )
        for trial in load_trials(study, sorted(rows))
    ]


def _release(study: StudyTransaction, trial_ids: Sequence[int]) -> None:
    study.writer.release(study.connection, trial_ids)
    _let_go(study, trial_ids)


def _let_go(study: StudyTransaction, trial_ids: Sequence[int]) -> None:
    these = TRIALS.c.trial_id.in_(trial_ids)
    study.connection.execute(update(TRIALS).where(these).values(worker_id=None))
    end(study, trial_ids)
