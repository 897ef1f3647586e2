"""Which trials the final trains again."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from search.running.final import finalists
from search.running.proposer import Proposer
from search.storage.records import FinishedTrial
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from tests.search.running.conftest import TINY


@pytest.fixture
def definition() -> StudyDefinition:
    plain = deepcopy(TINY)
    plain["search"] |= {"finalists": 3}  # type: ignore[operator]
    plain["space"] |= {"cell": "rnn", "hidden_units": [4, 8, 16]}  # type: ignore[operator]
    return StudyDefinition.model_validate(plain)


def test_an_architecture_near_the_best_comes_before_further_trials_of_the_same(
    sqlite_url: str, create: Callable[[str], StudyStore], definition: StudyDefinition
) -> None:
    store, proposer = create(sqlite_url), Proposer(definition, sampler_seed=0)
    worker = store.register_worker(host="here", pid=1, machine={})
    scores = {(4, 0.01): 1.0, (4, 0.02): 1.1, (4, 0.03): 1.2, (8, 0.01): 1.5, (16, 0.01): 10.5}
    others = proposer.completed({}).params
    of_trials = {}
    for (units, rate), score in scores.items():
        asked = proposer.completed({**others, "hidden_units": units, "learning_rate": rate})
        (trial,) = store.claim_new(worker, [asked])
        store.finish(worker, [FinishedTrial(trial.trial_id, "complete", score)])
        of_trials[trial.trial_id] = units, rate
    chosen = [of_trials[trial_id] for trial_id in finalists(store, definition)]
    assert chosen == [(4, 0.01), (8, 0.01), (4, 0.02)]
