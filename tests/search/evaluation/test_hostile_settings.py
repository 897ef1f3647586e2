"""Whatever a study file asks for ends in a finite score and a verdict, however bad."""

import math
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler

from models.methods import Real, Whole, method_named
from models.methods.condition import TRAINED
from search.evaluation import Cohort
from search.records import CandidateRecord
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData
from tests.search.study.space.samples import all_cells

optuna.logging.set_verbosity(optuna.logging.WARNING)

HOSTILE: dict[str, Any] = {
    "hidden_units": 8,
    "modes": 8,
    "layers": 3,
    "warm_up_steps": 12,
    "window_steps": 4,
    "input_noise_std": 10,
    "feedback_noise_std": 10,
    "output_noise_std": 10,
    "label_noise_std": 10,
    "learning_rate": 10,
    "weight_decay": 0,
    "clip_norm": 1e9,
    "training_steps": 8,
    "batch_size": 2,
    "restarts": 2,
    "ssa_window": 30,
}
# As far as the cells' own numbers go.
EXTREME: dict[str, dict[str, Any]] = {
    "cornn": {"cornn_step": 10, "cornn_stiffness": 1e6, "cornn_damping": 0},
    "antisymmetric": {"antisymmetric_step": 10, "antisymmetric_diffusion": 1000},
    "lem": {"lem_step": 1e-6},
    "orthogonal": {"reflections": 1},
    "shplrnn": {"expanded_units": 1},
    "periodic-ridge": {"periodic_steps": 15},
    "nested-ridge": {"periodic_steps": 15},
}
CELLS = all_cells()
TRAINED_CELLS = [cell for cell in CELLS if TRAINED.holds({"cell": cell})]


def ends(cell: str) -> dict[str, dict[str, Any]]:
    """The cell with the least, and with the largest values of the numbers that it computes with."""
    method = method_named("cell", cell)
    assert method is not None
    own = {s.name: s.values for s in method.settings if s.is_stored}
    numbers = {name: values for name, values in own.items() if isinstance(values, Real | Whole)}
    if not numbers:
        return {}
    low = {name: values.low for name, values in numbers.items()}
    high = {name: values.high for name, values in numbers.items()}
    return {f"{cell}-low": {"cell": cell, **low}, f"{cell}-high": {"cell": cell, **high}}


NORMS: dict[str, Any] = {"layer_norm": True, "instance_norm": True}
ALONE: dict[str, Any] = {"context": "state", "autonomous": True}
CHOICES: dict[str, dict[str, Any]] = (
    {cell: {"cell": cell} | EXTREME.get(cell, {}) for cell in CELLS}
    | {name: choice for cell in CELLS for name, choice in ends(cell).items()}
    | {f"{cell}-norms": {"cell": cell} | NORMS for cell in TRAINED_CELLS}
    | {f"{cell}-alone": {"cell": cell} | ALONE for cell in ("lru", "cornn", "shplrnn")}
    | {"increments": {"cell": "gru", "residual": True, "scaled_increments": True}}
    | {
        f"{cell}-{hybrid}": {"cell": cell, "residual": False, "hybrid": hybrid}
        for cell in ("gru", "lem")
        for hybrid in ("ar", "level-ar")
    }
)


@pytest.mark.parametrize("horizon", [1, 20])
@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_a_study_file_s_worst_is_scored(choice: dict[str, Any], horizon: int) -> None:
    rollout = {"rollout_steps": [1, 8], "window_rollout_steps": [1, 8]}
    if horizon == 1:
        rollout = {"rollout_steps": [1], "window_rollout_steps": [1]}
    definition = StudyDefinition.model_validate(
        {
            "name": "hostile",
            "series": {"source": "sine", "angular_frequency": 0.2, "noise_std": 0.1},
            "task": {"train_steps": 60, "horizon_steps": horizon},
            "space": HOSTILE | rollout | choice,
        }
    )
    space = definition.full_space()
    params = space.suggest(optuna.create_study(sampler=RandomSampler(seed=0)).ask())
    assert set(params) >= set(choice)
    data = TaskData(definition, None)
    views = [data.view("search", replica) for replica in range(2)]
    cohort = Cohort([space.resolve(params)], views, study_seed=0, purpose="search")
    result = [rung for rung in cohort if rung is not None][-1].results[0]
    assert all(math.isfinite(score) for score in result.replica_scores)
    assert result.verdict
    assert CandidateRecord.from_json(result.record.to_json()).verdict == result.verdict
