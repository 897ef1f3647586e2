"""The jobs that explain a study of presets, planned and done by workers after the final."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from search.study.components import without_each

from search.running.worker import Worker
from search.storage import StudyStore, open_storage
from search.student.jobs import ExplainingJobs
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData

PRESETS = {"baseline": 3, "residual": 2, "running-on-state": 2}
RAW: dict[str, Any] = {
    "name": "explained",
    "series": {"source": "sine", "angular_frequency": 0.3, "noise_std": 0.1},
    "task": {"train_steps": 50, "horizon_steps": 15, "test_horizon_steps": 20},
    "presets": PRESETS,
    "search": {
        "replicas": 2,
        "rungs": 1,
        "sampler": "random",
        "finalists": 2,
        "final_replicas": 2,
        "test_draws": 2,
    },
    "space": {
        "hidden_units": 4,
        "modes": 1,
        "warm_up_steps": 8,
        "rollout_steps": 4,
        "training_steps": 6,
        "restarts": 1,
    },
}
DEFINITION = StudyDefinition.model_validate(RAW)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyStore]:
    """A study that was run to the end of its jobs."""
    path = tmp_path_factory.mktemp("explained") / "freerun.db"
    with open_storage(f"sqlite:///{path}", create=True) as opened:
        made = opened.create_study(
            DEFINITION.name,
            definition=DEFINITION.model_dump_json(),
            definition_hash=DEFINITION.identity_hash,
            quota_trials=PRESETS,
        )
        made.set_budget(trials=sum(PRESETS.values()), minutes=None, quota_trials=PRESETS)
        run_worker(made)
        yield made


def run_worker(store: StudyStore) -> None:
    data = TaskData(DEFINITION, None)
    worker = Worker(store, DEFINITION, data, lambda _result, _name: (), lambda: False)
    worker.further_jobs = ExplainingJobs()
    worker.run()


def results(store: StudyStore) -> dict[tuple[str, int], Any]:
    return {(j.purpose, j.trial_id): json.loads(j.result or "") for j in store.final_jobs()}


def test_every_preset_is_diagnosed_and_the_baseline_replayed(store: StudyStore) -> None:
    jobs = store.final_jobs()
    assert {job.state for job in jobs} == {"done"}
    assert Counter(job.purpose for job in jobs if not job.purpose.startswith("without ")) == {
        "final": 2,
        "test": 1,
        "anatomy": 3,
        "replay": 1,
    }


def test_each_component_of_the_winner_is_left_out(store: StudyStore) -> None:
    found = results(store)
    (winner,) = (trial_id for purpose, trial_id in found if purpose == "test")
    params = next(row.params for row in store.trial_rows() if row.trial_id == winner)
    components = without_each(DEFINITION.full_space(), params)
    assert components
    for name in components:
        # On the draws of the winner's final, so that they are compared pair by pair.
        without = found[f"without {name}", winner]
        assert len(without["replica_scores"]) == DEFINITION.search.final_replicas


def test_a_diagnosis_runs_networks_on_draws_that_they_have_not_seen(store: StudyStore) -> None:
    for (purpose, _), found in results(store).items():
        if purpose == "anatomy":
            assert len(found["persistence"]) == DEFINITION.task.horizon_steps
            assert found["transfer"]["draws"] == 200
            assert len(found["transfer"]["by_network"]) == found["transfer"]["networks"] == 8
            assert found["transfer"]["horizon_steps"] == DEFINITION.task.test_horizon_steps


def test_a_replay_has_the_series_of_phase_0(store: StudyStore) -> None:
    (found,) = (found for (purpose, _), found in results(store).items() if purpose == "replay")
    assert len(found["values"]) == len(found["truth"]) == 65
    assert found["truth"][0] == pytest.approx(math.sin(0.3))
    assert len(found["one_step"]) == 65 - found["first_forecast"]


def test_a_second_worker_plans_nothing_twice(store: StudyStore) -> None:
    before = store.final_jobs()
    run_worker(store)
    assert store.final_jobs() == before
