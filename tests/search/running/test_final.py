"""The final takes the best candidates of the study, and asks the database for what it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search.contest import baseline_subject, is_ensemble, is_trial, ranked
from search.errors import UsageError
from search.evaluation import baseline_candidates
from search.records import FinalRecord, Origin
from search.running.final import Final, finalists
from search.running.worker import Worker
from search.storage.opening import open_storage
from search.storage.study_store import StudyStore
from search.study.task_data import TaskData
from tests.search.stored import noted_statements

if TYPE_CHECKING:
    from search.study.definition import StudyDefinition
    from tests.search.running.conftest import WorkerMaker


class Searcher(Worker):
    """Leaves the final to others."""

    def final(self) -> None:
        pass


@pytest.mark.parametrize("foreign", [{"rate": 0.1}, {"cell": "lru"}], ids=["unknown", "incomplete"])
def test_trials_of_another_program_are_left_aside(
    sqlite_url: str,
    create: Callable[[str], StudyStore],
    worker_on: WorkerMaker,
    definition: StudyDefinition,
    foreign: dict[str, Any],
) -> None:
    store = create(sqlite_url)
    worker_on(store, lambda: False, Searcher).run()
    expected = finalists(store, definition)
    assert 0 < len(expected) <= definition.search.finalists

    with open_storage(sqlite_url, create=False) as storage:
        added = optuna.load_study(study_name="tiny", storage=storage.optuna)
        for value in (0.0, 1e-9, 1e-8):
            added.add_trial(
                optuna.create_trial(
                    params=foreign,
                    distributions={
                        name: CategoricalDistribution(("rnn", "lru"))
                        if isinstance(given, str)
                        else FloatDistribution(0.0, 1.0)
                        for name, given in foreign.items()
                    },
                    value=value,
                )
            )
    best = store.best_trial()
    assert best is not None
    assert best.value is not None
    assert best.value > 1e-8
    with pytest.raises(UsageError):
        definition.full_space().resolve(foreign)
    assert finalists(store, definition) == expected

    worker_on(store, lambda: False).run()
    jobs = store.final_jobs()
    trials = {job.trial_id for job in jobs if job.purpose == "final" and is_trial(job.subject)}
    assert trials == set(expected)
    assert {job.state for job in jobs} == {"done"}
    # The series is generated: a single forecaster is looked for.
    assert not any(is_ensemble(job.subject) for job in jobs)


def test_a_final_job_loads_one_trial_and_a_look_at_the_final_writes_nothing(
    database_url: str,
    create: Callable[[str], StudyStore],
    worker_on: WorkerMaker,
    definition: StudyDefinition,
) -> None:
    store = create(database_url)
    worker_on(store, lambda: False, Searcher).run()
    final = Final(store, definition, TaskData(definition, None))
    assert not final.is_over()  # planned the jobs
    worker = store.register_worker(host="here", pid=1, machine={})
    for left in (1, 0):
        with noted_statements() as statements:
            assert final.run_job(worker, lambda job_id: None, Origin())
        (load,) = (text for text in statements if "FROM trial_params" in text)
        ids = load.rpartition("trial_id IN (")[2].partition(")")[0]
        assert "," not in ids
        assert "FROM" not in ids
        if left:
            with noted_statements() as statements:
                assert not final.is_over()
            assert all(text.startswith(("BEGIN", "SELECT")) for text in statements)


def test_what_was_tested_under_another_rule_is_not_tested_anew(
    sqlite_url: str,
    create: Callable[[str], StudyStore],
    worker_on: WorkerMaker,
    definition: StudyDefinition,
) -> None:
    store, data = create(sqlite_url), TaskData(definition, None)
    worker_on(store, lambda: False, Searcher).run()
    baselines = [baseline_subject(name) for name in baseline_candidates(data)]
    store.plan_final_jobs("final", [*finalists(store, definition), *baselines])
    worker, final = (
        store.register_worker(host="here", pid=1, machine={}),
        Final(store, definition, data),
    )
    while final.run_job(worker, lambda _: None, Origin(worker=worker, host="here", machine={})):
        pass
    store.leave(worker)
    done = {job.subject: job.result for job in store.final_jobs()}
    found = {
        subject: FinalRecord.from_json(own) for subject, own in done.items() if own is not None
    }
    best, second = filter(is_trial, ranked(found))
    store.plan_final_jobs("test", [second])
    worker_on(store, lambda: False).run()
    tested = {job.subject for job in store.final_jobs() if job.purpose == "test"}
    assert best not in tested
    assert tested == {second, *baselines}
