"""Trials side by side: by the value of a parameter, by verdict, by what they read."""

from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler

from search.analysis.groups import effects, grouped
from search.analysis.trials import Trial, context_steps, verdict_counts
from search.records import TrialRecord
from search.storage.records import ParamValue, TrialStateName
from search.study.definition import StudyDefinition

RAW: dict[str, Any] = {
    "name": "waves",
    "series": {"source": "sine"},
    "task": {"train_steps": 600, "horizon_steps": 40, "test_horizon_steps": 80},
    "space": {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}},
}

# One value for each parameter that may set how much a candidate reads.
CONTEXTS = {
    "cell": ["mlp", "ar", "ssa", "nvar", "esn", "gru"],
    "context": "state",
    "window_steps": 16,
    "warm_up_steps": 50,
    "ar_order": 12,
    "ssa_window": 30,
    "nvar_delays": 4,
    "delay_stride": 2,
}


def row(
    number: int,
    value: float | None,
    params: dict[str, ParamValue],
    state: TrialStateName = "complete",
    verdict: str = "off",
) -> Trial:
    return Trial(number, number, state, value, params, TrialRecord(verdict=verdict), {})


TRIALS = [
    row(0, 0.4, {"cell": "rnn", "learning_rate": 1e-4}),
    row(1, 0.2, {"cell": "gru", "learning_rate": 0.5, "layers": 2}, verdict="tracks"),
    row(2, 0.6, {"cell": "rnn", "learning_rate": 1.0, "layers": 1}),
    row(3, 0.9, {"cell": "rnn", "learning_rate": 2e-3}, "pruned", "tracks"),
    row(4, None, {"cell": "lru", "learning_rate": 1e-2}, "failed"),
]


def test_a_choice_has_a_row_for_each_value_that_was_tried() -> None:
    (effect,) = effects(TRIALS, StudyDefinition.model_validate(RAW), ["cell"])
    rows = dict(effect.values)
    assert list(rows) == ["gru", "rnn"]  # the failed trial says nothing
    assert (rows["rnn"].trials, rows["rnn"].complete, rows["rnn"].tracking) == (3, 2, 1)
    assert (rows["rnn"].best, rows["rnn"].median) == (0.4, 0.5)
    assert rows["rnn"].quartiles == pytest.approx((0.45, 0.55))


def test_a_range_is_cut_into_parts_of_equal_width_on_its_scale() -> None:
    (effect,) = effects(TRIALS, StudyDefinition.model_validate(RAW), ["learning_rate"])
    counts = {shown: group.trials for shown, group in effect.values}
    assert counts == {"0.0001 to 0.001": 1, "0.001 to 0.01": 1, "0.1 to 1": 2}


def test_numbers_are_in_their_order_and_trials_without_a_value_in_no_group() -> None:
    (effect,) = effects(TRIALS, StudyDefinition.model_validate(RAW), ["layers"])
    assert [(shown, group.trials) for shown, group in effect.values] == [("1", 1), ("2", 1)]


def test_a_component_of_one_value_has_no_effect() -> None:
    only = [row(0, 0.4, {"cell": "rnn"}), row(1, 0.5, {"cell": "rnn"})]
    assert effects(only, StudyDefinition.model_validate(RAW), ["cell"]) == []


def test_a_group_without_a_complete_trial_has_no_scores() -> None:
    (group,) = grouped([TRIALS[3]], lambda trial: "all")
    assert (group.complete, group.best, group.median, group.quartiles) == (0, None, None, None)


def test_verdicts_are_counted_by_state_the_most_frequent_first() -> None:
    assert verdict_counts(TRIALS[:4]) == [("off", 2, 0), ("tracks", 1, 1)]


def test_the_context_is_what_the_candidate_reads() -> None:
    """Whatever the parameter is called that sets it."""
    definition = StudyDefinition.model_validate({**RAW, "space": CONTEXTS})
    space = definition.full_space()
    sampling = optuna.create_study(sampler=RandomSampler(seed=0))
    trials = [row(i, 0.5, dict(space.suggest(sampling.ask()))) for i in range(60)]
    found = {str(t.params["cell"]): context_steps(space, t) for t in trials}
    # The oldest of 4 values that are 2 steps apart, and the newest, are 7 values.
    assert found == {"mlp": 16, "ar": 12, "ssa": 30, "nvar": 7, "esn": 50, "gru": 50}
    by_context = grouped(trials, lambda trial: context_steps(space, trial))
    assert [group.key for group in by_context] == [7, 12, 16, 30, 50]


def test_a_trial_of_another_program_has_no_context() -> None:
    space = StudyDefinition.model_validate(RAW).full_space()
    assert context_steps(space, row(0, 0.5, {"x": 1.0})) is None
