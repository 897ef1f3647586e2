"""Trials side by side by the value of a component."""

from typing import Any

import pytest

from search.results.effects import effects
from search.results.figures import draw_rate, rate_rows
from search.results.groups import grouped, verdict_counts
from search.storage import ParamValue, TrialRow
from search.storage.records import TrialStateName
from search.study.definition import StudyDefinition

RAW: dict[str, Any] = {
    "name": "waves",
    "series": {"source": "sine"},
    "task": {"train_steps": 600, "horizon_steps": 40, "test_horizon_steps": 80},
    "space": {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}},
}


def row(
    number: int,
    value: float | None,
    params: dict[str, ParamValue],
    state: TrialStateName = "complete",
    verdict: str = "off",
) -> TrialRow:
    attributes = {"verdict": verdict}
    return TrialRow(number, number, state, value, params, attributes, {}, None, None, None, 0, None)


TRIALS = [
    row(0, 0.4, {"cell": "rnn", "learning_rate": 1e-4}),
    row(1, 0.2, {"cell": "gru", "learning_rate": 0.5, "layers": 2}, verdict="tracks"),
    row(2, 0.6, {"cell": "rnn", "learning_rate": 1.0, "layers": 1}),
    row(3, 0.9, {"cell": "rnn", "learning_rate": 2e-3}, "pruned", "tracks"),
    row(4, None, {"cell": "lru", "learning_rate": 1e-2}, "failed"),
]


def test_a_choice_has_a_row_for_each_value_that_was_tried() -> None:
    (effect,) = effects(TRIALS, StudyDefinition.model_validate(RAW), ["cell"])
    rows = {value.shown: value.trials for value in effect.values}
    assert list(rows) == ["gru", "rnn"]  # the failed trial says nothing
    assert (rows["rnn"].trials, rows["rnn"].complete, rows["rnn"].tracking) == (3, 2, 1)
    assert (rows["rnn"].best, rows["rnn"].median) == (0.4, 0.5)
    assert rows["rnn"].quartiles == pytest.approx((0.45, 0.55))


def test_a_range_is_cut_into_parts_of_equal_width_on_its_scale() -> None:
    (effect,) = effects(TRIALS, StudyDefinition.model_validate(RAW), ["learning_rate"])
    counts = {value.shown: value.trials.trials for value in effect.values}
    assert counts == {"0.0001 to 0.001": 1, "0.001 to 0.01": 1, "0.1 to 1": 2}


def test_numbers_are_in_their_order_and_trials_without_a_value_in_no_group() -> None:
    (effect,) = effects(TRIALS, StudyDefinition.model_validate(RAW), ["layers"])
    assert [(value.shown, value.trials.trials) for value in effect.values] == [("1", 1), ("2", 1)]


def test_a_component_of_one_value_has_no_effect() -> None:
    only = [row(0, 0.4, {"cell": "rnn"}), row(1, 0.5, {"cell": "rnn"})]
    assert effects(only, StudyDefinition.model_validate(RAW), ["cell"]) == []


def test_a_group_without_a_complete_trial_has_no_scores() -> None:
    (group,) = grouped([TRIALS[3]], lambda trial: "all")
    assert (group.complete, group.best, group.median, group.quartiles) == (0, None, None, None)


def test_verdicts_are_counted_by_state_the_most_frequent_first() -> None:
    assert verdict_counts(TRIALS[:4]) == [("off", 2, 0), ("tracks", 1, 1)]


def test_a_rate_needs_trials_that_ended_at_several_moments() -> None:
    assert rate_rows(TRIALS) is None


def test_a_rate_adds_up_to_the_trials() -> None:
    from dataclasses import replace
    from datetime import datetime, timedelta

    began = datetime(2024, 1, 1)
    timed = [
        replace(trial, started=began, completed=began + timedelta(minutes=10 * (i + 1)))
        for i, trial in enumerate(TRIALS[:4])
    ]
    rate = rate_rows(timed)
    assert rate is not None
    width = rate.minutes[1] - rate.minutes[0]
    assert sum(rate.complete) * width == pytest.approx(3, rel=0.01)
    assert sum(rate.pruned) * width == pytest.approx(1, rel=0.01)
    patterns = [bar.marker.pattern.shape for bar in draw_rate(rate).data]
    assert len(set(patterns)) == 2
