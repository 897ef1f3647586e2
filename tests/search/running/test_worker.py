"""A worker spends the budget exactly, keeps what is finished and gives back what is not."""

from __future__ import annotations

import json
import platform
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from optuna.trial import TrialState

import search
from search.contest import is_baseline
from search.evaluation import Cohort
from search.running.proposer import Proposer
from search.running.worker import Worker
from search.storage.opening import open_storage
from search.storage.records import JobState
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from search.study.space import Space
from tests.models.other_device import OTHER, other_device
from tests.search.running.conftest import TINY
from tests.search.stored import attempts, stored

if TYPE_CHECKING:
    from models.candidate import Candidate
    from models.methods import Scalar
    from tests.search.running.conftest import WorkerMaker

Create = Callable[[str], StudyStore]
WorkerOn = Callable[[StudyStore, Callable[[], bool]], Worker]


def never() -> bool:
    return False


def after(calls: int) -> Callable[[], bool]:
    """A stop request that comes after so many optimiser steps."""
    counter: Iterator[int] = count()
    return lambda: next(counter) >= calls


def test_a_study_runs_to_its_end(database_url: str, create: Create, worker_on: WorkerOn) -> None:
    store = create(database_url)
    worker_on(store, never).run()
    counts = store.counts()
    assert counts.total == 8
    assert counts.complete + counts.pruned == 8
    assert counts.complete >= 1
    assert counts.pruned >= 1
    jobs = store.final_jobs()
    finals = [job for job in jobs if job.purpose == "final"]
    assert sum(job.trial_id is not None for job in finals) == min(2, counts.complete)
    tested = {job.subject for job in jobs if job.purpose == "test"}
    assert {own.subject for own in finals if is_baseline(own.subject)} <= tested
    assert {job.purpose for job in jobs} == {"final", "test"}
    assert all(job.state == "done" and job.has_weights for job in jobs)
    assert not any(worker.alive for worker in store.workers())


def test_what_is_stored_of_a_trial(sqlite_url: str, create: Create, worker_on: WorkerOn) -> None:
    store = create(sqlite_url)
    worker_on(store, never).run()
    curves = dict(stored(sqlite_url, "SELECT trial_id, content FROM freerun_curves"))
    replicas: defaultdict[int, list[float]] = defaultdict(list)
    of_replicas = "SELECT trial_id, score FROM freerun_replicas ORDER BY trial_id, replica"
    for trial_id, score in stored(sqlite_url, of_replicas):
        replicas[trial_id].append(score)
    for row in store.frozen_trials():
        scores = row.user_attrs["replica_scores"]
        assert row.user_attrs["score"] == np.median(scores)
        assert row.user_attrs["verdict"]
        assert row.user_attrs["machine"]["torch"] == torch.__version__
        assert row.user_attrs["parameters"] > 0
        is_limited = row.state == TrialState.COMPLETE  # computed only for those
        assert (0 < row.user_attrs.get("limit", -1) < 1) == is_limited
        assert replicas[row._trial_id] == scores
        if row.state == TrialState.COMPLETE:
            assert row.value == np.median(scores)
            assert sorted(row.intermediate_values) == [1, 2]
            curve = np.frombuffer(curves[row._trial_id], dtype=np.float32)
            assert len(curve) == 15
        else:
            assert sorted(row.intermediate_values) == [1]


def test_a_stopped_worker_gives_back_and_the_next_one_goes_on(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    worker_on(store, after(9)).run()
    stopped = store.counts()
    assert stopped.running == 0
    assert stopped.waiting > 0
    before = {
        row.number: row.value for row in store.frozen_trials() if row.state == TrialState.COMPLETE
    }
    worker_on(store, never).run()
    counts = store.counts()
    assert (counts.total, counts.waiting, counts.running) == (8, 0, 0)
    after_all = {row.number: row.value for row in store.frozen_trials()}
    assert before.items() <= after_all.items()


def test_a_trial_that_was_given_back_scores_as_if_it_had_never_been_stopped(
    sqlite_url: str, tmp_path_factory: pytest.TempPathFactory, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    worker_on(store, after(3)).run()
    waiting = [row.params for row in store.frozen_trials() if row.state == TrialState.WAITING]
    worker_on(store, never).run()
    resumed = {row.number: row for row in store.frozen_trials()}
    assert waiting == [resumed[number].params for number in range(len(waiting))]

    other = create(f"sqlite:///{tmp_path_factory.mktemp('other') / 'freerun.db'}")
    worker_on(other, never).run()
    undisturbed = {row.number: row for row in other.frozen_trials()}
    for number in range(len(waiting)):
        one, two = resumed[number], undisturbed[number]
        assert one.params == two.params
        assert one.intermediate_values[1] == two.intermediate_values[1]


def test_more_trials_resume_and_keep_the_total_exact(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    store.set_budget(trials=3, minutes=None)
    worker_on(store, never).run()
    assert store.counts().total == 3
    first = [(row.number, row.value) for row in store.frozen_trials()]
    store.set_budget(trials=7, minutes=None)
    worker_on(store, never).run()
    assert store.counts().total == 7
    assert [(row.number, row.value) for row in store.frozen_trials()][:3] == first


def test_without_time_left_nothing_is_trained(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    store.set_budget(trials=8, minutes=1e-9)
    worker_on(store, never).run()
    assert store.counts().total == 0
    assert store.final_jobs() == []


def test_the_stop_flag_of_the_study_ends_a_worker(
    sqlite_url: str, create: Create, worker_on: WorkerOn
) -> None:
    store = create(sqlite_url)
    store.request_stop()
    worker_on(store, never).run()
    assert store.counts().total == 0


class OutOfMemory(Worker):
    """One of the first cohort's candidates takes more memory than there is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sizes: list[int] = []
        self.hungry: Candidate | None = None

    def cohort(self, candidates: Sequence[Candidate]) -> Cohort:
        self.hungry = self.hungry or candidates[2]
        self.sizes.append(len(candidates))
        if self.hungry in candidates:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] not enough memory")
        return super().cohort(candidates)


def test_a_cohort_that_breaks_is_halved_until_what_breaks_it_fails_alone(
    sqlite_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    create: Create,
    worker_on: WorkerMaker,
) -> None:
    store = create(sqlite_url)
    worker = worker_on(store, never, OutOfMemory)
    worker.run()
    assert isinstance(worker, OutOfMemory)
    assert worker.sizes[:5] == [4, 2, 2, 1, 1]
    rows = {row.number: row for row in store.frozen_trials()}
    assert [row.number for row in rows.values() if row.state == TrialState.FAIL] == [2]
    attributes = rows[2].user_attrs
    assert attributes["message"].startswith("RuntimeError: [enforce fail")
    assert attributes["worker"] == worker.worker_id
    assert attributes["machine"]["torch"] == torch.__version__

    other = create(f"sqlite:///{tmp_path_factory.mktemp('other') / 'freerun.db'}")
    worker_on(other, never).run()
    for row in other.frozen_trials()[:4]:
        if row.number != 2:
            assert row.params == rows[row.number].params
            assert row.intermediate_values[1] == rows[row.number].intermediate_values[1]


class Watched(Worker):
    """Notes which candidates begin to train together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cohorts: list[list[Candidate]] = []

    def cohort(self, candidates: Sequence[Candidate]) -> Cohort:
        self.cohorts.append(list(candidates))
        return super().cohort(candidates)


def robbing(store: StudyStore, url: str, work: str) -> Callable[[], bool]:
    """Asked whether to stop, it says no, but takes once what the worker holds of trials or jobs, as
    the others do with one that was cut off."""
    robbed = False

    def rob() -> bool:
        nonlocal robbed
        held = [
            status.trial_ids if work == "trials" else status.job_ids for status in store.workers()
        ]
        if not robbed and any(held):
            with open_storage(url, create=False, lease_seconds=0.0) as storage:
                swept = storage.study(store.name).sweep()
            robbed = bool(swept.given_back if work == "trials" else swept.final_jobs)
            assert robbed
        return False

    return rob


def test_a_worker_drops_the_trials_that_it_lost(
    sqlite_url: str, create: Create, worker_on: WorkerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.running.worker.BEAT_SECONDS", 0.0)
    store = create(sqlite_url)
    worker = worker_on(store, robbing(store, sqlite_url, "trials"), Watched)
    worker.run()
    assert isinstance(worker, Watched)
    lost, *others = worker.cohorts
    # Begun again by whoever claims them, here itself: once lost, in halves.
    assert others[0] + others[1] + others[2] == lost
    assert [len(cohort) for cohort in others[:3]] == [2, 1, 1]
    assert attempts(sqlite_url)[:5] == [1, 1, 1, 1, 0]
    assert store.counts().complete + store.counts().pruned == store.counts().total == 8


def test_a_worker_drops_the_final_job_that_it_lost(
    sqlite_url: str, create: Create, worker_on: WorkerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.running.worker.BEAT_SECONDS", 0.0)
    store = create(sqlite_url)
    worker_on(store, robbing(store, sqlite_url, "jobs")).run()
    jobs = store.final_jobs()
    assert [job.attempts for job in jobs] == [1] + [0] * (len(jobs) - 1)
    assert all(job.state == "done" for job in jobs)


def test_a_final_job_that_breaks_has_failed_and_the_others_decide(
    sqlite_url: str, create: Create, worker_on: WorkerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create(sqlite_url)
    broken: list[Candidate] = []

    class Hungry(Cohort):
        def __init__(self, candidates: Sequence[Candidate], *args: Any, **named: Any) -> None:
            if not broken:
                broken.extend(candidates)
                raise MemoryError
            super().__init__(candidates, *args, **named)

    monkeypatch.setattr("search.running.training.Cohort", Hungry)
    worker = worker_on(store, never)
    worker.run()
    first, *others = store.final_jobs()
    assert (first.state, first.message) == ("failed", "MemoryError")
    assert [job.state for job in others] == ["done"] * (len(others))
    assert others[-1].purpose == "test"
    assert first.subject not in {job.subject for job in others if job.purpose == "test"}
    assert others[-1].result is not None
    assert json.loads(others[-1].result)["worker"] == worker.worker_id


@pytest.mark.parametrize("looks", [1, 2, 3, 4, 5])
def test_a_job_of_another_that_ends_between_two_looks_is_not_waited_for(
    sqlite_url: str, create: Create, worker_on: WorkerMaker, looks: int
) -> None:
    store = create(sqlite_url)
    worker_on(store, lambda: bool(store.final_jobs())).run()
    rival = store.register_worker(host=socket.gethostname(), pid=1, machine={})
    held = [job.job_id for _ in store.final_jobs() if (job := store.claim_final_job(rival))]
    assert held
    look = store.final_states

    looked = count(1)

    def late() -> dict[int, JobState]:
        """Right after one of the looks, the rival ends what it holds."""
        states = look()
        if next(looked) == looks:
            for job_id in held:
                store.fail_final_job(rival, job_id, "it broke")
        return states

    store.final_states = late  # type: ignore[method-assign]
    waits = count()
    worker_on(store, lambda: next(waits) > 20).run()
    assert next(waits) < 20
    assert {job.state for job in store.final_jobs()} == {"failed"}


def test_waiting_trials_of_several_cohorts_are_not_trained_as_one(
    sqlite_url: str, create: Create, worker_on: WorkerMaker, definition: StudyDefinition
) -> None:
    store = create(sqlite_url)
    (proposal, *_) = Proposer(definition, sampler_seed=0).propose(at_most=1)
    before = store.register_worker(host=socket.gethostname(), pid=1, machine={})
    assert len(store.claim_new(before, [proposal] * 8)) == 8
    store.leave(before)
    worker = worker_on(store, never, Watched)
    worker.run()
    assert isinstance(worker, Watched)
    # Eight networks, hence four trials of two replicas.
    assert [len(cohort) for cohort in worker.cohorts] == [4, 4]
    assert store.counts().waiting == 0


class Counted(Space):
    """Counts what it resolves."""

    resolved = 0

    def resolve(self, params: Mapping[str, Scalar | None]) -> Candidate:
        self.resolved += 1
        return super().resolve(params)


@pytest.mark.parametrize("waiting", [0, 3])
def test_a_trial_is_resolved_once_where_it_is_proposed_or_claimed(
    sqlite_url: str,
    create: Create,
    worker_on: WorkerMaker,
    definition: StudyDefinition,
    waiting: int,
) -> None:
    store = create(sqlite_url)
    before = store.register_worker(host=socket.gethostname(), pid=1, machine={})
    (proposal,) = Proposer(definition, sampler_seed=0).propose(at_most=1)
    store.claim_new(before, [proposal] * waiting)
    store.leave(before)
    worker = worker_on(store, never)
    worker.space = counted = Counted(definition.space)
    worker.run()
    assert counted.resolved == waiting  # new trials bring the candidates of their proposals


def test_every_finished_trial_says_who_trained_it_where_and_on_what(
    sqlite_url: str, create: Create, worker_on: WorkerMaker
) -> None:
    store = create(sqlite_url)
    worker = worker_on(store, never)
    worker.run()
    (registered,) = store.workers()
    for row in store.frozen_trials():
        attributes = row.user_attrs
        assert attributes["worker"] == worker.worker_id == registered.worker_id
        assert attributes["host"] == registered.host == socket.gethostname()
        assert attributes["machine"] == registered.machine
    assert set(stored(sqlite_url, "SELECT worker_id FROM freerun_trials")) == {(worker.worker_id,)}
    assert registered.machine == {
        "architecture": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": "cpu",
        "freerun": search.__version__,
        "torch": torch.__version__,
        "numba": version("numba"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


FEW = {"trials": 8, "replicas": 2, "rungs": 2, "cohort_members": 4, "finalists": 1}
ON_A_DEVICE = StudyDefinition.model_validate({**TINY, "search": FEW})


@pytest.mark.parametrize("definition", [ON_A_DEVICE])
def test_what_a_gpu_gave_back_goes_on_in_a_cohort_as_large(
    sqlite_url: str, create: Create, worker_on: WorkerMaker, definition: StudyDefinition
) -> None:
    store, sizes = create(sqlite_url), []
    for stop in (after(3), never):
        worker = worker_on(store, stop, Watched)
        assert isinstance(worker, Watched)
        worker.device = OTHER
        with other_device():
            worker.run()
        sizes.append(len(worker.cohorts[0]))
    assert sizes == [definition.search.trials] * 2


REPLICAS_FOLLOW = StudyDefinition.model_validate(
    {
        **TINY,
        "search": {"trials": 8, "rungs": 2, "replicas": 4, "first_replicas": 1, "finalists": 1},
    }
)


@pytest.mark.parametrize("definition", [REPLICAS_FOLLOW])
def test_a_pruned_trial_has_a_share_of_the_replicas(
    sqlite_url: str, create: Create, worker_on: WorkerOn, definition: StudyDefinition
) -> None:
    store = create(sqlite_url)
    worker_on(store, never).run()
    counts = {"PRUNED": 2, "COMPLETE": 4}
    assert definition.search.rung_replicas == tuple(counts.values())
    rows = store.frozen_trials()
    assert {row.state.name for row in rows} == counts.keys()
    for row in rows:
        assert len(row.user_attrs["replica_scores"]) == counts[row.state.name]
