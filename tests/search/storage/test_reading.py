"""Reading a study: by our own calls, by Optuna, and by its samplers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.trial import TrialState

from search.storage.records import FinishedTrial, Replica
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
