"""Importances of parameters on trials whose scores follow a known rule."""

from collections.abc import Callable, Mapping

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler

from models.methods import Scalar
from search.analysis.importances import FEWEST_TRIALS, importances
from search.analysis.trials import Trial
from search.records import TrialRecord
from search.storage.records import TrialStateName
from search.study.definition import StudyDefinition

RAW = {
    "name": "waves",
    "series": {"source": "sine"},
    "task": {"train_steps": 120, "horizon_steps": 40, "test_horizon_steps": 80},
    "space": {
        "cell": ["rnn", "gru", "lstm", "lru"],
        **{"warm_up_steps": 20, "window_steps": 4, "rollout_steps": 8, "layers": 1},
    },
}
PRESETS = {
    **RAW,
    "presets": {"baseline": 40, "residual": 40},
    "space": {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}},
}
Rule = Callable[[Mapping[str, Scalar]], float]


def by_cell_and_rate(params: Mapping[str, Scalar]) -> float:
    """An LRU is better than the others; a learning rate near 0.01 is better than any other."""
    distance = abs(np.log10(float(params["learning_rate"])) + 2)
    return float(1.0 + distance + 0.3 * (params["cell"] != "lru"))


def sampled(
    number: int, rule: Rule, definition: StudyDefinition, state: TrialStateName = "complete"
) -> list[Trial]:
    """Trials of the definition's space, sampled at random, with scores by a rule."""
    space = definition.full_space()
    study = optuna.create_study(sampler=RandomSampler(seed=5))
    params = [space.suggest(study.ask()) for _ in range(number)]
    return [Trial(i, i, state, rule(p), p, TrialRecord(), {}) for i, p in enumerate(params)]


@pytest.fixture(scope="module")
def definition() -> StudyDefinition:
    return StudyDefinition.model_validate(RAW)


def test_what_the_score_depends_on_comes_first(definition: StudyDefinition) -> None:
    rows = importances(sampled(300, by_cell_and_rate, definition), definition)
    assert [row.parameter for row in rows[:2]] == ["learning_rate", "cell"]
    assert rows[0].share > 0.5
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert [row.share for row in rows] == sorted((row.share for row in rows), reverse=True)


def test_a_parameter_that_not_every_trial_has_counts_its_trials(
    definition: StudyDefinition,
) -> None:
    trials = sampled(200, by_cell_and_rate, definition)
    counts = {row.parameter: row.trials for row in importances(trials, definition)}
    assert counts["cell"] == 200
    assert counts["modes"] == sum(trial.params["cell"] == "lru" for trial in trials) < 100


def test_a_parameter_of_one_value_is_no_row(definition: StudyDefinition) -> None:
    names = {row.parameter for row in importances(sampled(60, len, definition), definition)}
    assert "cell" in names
    assert not names & {"layers", "warm_up_steps", "window_steps"}


def test_neither_order_nor_unfinished_trials_change_anything(definition: StudyDefinition) -> None:
    trials = sampled(80, by_cell_and_rate, definition)
    pruned = sampled(30, by_cell_and_rate, definition, state="pruned")
    assert importances([*pruned, *reversed(trials)], definition) == importances(trials, definition)


def test_too_few_trials_say_nothing(definition: StudyDefinition) -> None:
    trials = sampled(FEWEST_TRIALS, by_cell_and_rate, definition)
    assert importances(trials[:-1], definition) == []
    assert importances(trials, definition) != []


def test_a_preset_is_a_parameter() -> None:
    definition = StudyDefinition.model_validate(PRESETS)

    def rule(params: Mapping[str, Scalar]) -> float:
        return 0.1 if params["preset"] == "residual" else 1.0

    rows = importances(sampled(100, rule, definition), definition)
    assert rows[0].parameter == "preset"
