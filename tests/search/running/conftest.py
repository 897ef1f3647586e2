"""A study that trains in about a second, and a worker on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from search.running.worker import Worker
from search.storage.opening import open_storage
from search.storage.studies import Storage
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData

TINY = {
    "name": "tiny",
    "series": {"source": "sine", "angular_frequency": 0.3, "noise_std": 0.1},
    "task": {"train_steps": 50, "horizon_steps": 15, "test_horizon_steps": 20},
    "search": {
        "trials": 8,
        "replicas": 2,
        "rungs": 2,
        "cohort_members": 8,
        "finalists": 2,
        "final_replicas": 2,
        "test_draws": 2,
    },
    "space": {
        "cell": ["rnn", "lru"],
        "hidden_units": 8,
        "modes": 1,
        "layers": 1,
        "head_layers": 0,
        "context": "state",
        "warm_up_steps": 8,
        "rollout_steps": 4,
        "training_steps": 6,
        "batch_size": 2,
        "restarts": 1,
    },
}


class WorkerMaker(Protocol):
    def __call__(
        self, store: StudyStore, stop_requested: Callable[[], bool], kind: type[Worker] = Worker
    ) -> Worker: ...


@pytest.fixture
def definition() -> StudyDefinition:
    return StudyDefinition.model_validate(TINY)


@pytest.fixture
def create(definition: StudyDefinition) -> Iterator[Callable[[str], StudyStore]]:
    """Create the tiny study in a database."""
    opened: list[Storage] = []

    def create(url: str) -> StudyStore:
        opened.append(open_storage(url, create=True))
        store = opened[-1].create_study(
            definition.name,
            definition=definition.model_dump_json(),
            definition_hash=definition.identity_hash,
            quota_trials={name: preset.trials for name, preset in definition.presets.items()},
        )
        store.set_budget(trials=definition.search.trials, minutes=None)
        return store

    yield create
    for storage in opened:
        storage.close()


@pytest.fixture
def worker_on(definition: StudyDefinition, tmp_path: Path) -> WorkerMaker:
    """A worker that keeps no pictures."""

    def worker_on(
        store: StudyStore, stop_requested: Callable[[], bool], kind: type[Worker] = Worker
    ) -> Worker:
        return kind(
            store,
            definition,
            TaskData(definition, None),
            make_artifacts=lambda _result, _name: (),
            stop_requested=stop_requested,
        )

    return worker_on
