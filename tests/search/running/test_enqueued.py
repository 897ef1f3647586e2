"""Trials of other programs: what they enqueue is run, and what they add breaks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from search.running.final import finalists
from search.running.worker import Worker
from search.storage.opening import open_storage
from search.storage.optuna_writers import TrialWriter
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    import pytest

    from search.study.definition import StudyDefinition
    from tests.search.running.conftest import WorkerMaker


RUN = {TrialState.COMPLETE, TrialState.PRUNED}


class Searcher(Worker):
    """Leaves the final to others."""

    def final(self) -> None:
        pass


@contextmanager
def other_program(url: str) -> Iterator[optuna.Study]:
    with open_storage(url, create=False) as storage:
        yield optuna.load_study(study_name="tiny", storage=storage.optuna)


def enqueue(url: str) -> None:
    """Enqueue three trials that can be run, and three that can't; add some of another kind."""
    strange = CategoricalDistribution(("here", "there"))
    added = optuna.create_trial(params={"cell": "here"}, distributions={"cell": strange}, value=0.0)
    with other_program(url) as study:
        study.add_trial(added)
        study.add_trial(optuna.create_trial(state=TrialState.WAITING))
        study.enqueue_trial({"cell": "lru", "modes": 1, "layers": 1})
        study.enqueue_trial({"cell": "rnn"})
        study.enqueue_trial({"rate": 0.1})
        study.enqueue_trial({"cell": "gru"})
        study.enqueue_trial({"cell": ["rnn"]})


def check_ended(store: StudyStore, definition: StudyDefinition) -> None:
    added, free, full, partial, *refused = store.frozen_trials()[:7]
    assert {trial.state for trial in (free, full, partial)} <= RUN
    assert full.params["cell"] == "lru"
    assert partial.params["cell"] == "rnn"
    for trial, words in zip(
        refused,
        ('parameters must be of the study\'s space, but got "rate"', 'got "gru"', 'got ["rnn"]'),
        strict=True,
    ):
        assert trial.state == TrialState.FAIL
        assert words in trial.user_attrs["message"]
    budget = store.budget()
    assert (budget.used_trials, budget.exhausted) == (definition.search.trials, True)
    assert store.counts().total == definition.search.trials + 4
    assert added._trial_id not in finalists(store, definition)
    best = store.best_trial()
    assert best is not None
    assert best.number != added.number


def test_what_is_enqueued_is_run_within_the_budget(
    database_url: str,
    create: Callable[[str], StudyStore],
    worker_on: WorkerMaker,
    definition: StudyDefinition,
) -> None:
    store = create(database_url)
    enqueue(database_url)
    assert store.budget().used_trials == 0
    worker_on(store, lambda: False, Searcher).run()
    check_ended(store, definition)
    # Beyond the budget it waits, and nobody waits for it.
    with other_program(database_url) as study:
        study.enqueue_trial({"cell": "lru"})
    worker_on(store, lambda: False, Searcher).run()
    assert store.counts().waiting == 1


def test_optunas_public_calls_write_the_same(
    sqlite_url: str,
    create: Callable[[str], StudyStore],
    worker_on: WorkerMaker,
    definition: StudyDefinition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.storage.studies.is_known_schema", lambda _connection: False)
    store = create(sqlite_url)
    assert type(store._writer) is TrialWriter
    with other_program(sqlite_url) as study:
        study.enqueue_trial({"cell": "rnn"})
        study.enqueue_trial({"rate": 0.1})
    worker_on(store, lambda: False, Searcher).run()
    asked, refused, *_ = store.frozen_trials()
    assert asked.state in RUN
    assert asked.params["cell"] == "rnn"
    assert "rate" in refused.user_attrs["message"]
    assert store.budget().used_trials == definition.search.trials
