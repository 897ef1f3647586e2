"""Reading a study: by our own calls, by Optuna, and by its samplers."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.trial import TrialState

from search.storage import study_store
from search.storage.outlines import Wanted
from search.storage.records import FinishedTrial, Replica, TrialStateName
from search.storage.studies import Storage
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    from tests.search.storage.conftest import Propose, RunSql, Silence


def finish(study: StudyStore, worker: int, propose: Propose, number: int) -> list[int]:
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(number))]
    study.report(worker, [(trial_id, 1, 1.0 / (1 + trial_id)) for trial_id in ids])
    study.finish(worker, [FinishedTrial(i, "complete", 1.0 / (1 + i)) for i in ids])
    return ids


def test_finished_trials_are_returned_once(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    assert study.scored_trials() == []
    first, second, third = [t.trial_id for t in study.claim_new(worker, propose(3))]
    assert study.scored_trials() == []

    def finished() -> list[int]:
        return [trial.trial_id for trial in study.scored_trials()]

    study.finish(worker, [FinishedTrial(third, "complete", 0.5)])
    assert finished() == [third]
    study.finish(worker, [FinishedTrial(first, "failed")])
    later = finish(study, worker, propose, 2)
    assert finished() == [first, *later]
    study.give_back(worker, [second])
    assert finished() == []
    study.claim_waiting(worker, 1)
    study.finish(worker, [FinishedTrial(second, "pruned")])
    assert finished() == [second]
    assert finished() == []
    assert len(storage.study("sine").scored_trials()) == 5


def test_trials_of_another_program_are_read_too(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    finish(study, worker, propose, 1)
    plain = optuna.load_study(study_name="sine", storage=storage.optuna)
    plain.add_trial(optuna.trial.create_trial(value=0.25))
    assert [trial.value for trial in study.scored_trials()][1] == 0.25
    assert [trial.number for trial in study.frozen_trials()] == [0, 1]
    assert [trial.cohort_key for trial in storage.study("sine").scored_trials()] == ["a", None]
    assert study.claim_new(worker, propose(1))[0].number == 2


def test_more_trials_are_read_than_a_statement_may_have_variables(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    claimed = study.claim_new(worker, propose(2100))
    study.finish(worker, [FinishedTrial(trial.trial_id, "failed") for trial in claimed])
    ids = [trial.trial_id for trial in study.scored_trials()]
    assert [trial.number for trial in study.frozen_trials(ids)] == list(range(2100))


def test_all_trials_as_optuna_has_them(
    study: StudyStore, worker: int, propose: Propose, run_sql: RunSql
) -> None:
    done, running = [t.trial_id for t in study.claim_new(worker, propose(2, "key"))]
    study.report(worker, [(done, 1, 0.75), (done, 2, float("nan"))])
    study.finish(worker, [FinishedTrial(done, "complete", 0.5, {"seconds": 3})])
    row, other = study.frozen_trials()
    assert (row._trial_id, row.number, row.value) == (done, 0, 0.5)
    assert (row.state, other.state) == (TrialState.COMPLETE, TrialState.RUNNING)
    assert row.params == propose(2)[0].params
    assert row.user_attrs == {"seconds": 3}
    assert row.intermediate_values[1] == 0.75
    assert math.isnan(row.intermediate_values[2])
    assert row.datetime_start is not None
    assert row.datetime_complete is not None
    assert row.datetime_complete >= row.datetime_start
    assert (other._trial_id, other.datetime_complete) == (running, None)
    ours = run_sql("SELECT cohort_key, attempts, worker_id FROM freerun_trials")
    assert ours == [("key", 0, worker)] * 2


def test_the_best_is_the_first_of_the_least(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    assert study.best_trial() is None
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(5))]
    study.report(worker, [(ids[4], 1, 0.01)])
    values = (float("inf"), 0.5, 0.25, 0.25)
    ends = [FinishedTrial(i, "complete", v) for i, v in zip(ids, values, strict=False)]
    study.finish(worker, [*ends, FinishedTrial(ids[4], "pruned")])
    best = study.best_trial()
    assert best is not None
    assert (best.number, best.value) == (2, 0.25)


def test_curves_and_replicas_are_kept_by_trial(
    study: StudyStore, worker: int, propose: Propose, run_sql: RunSql
) -> None:
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(2))]
    replicas = [Replica(0, 0.5, 1e-3, 2), Replica(1, 0.7, float("inf"), 0)]
    unknown = Replica(2, 0.9, float("nan"), 1)
    study.finish(
        worker,
        [
            FinishedTrial(
                ids[0], "complete", 0.5, curve=b"\0\1\2\3", replicas=[*replicas, unknown]
            ),
            FinishedTrial(ids[1], "complete", 0.6),
        ],
    )
    assert run_sql("SELECT trial_id, content FROM freerun_curves") == [(ids[0], b"\0\1\2\3")]
    kept = run_sql(
        "SELECT replica, score, training_loss, restart FROM freerun_replicas"
        " WHERE trial_id = :trial ORDER BY replica",
        trial=ids[0],
    )
    assert [Replica(*row) for row in kept[:2]] == replicas
    assert kept[2] == (2, 0.9, None, 1)


def test_workers_and_what_they_hold(
    study: StudyStore, worker: int, propose: Propose, silence: Silence
) -> None:
    ids = tuple(trial.trial_id for trial in study.claim_new(worker, propose(2)))
    dead = study.register_worker(host="here", pid=7, machine={"cpu": 1})
    silence(dead)
    first, second = study.workers()
    assert (first.worker_id, first.host, first.pid, first.machine) == (
        worker,
        "here",
        1,
        {"cpu": "any"},
    )
    assert (first.alive, first.left, first.trial_ids, first.job_ids) == (True, False, ids, ())
    assert first.beat_age < 60
    assert (second.alive, second.left, second.trial_ids) == (False, False, ())
    assert second.beat_age > 900


def test_optunas_cached_storage_sees_new_trials(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    plain = optuna.load_study(study_name="sine", storage=storage.optuna)
    ids = [trial.trial_id for trial in study.claim_new(worker, propose(3))]
    assert [t.state for t in plain.get_trials()] == [TrialState.RUNNING] * 3
    study.finish(worker, [FinishedTrial(ids[1], "complete", 0.5)])
    study.give_back(worker, [ids[2]])
    states = [TrialState.RUNNING, TrialState.COMPLETE, TrialState.WAITING]
    assert [trial.state for trial in plain.get_trials()] == states


@pytest.mark.parametrize("constant_liar", [False, True])
def test_a_sampler_reads_what_was_written_in_bulk(
    storage: Storage, study: StudyStore, worker: int, propose: Propose, constant_liar: bool
) -> None:
    finish(study, worker, propose, 20)
    study.claim_new(worker, propose(2))
    sampler = optuna.samplers.TPESampler(
        seed=0, multivariate=False, constant_liar=constant_liar, n_startup_trials=5
    )
    plain = optuna.load_study(study_name="sine", storage=storage.optuna, sampler=sampler)
    distributions = propose(1)[0].distributions
    asked = plain.ask(dict(distributions))
    assert set(asked.params) == set(distributions)
    plain.tell(asked, 0.5)
    assert study.counts().complete == 21


def test_finished_trials_are_counted_once_by_state_and_attribute(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    first, second, third, fourth = [t.trial_id for t in study.claim_new(worker, propose(4))]
    tracks, why = {"verdict": "tracks"}, {"message": "it broke"}
    study.finish(worker, [FinishedTrial(second, "complete", 0.5, user_attributes=tracks)])
    study.finish(worker, [FinishedTrial(third, "failed", user_attributes=why)])
    long_ago, ahead = datetime(2000, 1, 1), datetime(2100, 1, 1)
    counted: dict[str, TrialStateName | None] = {"verdict": None, "message": "failed"}
    found = study.tally(counted, long_ago)
    assert found.failed == 1
    assert found.attributes["verdict"] == {("complete", '"tracks"'): 1}
    assert found.attributes["message"] == {("failed", '"it broke"'): 1}
    assert len(found.ends) == 2
    assert found.first_start is not None
    assert found.first_start <= min(found.ends)
    # One that began before those that were counted, and one after.
    study.finish(worker, [FinishedTrial(first, "pruned", user_attributes=tracks)])
    study.finish(worker, [FinishedTrial(fourth, "failed")])
    again = study.tally(counted, ahead)
    assert (again.failed, list(again.ends)) == (1, [])
    assert again.attributes == {"verdict": {("pruned", '"tracks"'): 1}}
    assert study.tally({"verdict": None}, long_ago).first_start is None


def test_an_attribute_may_be_counted_in_one_state_alone(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    first, second = [t.trial_id for t in study.claim_new(worker, propose(2))]
    noted = {"message": "odd"}
    study.finish(worker, [FinishedTrial(first, "complete", 0.5, user_attributes=noted)])
    study.finish(worker, [FinishedTrial(second, "failed", user_attributes=noted)])
    found = study.tally({"message": "complete"}, datetime(2100, 1, 1))
    assert (found.failed, found.attributes) == (1, {"message": {("complete", '"odd"'): 1}})


def test_in_parts_each_trial_is_read_as_all_at_once(
    storage: Storage,
    study: StudyStore,
    worker: int,
    propose: Propose,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(study_store, "PART_TRIALS", 2)
    running = [t.trial_id for t in study.claim_new(worker, propose(3))]
    done = finish(study, worker, propose, 4)
    surveyed = list(study.survey())
    whole = [*(t for part in surveyed for t in part.finished), *surveyed[-1].unfinished]
    assert sorted(whole, key=lambda trial: trial.number) == study.frozen_trials()
    parts = list(study.news())
    assert [t._trial_id for part in parts for t in part.finished] == done
    assert [t._trial_id for t in parts[-1].unfinished] == running
    study.finish(worker, [FinishedTrial(running[1], "complete", 0.1)])
    later = list(study.news())
    assert [t._trial_id for part in later for t in part.finished] == [running[1]]
    assert [t._trial_id for t in later[-1].unfinished] == [running[0], running[2]]
    reader = storage.study("sine")
    odd = list(reader.news(Wanted(("a",)), lambda number, _state: number % 2 == 1))
    numbers = [t.number for part in odd for t in part.finished]
    outlines = [t for part in odd for t in part.outlines]
    assert (numbers, [t.number for t in outlines]) == ([1, 3, 5], [4, 6])
    assert all(t.value is not None and not t.params for t in outlines)


@pytest.mark.parametrize("gap", [0, 30])
def test_outlines_say_what_whole_trials_say(
    study: StudyStore, worker: int, propose: Propose, gap: int
) -> None:
    """Far apart, trials are read by their ids; side by side, by the first and the last one."""
    first, second, *_, last = [t.trial_id for t in study.claim_new(worker, propose(gap + 3))]
    noted = {"verdict": "tracks", "machine": {"cpu": "any"}, "limit": 0.25, "seconds": 2}
    study.report(worker, [(second, 1, 0.75), (second, 2, float("nan"))])
    study.finish(worker, [FinishedTrial(first, "complete", math.inf, noted)])
    study.finish(worker, [FinishedTrial(second, "pruned"), FinishedTrial(last, "failed")])
    plain = [trial for trial in study.frozen_trials() if trial.state.is_finished()]
    wanted = Wanted(("verdict", "machine", "limit"), params=None, has_course=True)
    (part,) = study.survey(wanted, lambda _number, _state: False)
    assert not part.finished
    for own, whole in zip(part.outlines, plain, strict=True):
        assert (own.trial_id, own.number) == (whole._trial_id, whole.number)
        assert (own.value, own.params) == (whole.value, whole.params)
        assert list(own.params) == list(whole.params)
        assert repr(own.reports) == repr(whole.intermediate_values)
        times = (whole.datetime_start, whole.datetime_complete)
        assert (own.started, own.completed) == times
        kept = {name: v for name, v in whole.user_attrs.items() if name != "seconds"}
        assert own.attributes == kept
    assert [own.state for own in part.outlines] == ["complete", "pruned", "failed"]
    params = study.params([first, last])
    assert params == {first: plain[0].params, last: plain[2].params}
    (part,) = study.survey(Wanted(params=None, params_of="complete"), lambda _n, _s: False)
    assert [bool(own.params) for own in part.outlines] == [True, False, False]
    assert all(not own.reports and own.started is None for own in part.outlines)


def test_outlines_of_two_studies_are_kept_apart(
    storage: Storage, study: StudyStore, worker: int, propose: Propose
) -> None:
    other = storage.create_study("other", definition="{}", definition_hash="hash")
    beside = other.register_worker(host="here", pid=2, machine={})
    for _ in range(3):
        finish(study, worker, propose, 1)
        finish(other, beside, propose, 1)
    for own in (study, other):
        (part,) = own.survey(Wanted(params=None), lambda _number, _state: False)
        assert [t.trial_id for t in part.outlines] == [t._trial_id for t in own.frozen_trials()]
        assert [t.value for t in part.outlines] == [t.value for t in own.frozen_trials()]
