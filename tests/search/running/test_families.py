"""Whose turn it is: no family is starved, and one that is better gets more."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from search.running.families import ENOUGH_TRIALS, JUDGED_FITTED, LEAST_WEIGHT, Families
from search.storage.records import ScoredTrial
from search.study.definition import StudyDefinition

CELLS = ["gru", "ar", "ssa", "lru"]
seconds_of_cohorts = st.lists(st.floats(0.01, 5.0), min_size=4, max_size=4)


def families(cells: list[str] = CELLS) -> Families:
    raw = {
        "name": "x",
        "series": {"source": "sine"},
        "task": {"train_steps": 600, "horizon_steps": 100},
        "space": {"cell": cells},
    }
    return Families(StudyDefinition.model_validate(raw).full_space())


def scored(cell: str, value: float) -> ScoredTrial:
    key = json.dumps([["layers", 2], ["cell", cell]])
    return ScoredTrial(0, "complete", value, {1: value}, key)


def test_what_is_fitted_comes_first_and_each_has_its_turn() -> None:
    own = families()
    first = [own.next(trials_left=None, seconds_left=60.0) for _ in CELLS]
    assert first[:2] == ["ar", "ssa"]
    assert sorted(first) == sorted(CELLS)


def test_what_is_known_to_be_good_on_most_series_comes_before_its_like() -> None:
    own = families(["gru", "lru", "ar", "direct-ridge", "ssa"])
    first = [own.next(trials_left=None, seconds_left=60.0) for _ in range(5)]
    assert first == ["direct-ridge", "ar", "ssa", "lru", "gru"]


@settings(deadline=None, max_examples=50)
@given(seconds=seconds_of_cohorts)
def test_equally_good_families_have_equal_time(seconds: list[float]) -> None:
    own, cost = families(), dict(zip(CELLS, seconds, strict=True))
    left = 200.0
    while left > 0.0:
        name = own.next(trials_left=None, seconds_left=left)
        own.charge(name, cost[name])
        left -= cost[name]
    had = [family.seconds for family in own.all.values()]
    assert max(had) - min(had) <= 2 * max(seconds)


@settings(deadline=None, max_examples=50)
@given(times=st.floats(1.0, 10.0))
def test_a_family_that_is_worse_has_less_by_as_much(times: float) -> None:
    own = families(["ar", "ssa"])
    for cell, value in (("ar", 0.1), ("ssa", 0.1 * times)):
        own.learn([scored(cell, value)] * JUDGED_FITTED)
    for step in range(4000):
        own.charge(own.next(trials_left=None, seconds_left=40.0 - 0.01 * step), 0.01)
    share = own.all["ssa"].seconds / own.all["ar"].seconds
    expected = max(1 / times**2, LEAST_WEIGHT)
    assert abs(share - expected) < 0.02


@settings(deadline=None, max_examples=50)
@given(times=st.floats(1.0, 10.0), trials=st.integers(1, JUDGED_FITTED))
def test_few_trials_of_a_family_tell_a_part_of_what_many_tell(times: float, trials: int) -> None:
    own = families(["ar", "ssa"])
    own.learn([scored("ar", 0.1)] * JUDGED_FITTED)
    own.learn([scored("ssa", 0.1 * times)] * trials)
    for step in range(4000):
        own.charge(own.next(trials_left=None, seconds_left=40.0 - 0.01 * step), 0.01)
    share = own.all["ssa"].seconds / own.all["ar"].seconds
    expected = max(1 / times**2, LEAST_WEIGHT) ** (trials / JUDGED_FITTED)
    assert abs(share - expected) < 0.02


def test_without_a_limit_of_time_trials_are_shared() -> None:
    own = families(["ar", "ssa"])
    own.charge("ssa", 1000.0)
    for left in range(100, 0, -1):
        own.learn([scored(own.next(left, None), 0.5)])
    assert [family.trials for family in own.all.values()] == [50, 50]


def test_many_trials_of_a_family_count_for_more() -> None:
    own = families(["ar", "ssa"])
    own.learn([scored("ar", 0.1)] * (4 * ENOUGH_TRIALS))
    own.charge("ar", 1.0)
    own.charge("ssa", 2.0)
    assert own.next(trials_left=None, seconds_left=60.0) == "ssa"


def test_an_exhausted_family_waits_for_the_others() -> None:
    own = families(["ar", "ssa"])
    own.exhaust("ar")
    own.charge("ssa", 100.0)
    assert own.next(trials_left=None, seconds_left=60.0) == "ssa"
    own.exhaust("ssa")
    assert own.next(trials_left=None, seconds_left=60.0) == "ar"


def test_a_trial_is_of_the_family_in_its_cohort_key() -> None:
    own = families()
    assert own.of(scored("lru", 1.0)) == "lru"
    assert own.of(scored("esn", 1.0)) is None  # not of this space
    assert own.of(ScoredTrial(0, "complete", 1.0, {}, None)) is None


def test_a_space_of_one_cell_is_one_family() -> None:
    own = families(["gru"])
    assert own.next(None, 1.0) == ""
    assert own.of(scored("gru", 1.0)) == ""


def test_presets_are_families() -> None:
    raw = {
        "name": "x",
        "series": {"source": "sine"},
        "task": {"train_steps": 600, "horizon_steps": 100},
        "presets": {"baseline": 5, "lstm": 5},
    }
    own = Families(StudyDefinition.model_validate(raw).full_space())
    assert list(own.all) == ["baseline", "lstm"]
    assert own.of_key(json.dumps(["lstm", [["cell", "lstm"]]])) == "lstm"
