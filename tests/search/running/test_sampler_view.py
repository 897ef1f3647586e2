"""A sampler of a large study sees its best trials and a fair part of the others."""

from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.running.proposer import Proposer
from search.running.sampler_view import BEST_TRIALS, LARGEST_VIEW, THINNED_VIEW, thinned
from search.storage.records import Proposal, ScoredTrial
from search.study.definition import StudyDefinition
from tests.search.running.conftest import TINY


def scored(number: int, seed: int = 0, key: str = "[]") -> list[ScoredTrial]:
    """Every other trial is pruned at its first rung; ids are not in the order of scores."""
    values = np.random.default_rng(seed).permutation(number)
    return [
        ScoredTrial(i, "complete", float(value), {1: value, 2: value}, key)
        if i % 2
        else ScoredTrial(i, "pruned", float(value), {1: value}, key)
        for i, value in enumerate(values)
    ]


def test_the_best_are_shown_and_a_part_of_the_others() -> None:
    trials = scored(3000)
    shown = thinned(trials, np.random.default_rng(0))
    assert shown == sorted(set(shown))
    assert len(shown) == THINNED_VIEW
    complete = [t for t in trials if t.state == "complete"]
    best = sorted(complete, key=lambda trial: trial.value or 0.0)[:BEST_TRIALS]
    assert {trial.trial_id for trial in best} <= set(shown)
    others = set(shown) - {trial.trial_id for trial in best}
    # Uniform over the rest, old and new: the mean id of 400 is within 4 standard errors of 1500.
    assert abs(np.mean(list(others)) - 1500) < 4 * 3000 / np.sqrt(12 * len(others))
    assert shown == thinned(trials, np.random.default_rng(0))


def test_pruned_trials_fill_up_where_few_are_complete() -> None:
    far = [ScoredTrial(i, "pruned", 5.0, {1: 5.0, 2: 5.0}, "a") for i in range(60)]
    near = [ScoredTrial(1000 + i, "pruned", 1.0, {1: 1.0}, "a") for i in range(900)]
    one = ScoredTrial(5000, "complete", 9.0, {}, "a")
    shown = thinned([*near, *far, one], np.random.default_rng(0))
    assert {5000, *range(60)} <= set(shown)


def test_a_proposer_asks_for_no_more_than_its_view() -> None:
    definition = StudyDefinition.model_validate(TINY)
    (proposal, *_) = Proposer(definition, sampler_seed=5).propose(at_most=1)
    asked: list[int] = []

    def load(ids: Sequence[int]) -> list[FrozenTrial]:
        asked.append(len(ids))
        return [frozen(proposal, trial_id) for trial_id in ids]

    proposer, same = (Proposer(definition, sampler_seed=1) for _ in range(2))
    for one in (proposer, same):
        for number in (40, LARGEST_VIEW, 1):
            one.learn(scored(number, key=proposal.cohort_key), load)
        one.learn([ScoredTrial(9, "failed", None, {}, proposal.cohort_key)], load)
    assert asked == [40, THINNED_VIEW, 1] * 2
    assert [p.params for p in proposer.propose(3)] == [p.params for p in same.propose(3)]


def frozen(proposal: Proposal, trial_id: int) -> FrozenTrial:
    return create_trial(
        state=TrialState.COMPLETE,
        value=float(trial_id % 7),
        params=dict(proposal.params),
        distributions=dict(proposal.distributions),
    )
