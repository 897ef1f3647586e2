"""Workers meet the quotas of a study with presets exactly, stopped, resumed and together."""

import socket
from collections import Counter
from collections.abc import Callable
from itertools import count

import pytest

from search.running.worker import Worker
from search.storage.records import FinishedTrial
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from search.study.presets import BY_NAME
from tests.search.running.conftest import TINY

Create = Callable[[str], StudyStore]
WorkerOn = Callable[[StudyStore, Callable[[], bool]], Worker]

QUOTAS = {"baseline": 5, "residual": 2, "warmed-up": 4}


@pytest.fixture
def definition() -> StudyDefinition:
    """In place of the tiny study, which has no presets."""
    fixed = BY_NAME["warmed-up"].fixed
    space = {k: v for k, v in TINY["space"].items() if k not in fixed}  # type: ignore[attr-defined]
    search = {k: v for k, v in TINY["search"].items() if k != "trials"}  # type: ignore[attr-defined]
    plain = {**TINY, "space": space, "search": search, "presets": QUOTAS}
    return StudyDefinition.model_validate(plain)


def never() -> bool:
    return False


def of_presets(store: StudyStore) -> Counter[object]:
    return Counter(row.params["preset"] for row in store.frozen_trials())


def test_quotas_are_met_and_the_final_follows(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    worker_on(store, never).run()
    assert of_presets(store) == QUOTAS
    assert store.counts().waiting == store.counts().running == 0
    for row in store.frozen_trials():
        assert not set(row.params) & set(BY_NAME[str(row.params["preset"])].fixed)
    jobs = store.final_jobs()
    assert {job.state for job in jobs} == {"done"}
    assert sum(job.purpose == "final" for job in jobs if job.trial_id is not None) == 2
    assert {job.purpose for job in jobs} == {"final", "test"}


def test_a_stopped_study_is_resumed_to_its_quotas(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    for steps in (3, 9, 20):
        calls = count()
        worker_on(store, lambda calls=calls, steps=steps: next(calls) >= steps).run()  # type: ignore[misc]
        assert all(n <= QUOTAS[str(name)] for name, n in of_presets(store).items())
    worker_on(store, never).run()
    assert of_presets(store) == QUOTAS
    store.set_budget(trials=12, minutes=None, quota_trials={"residual": 3})
    worker_on(store, never).run()
    assert of_presets(store) == {**QUOTAS, "residual": 3}


def test_a_worker_whose_quota_others_took_goes_on_with_another(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    rival = store.register_worker(host=socket.gethostname(), pid=1, machine={})
    worker = worker_on(store, never)
    claim_new = store.claim_new
    taken: list[str] = []

    def late(worker_id: int, proposals):  # type: ignore[no-untyped-def]
        """Just before the first claim, the rival uses up that quota."""
        if not taken:
            taken.append(proposals[0].quota)
            stolen = claim_new(rival, [proposals[0]] * QUOTAS[taken[0]])
            store.finish(rival, [FinishedTrial(trial.trial_id, "failed") for trial in stolen])
            store.leave(rival)
        return claim_new(worker_id, proposals)

    store.claim_new = late  # type: ignore[method-assign]
    worker.run()
    assert taken
    assert of_presets(store) == QUOTAS


def test_without_pruning_every_trial_is_complete(
    sqlite_url: str, definition: StudyDefinition, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    worker = worker_on(store, never)
    search = definition.search.model_copy(update={"pruner": "none"})
    worker.definition = definition.model_copy(update={"search": search})
    worker.run()
    assert store.counts().complete == sum(QUOTAS.values())
