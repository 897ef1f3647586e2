"""Successive halving keeps the better half of all that reported at a rung."""

from hypothesis import given, settings
from hypothesis import strategies as st

from search.running.halving import Halving
from search.storage.records import ScoredTrial


def pruned(value: float) -> ScoredTrial:
    return ScoredTrial(0, "pruned", value, {1: value}, "a")


def test_the_worse_half_of_a_cohort_is_dropped() -> None:
    assert set(Halving().losers(1, {0: 0.4, 1: 0.1, 2: 0.3, 3: 0.2})) == {0, 2}


def test_earlier_trials_count() -> None:
    halving = Halving()
    halving.learn(map(pruned, (0.1, 0.2, 0.3)))
    # The better half of (0.1, 0.2, 0.25, 0.3, 0.4) are two.
    assert set(halving.losers(1, {0: 0.25, 1: 0.4})) == {0, 1}
    assert set(halving.losers(2, {0: 0.25, 1: 0.4})) == {1}


def test_trials_of_a_preset_are_compared_with_their_own_kind() -> None:
    halving = Halving()
    halving.learn([pruned(0.1)] * 9, "lstm")
    scores = {0: 0.3, 1: 0.4}
    assert halving.losers(1, scores, "gru") == [1]
    assert set(halving.losers(1, scores, "lstm")) == {0, 1}
    assert halving.losers(1, scores) == [1]


def test_one_trial_alone_goes_on() -> None:
    assert Halving().losers(1, {7: 3.0}) == []


@given(st.dictionaries(st.integers(0, 50), st.floats(0, 1e6), min_size=1))
@settings(deadline=None, max_examples=50)
def test_no_loser_is_better_than_one_that_goes_on(scores: dict[int, float]) -> None:
    losers = Halving().losers(1, scores)
    kept = scores.keys() - set(losers)
    assert kept
    assert all(scores[loser] > max(scores[k] for k in kept) for loser in losers)
