"""A clock of the database that is set back: the dead still lose what they hold, and time goes on.

All times of a study are by that clock. To set it back is therefore the same as to move what is
stored into the future.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from search.storage.study_store import StudyStore
    from tests.search.storage.conftest import Propose, RunSql, Silence

HOUR = 3600.0


@pytest.fixture
def set_back(run_sql: RunSql) -> Callable[[], None]:
    """Sets the clock of the database back by an hour."""

    def set_back() -> None:
        run_sql(
            "UPDATE freerun_workers SET registered = registered + :hour, "
            "last_beat = last_beat + :hour, left_at = left_at + :hour",
            hour=HOUR,
        )
        run_sql(
            "UPDATE freerun_budgets SET counted_until = counted_until + :hour, "
            "grace_until = grace_until + :hour",
            hour=HOUR,
        )

    return set_back


def test_the_living_keep_their_trials_and_the_dead_lose_them_after_a_lease(
    study: StudyStore,
    worker: int,
    propose: Propose,
    silence: Silence,
    set_back: Callable[[], None],
) -> None:
    dead = study.register_worker(host="here", pid=2, machine={})
    (kept,) = study.claim_new(worker, propose(1))
    (lost,) = study.claim_new(dead, propose(1))
    set_back()
    assert study.beat(worker).held_trials == {kept.trial_id}
    assert study.sweep().given_back == ()
    # A lease later, as it would be without the change.
    silence(dead, study.lease_seconds + 1)
    beat = study.beat(worker)
    assert beat.to_sweep
    assert beat.held_trials == {kept.trial_id}
    assert study.sweep().given_back == (lost.trial_id,)


def test_what_the_dead_hold_waits_where_nobody_lives(
    study: StudyStore,
    worker: int,
    propose: Propose,
    silence: Silence,
    set_back: Callable[[], None],
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    set_back()
    assert study.sweep().given_back == ()
    silence(worker, study.lease_seconds + 1)
    assert study.sweep().given_back == (trial.trial_id,)


def test_a_new_worker_notices_the_change(
    study: StudyStore,
    worker: int,
    propose: Propose,
    silence: Silence,
    set_back: Callable[[], None],
    run_sql: RunSql,
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    run_sql("UPDATE freerun_budgets SET counted_until = NULL")
    set_back()
    other = study.register_worker(host="here", pid=2, machine={})
    silence(worker, study.lease_seconds + 1)
    assert study.beat(other).to_sweep
    assert study.sweep().given_back == (trial.trial_id,)


def test_a_grace_period_ends_after_a_lease(
    study: StudyStore,
    worker: int,
    propose: Propose,
    silence: Silence,
    set_back: Callable[[], None],
    run_sql: RunSql,
) -> None:
    other = study.register_worker(host="here", pid=2, machine={})
    study.claim_new(other, propose(1))
    for absent in (worker, other):
        silence(absent)
    study.beat(worker)  # after an outage
    set_back()
    study.beat(worker)
    ((left,),) = run_sql(
        "SELECT grace_until - (SELECT max(last_beat) FROM freerun_workers) FROM freerun_budgets"
    )
    assert 0 < left <= study.lease_seconds + 0.1


def test_the_running_time_that_was_counted_stays(
    study: StudyStore, worker: int, run_sql: RunSql, set_back: Callable[[], None]
) -> None:
    study.set_budget(trials=None, minutes=2.0)
    run_sql("UPDATE freerun_budgets SET spent_seconds = 50, counted_until = counted_until - 10")
    before = study.beat(worker).budget.spent_seconds
    assert before == pytest.approx(60, abs=5)
    set_back()
    after = study.beat(worker).budget.spent_seconds
    assert after == pytest.approx(before, abs=0.1)
    run_sql("UPDATE freerun_budgets SET counted_until = counted_until - 10")
    assert study.beat(worker).budget.spent_seconds == pytest.approx(after + 10, abs=5)
