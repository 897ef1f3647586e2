"""What the soak's audit tells of trials whose workers died."""

from benchmarks.audit import Audit, Delay, StateChange, begin_audit, read_audit
from search.storage.opening import open_storage
from search.storage.records import FinishedTrial, Proposal


def test_delays_are_told_from_a_death_to_the_next_changes() -> None:
    changes = [
        StateChange(1.0, 7, "WAITING", "RUNNING"),
        StateChange(5.0, 7, "RUNNING", "WAITING"),
        StateChange(6.0, 8, "RUNNING", "WAITING"),
        StateChange(9.0, 7, "WAITING", "RUNNING"),
        StateChange(10.0, 7, "RUNNING", "COMPLETE"),
    ]
    # One was busy until half a second before the claim, one dead, one began to live in between.
    audit = Audit(changes, {1: [(0.0, 2.0), (8.5, 9.0)], 2: [(0.0, 4.0)], 3: [(8.75, 20.0)]})
    assert audit.delay(7, died=2.0) == Delay(given_back=3.0, resumed=7.0, ignored=0.5)
    assert audit.delay(8, died=2.0) == Delay(given_back=4.0, resumed=None, ignored=0.0)
    assert audit.delay(9, died=2.0) == Delay(given_back=None, resumed=None, ignored=0.0)
    assert audit.begun_after_end == 0
    again = StateChange(11.0, 7, "COMPLETE", "RUNNING")
    assert Audit([*changes, again], {}).begun_after_end == 1


def test_the_triggers_note_states_and_the_times_without_work(empty_database_url: str) -> None:
    with open_storage(empty_database_url, create=True) as storage:
        with storage.engine.begin() as connection:
            begin_audit(connection)
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        worker, idle, killed = (
            study.register_worker(host="here", pid=pid, machine={}) for pid in (1, 2, 3)
        )
        one = Proposal({}, {}, cohort_key="a")
        first, second = [trial.trial_id for trial in study.claim_new(worker, [one] * 2)]
        study.finish(worker, [FinishedTrial(first, "failed")])
        study.give_back(worker, [second])
        study.claim_waiting(worker, 1)
        study.leave(worker)
        with storage.engine.begin() as connection:
            audit = read_audit(connection, killed_at={3: 0.0})
    noted = [(change.trial_id, change.was, change.is_now) for change in audit.changes]
    assert noted == [
        (first, "RUNNING", "FAIL"),
        (second, "RUNNING", "WAITING"),
        (second, "WAITING", "RUNNING"),
        (second, "RUNNING", "WAITING"),
    ]
    before, between, after = audit.idle[worker]
    assert before[0] <= before[1] <= between[0] <= between[1] <= after[0] <= after[1]
    assert len(audit.idle[idle]) == 1
    assert audit.idle[killed] == []
