"""Leases: which worker holds which trial, and that no trial is lost or finished twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.trial import TrialState

from search.errors import FreerunError
from search.storage.leases import MAX_ATTEMPTS
from search.storage.opening import open_storage
from search.storage.records import FinishedTrial, Swept
from search.storage.studies import Storage
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    from tests.search.storage.conftest import Propose, RunSql, Silence


def done(trial_id: int, value: float = 0.5) -> FinishedTrial:
    return FinishedTrial(trial_id, "complete", value)


def register(study: StudyStore, pid: int) -> int:
    return study.register_worker(host="here", pid=pid, machine={})


def test_new_trials_are_claimed_reported_and_finished(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    proposals = propose(3)
    claimed = study.claim_new(worker, proposals)
    assert [trial.number for trial in claimed] == [0, 1, 2]
    assert [trial.params for trial in claimed] == [proposal.params for proposal in proposals]
    ids = [trial.trial_id for trial in claimed]
    assert study.beat(worker).held_trials == set(ids)

    assert study.report(worker, [(trial_id, 1, 0.9) for trial_id in ids]) == []
    assert study.finish(worker, [done(trial_id) for trial_id in ids]) == []
    assert study.beat(worker).held_trials == set()
    assert study.counts().complete == 3


def test_numbers_continue_across_claims(study: StudyStore, worker: int, propose: Propose) -> None:
    numbers = [t.number for _ in range(3) for t in study.claim_new(worker, propose(2))]
    assert numbers == list(range(6))


def test_empty_calls_do_nothing(study: StudyStore, worker: int) -> None:
    assert study.claim_new(worker, []) == []
    assert study.claim_waiting(worker, 8) == []
    assert study.report(worker, []) == []
    assert study.finish(worker, []) == []
    study.give_back(worker, [])
    assert study.sweep() == Swept((), (), ())
    assert study.counts().total == 0


def test_a_trial_given_back_waits_with_its_params_and_without_reports(
    study: StudyStore, worker: int, propose: Propose, run_sql: RunSql
) -> None:
    first, second = study.claim_new(worker, propose(2))
    study.report(worker, [(first.trial_id, 1, 0.9), (second.trial_id, 1, 0.8)])
    study.give_back(worker, [first.trial_id])

    assert study.counts().waiting == 1
    assert run_sql("SELECT trial_id FROM trial_intermediate_values") == [(second.trial_id,)]
    other = register(study, 2)
    (again,) = study.claim_waiting(other, 8)
    assert (again.trial_id, again.number, again.params) == (
        first.trial_id,
        first.number,
        first.params,
    )
    assert again.distributions == first.distributions
    assert again.attempts == 0
    assert study.finish(worker, [done(first.trial_id)]) == [first.trial_id]
    assert study.finish(other, [done(first.trial_id)]) == []


def test_waiting_trials_are_claimed_by_the_cohort_of_the_oldest(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    ids = {
        key: [trial.trial_id for trial in study.claim_new(worker, propose(count, key))]
        for key, count in (("b", 2), ("a", 3))
    }
    late_b = [trial.trial_id for trial in study.claim_new(worker, propose(1, "b"))]
    study.give_back(worker, [*ids["a"], *late_b, *ids["b"]])

    def claim(at_most: int) -> list[int]:
        return [trial.trial_id for trial in study.claim_waiting(worker, at_most)]

    assert claim(8) == [*ids["b"], *late_b]
    assert claim(2) == ids["a"][:2]
    assert claim(2) == ids["a"][2:]
    assert claim(2) == []


def test_only_the_holder_of_a_lease_can_report_and_finish(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    stranger = register(study, 2)
    assert study.report(stranger, [(trial.trial_id, 1, 0.1)]) == [trial.trial_id]
    assert study.finish(stranger, [done(trial.trial_id, 0.1)]) == [trial.trial_id]
    study.give_back(stranger, [trial.trial_id])
    assert study.counts().running == 1
    assert study.trial(0).intermediate_values == {}


def test_finishing_again_loses_no_trial_and_changes_nothing(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    assert study.finish(worker, [done(trial.trial_id, 0.5)]) == []
    assert study.finish(worker, [done(trial.trial_id, 0.1)]) == []
    assert study.trial(0).value == 0.5


def test_a_sweep_gives_the_trials_of_a_dead_worker_back(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    ids = tuple(trial.trial_id for trial in study.claim_new(worker, propose(2)))
    alive = register(study, 2)
    (held,) = study.claim_new(alive, propose(1))
    assert study.sweep() == Swept((), (), ())

    silence(worker)
    assert study.sweep() == Swept(ids, (), ())
    assert study.beat(alive).held_trials == {held.trial_id}
    again = [*study.claim_waiting(alive, 8), *study.claim_waiting(alive, 8)]
    assert [(trial.trial_id, trial.attempts) for trial in again] == [(i, 1) for i in ids]


def test_a_trial_that_kills_its_workers_is_at_last_lost_alone(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    deadly = [trial.trial_id for trial in study.claim_new(worker, propose(8))][5]
    silence(worker)
    study.sweep()
    sizes = []
    while study.counts().waiting:
        other = register(study, 2)
        claimed = [trial.trial_id for trial in study.claim_waiting(other, 8)]
        sizes.append(len(claimed))
        if deadly in claimed:
            silence(other)
            study.sweep()
        else:
            study.finish(other, [done(trial_id) for trial_id in claimed])
            study.leave(other)
    # Half of those lost once, the rest of them in the same way; those lost twice one by one.
    assert sizes == [4, 2, 1, 1, 1, 1]
    assert (study.counts().complete, study.counts().failed) == (7, 1)
    assert study.trial(5)._trial_id == deadly
    assert study.trial(5).state == TrialState.FAIL


def test_lost_trials_wait_apart_from_those_given_back(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    lost = [trial.trial_id for trial in study.claim_new(worker, propose(2))]
    other = register(study, 2)
    given_back = [trial.trial_id for trial in study.claim_new(other, propose(3))]
    silence(worker)
    study.sweep()
    study.give_back(other, given_back)
    claims = [[trial.trial_id for trial in study.claim_waiting(other, 8)] for _ in range(3)]
    assert claims == [lost[:1], lost[1:], given_back]


def test_a_late_worker_learns_what_it_lost(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    first, second = study.claim_new(worker, propose(2))
    study.finish(worker, [done(first.trial_id)])
    silence(worker)
    study.sweep()
    assert study.beat(worker).held_trials == set()
    assert study.report(worker, [(second.trial_id, 1, 0.9)]) == [second.trial_id]
    lost = study.finish(worker, [done(first.trial_id), done(second.trial_id)])
    assert lost == [second.trial_id]


def test_a_trial_that_is_lost_too_often_fails(
    study: StudyStore, propose: Propose, silence: Silence
) -> None:
    workers = [register(study, pid) for pid in range(MAX_ATTEMPTS)]
    (trial,) = study.claim_new(workers[0], propose(1))
    for attempt, worker in enumerate(workers):
        if attempt:
            (again,) = study.claim_waiting(worker, 1)
            assert again.attempts == attempt
        silence(worker)
        swept = study.sweep()
        assert swept.given_back + swept.failed == (trial.trial_id,)
        assert bool(swept.failed) == (attempt == MAX_ATTEMPTS - 1)
    row = study.trial(0)
    assert row.state == TrialState.FAIL
    assert "lost 3 times" in row.user_attrs["message"]
    assert study.finish(workers[-1], [done(trial.trial_id)]) == [trial.trial_id]


def test_giving_back_does_not_count_as_a_loss(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    for _ in range(MAX_ATTEMPTS + 1):
        study.give_back(worker, [trial.trial_id])
        (again,) = study.claim_waiting(worker, 1)
        assert again.attempts == 0


def test_the_first_heartbeat_after_an_outage_starts_a_grace_period(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    other = register(study, 2)
    study.claim_new(worker, propose(1))
    study.claim_new(other, propose(1))
    silence(worker)
    silence(other)
    study.beat(worker)
    assert study.sweep() == Swept((), (), ())
    assert len(study.beat(other).held_trials) == 1


def test_an_outage_shorter_than_a_lease_loses_no_trial(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    other = register(study, 2)
    study.claim_new(worker, propose(1))
    study.claim_new(other, propose(1))
    for worker_id in (worker, other):
        silence(worker_id, 0.6 * study.lease_seconds)
    study.beat(worker)
    # The other comes back later, when its lease has run out by itself.
    silence(other, 0.6 * study.lease_seconds)
    assert not study.beat(worker).to_sweep
    assert study.sweep() == Swept((), (), ())
    assert len(study.beat(other).held_trials) == 1


def test_a_worker_that_was_cut_off_alone_starts_no_grace_period(
    study: StudyStore, worker: int, propose: Propose, silence: Silence, run_sql: RunSql
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    late, lively = register(study, 2), register(study, 3)
    run_sql("UPDATE freerun_workers SET registered = registered - 2000")
    silence(worker)
    silence(late)
    study.beat(lively)
    study.beat(late)
    assert study.sweep().given_back == (trial.trial_id,)


def test_a_worker_that_joins_after_an_outage_does_not_end_the_grace_period(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    other = register(study, 2)
    study.claim_new(other, propose(1))
    silence(worker)
    silence(other)
    joined = register(study, 3)
    study.beat(worker)
    assert not study.beat(joined).to_sweep
    assert len(study.beat(other).held_trials) == 1


def test_a_heartbeat_says_when_a_sweep_is_due(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    idle, alive = register(study, 2), register(study, 3)
    trials = [trial.trial_id for trial in study.claim_new(worker, propose(2))]
    silence(idle)
    # The dead that hold nothing are of no interest.
    assert not study.beat(alive).to_sweep
    silence(worker)
    assert study.beat(alive).to_sweep
    assert study.sweep().given_back == tuple(trials)
    assert not study.beat(alive).to_sweep

    study.plan_final_jobs("final", trials[:1])
    other = register(study, 4)
    assert study.claim_final_job(other) is not None
    assert not study.beat(alive).to_sweep
    silence(other)
    assert study.beat(alive).to_sweep
    assert len(study.sweep().final_jobs) == 1
    assert not study.beat(alive).to_sweep


def test_no_new_trial_is_claimed_while_trials_wait(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    first, second = study.claim_new(worker, propose(2))
    study.give_back(worker, [first.trial_id])
    other = register(study, 2)
    assert study.claim_new(other, propose(1)) == []
    assert [t.trial_id for t in study.claim_waiting(other, 8)] == [first.trial_id]
    assert [t.number for t in study.claim_new(other, propose(1))] == [2]
    assert study.held_trials() >= {first.trial_id, second.trial_id}


def test_open_trials_are_held_or_waiting(study: StudyStore, worker: int, propose: Propose) -> None:
    assert study.open_trials() == (False, False)
    first, second = [trial.trial_id for trial in study.claim_new(worker, propose(2))]
    assert study.open_trials() == (True, False)
    assert study.held_trials() == {first, second}
    study.give_back(worker, [first])
    assert study.open_trials() == (True, True)
    assert study.held_trials() == {second}
    study.finish(worker, [done(second)])
    assert study.open_trials() == (False, True)
    study.claim_waiting(worker, 1)
    study.finish(worker, [done(first)])
    assert study.open_trials() == (False, False)


def test_open_trials_of_another_program_are_ignored(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    plain = optuna.load_study(study_name="sine", storage=storage.optuna)
    plain.ask()
    plain.enqueue_trial({"learning_rate": 0.01})
    assert (study.counts().running, study.counts().waiting) == (1, 1)
    assert study.open_trials() == (False, False)
    assert study.claim_waiting(worker, 1) == []
    assert len(study.claim_new(worker, propose(1))) == 1
    assert study.budget().used_trials == 1


def test_an_enqueued_trial_is_claimed_once_within_the_budget(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    plain = optuna.load_study(study_name="sine", storage=storage.optuna)
    for _ in range(3):
        plain.enqueue_trial({"learning_rate": 0.01})
    asked = study.enqueued()
    assert [(trial.number, trial.params) for trial in asked] == [
        (number, {"learning_rate": 0.01}) for number in range(3)
    ]
    study.set_budget(trials=1, minutes=None)
    (proposal,) = propose(1)
    (claimed,) = study.claim_enqueued(worker, asked[0].trial_id, proposal)
    assert (claimed.number, claimed.params) == (0, proposal.params)
    assert study.beat(worker).held_trials == {claimed.trial_id}
    for trial in asked[:2]:
        assert study.claim_enqueued(worker, trial.trial_id, proposal) == []
    study.refuse_enqueued(asked[1].trial_id, "because")
    study.refuse_enqueued(claimed.trial_id, "too late")
    assert study.trial(1).user_attrs == {"message": "because"}
    assert [trial.number for trial in study.enqueued()] == [2]
    study.give_back(worker, [claimed.trial_id])
    assert [trial.number for trial in study.claim_waiting(worker, 1)] == [0]
    assert study.budget().used_trials == 1


def test_a_trial_that_was_locked_during_a_sweep_is_swept_later(
    postgres_url: str, propose: Propose
) -> None:
    with (
        open_storage(postgres_url, create=False) as storage,
        open_storage(postgres_url, create=False, lease_seconds=0.0) as later,
    ):
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        worker = register(study, 1)
        first, second = [trial.trial_id for trial in study.claim_new(worker, propose(2))]
        with storage.engine.connect() as dying:
            # The server has not noticed yet that the worker's last transaction will not be ended.
            dying.exec_driver_sql(
                f"SELECT * FROM freerun_leases WHERE trial_id = {second} FOR UPDATE"
            )
            assert study.lose_worker(worker).given_back == (first,)
        assert study.held_trials() == {second}
        assert later.study("sine").sweep().given_back == (second,)


def test_leaving_gives_everything_back_and_ends_the_registration(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.claim_new(worker, propose(2))
    study.leave(worker)
    assert study.counts().waiting == 2
    (status,) = study.workers()
    assert (status.alive, status.left, status.trial_ids) == (False, True, ())
    with pytest.raises(FreerunError, match="has left"):
        study.beat(worker)


def test_a_worker_known_to_be_dead_loses_its_trials_at_once(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    assert study.lose_worker(worker).given_back == (trial.trial_id,)
    assert study.lose_worker(worker) == Swept((), (), ())
    (again,) = study.claim_waiting(register(study, 2), 1)
    assert again.attempts == 1


def test_a_failed_trial_says_why(study: StudyStore, worker: int, propose: Propose) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    message = {"message": "no room"}
    study.finish(worker, [FinishedTrial(trial.trial_id, "failed", user_attributes=message)])
    row = study.trial(0)
    assert (row.state, row.value) == (TrialState.FAIL, None)
    assert row.user_attrs == message


@pytest.mark.parametrize(
    ("state", "value"), [("complete", None), ("complete", float("nan")), ("failed", 0.5)]
)
def test_state_and_value_must_agree(state: str, value: float | None) -> None:
    with pytest.raises(ValueError, match="value"):
        FinishedTrial(1, state, value)  # type: ignore[arg-type]


def test_a_distribution_that_does_not_fit_the_study_is_refused(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.claim_new(worker, propose(1))
    (proposal,) = propose(1)
    choices = optuna.distributions.CategoricalDistribution(["rnn", "tcn"])
    changed = type(proposal)(
        proposal.params, {**proposal.distributions, "cell": choices}, cohort_key="a"
    )
    with pytest.raises(ValueError, match="does not support dynamic value space"):
        study.claim_new(worker, [changed])
    assert study.counts().total == 1
