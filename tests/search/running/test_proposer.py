"""Cohorts are proposed whole: one key, about as many networks as asked for."""

from search.running.proposer import Proposer, cohort_key
from search.study.definition import StudyDefinition
from search.study.space import Space


def wide(**search: object) -> StudyDefinition:
    return StudyDefinition.model_validate(
        {
            "name": "wide",
            "series": {"source": "sine"},
            "task": {"train_steps": 600, "horizon_steps": 400},
            "search": {"replicas": 4, **search},
        }
    )


def test_a_proposal_is_one_cohort_of_about_the_asked_size() -> None:
    definition = wide(cohort_members=64)
    proposer, space = Proposer(definition, sampler_seed=1), Space(definition.space)
    sizes = []
    for _ in range(12):
        proposals = proposer.propose(at_most=None)
        proposer.forget()
        candidates = [space.resolve(proposal.params) for proposal in proposals]
        assert {cohort_key(c) for c in candidates} == {p.cohort_key for p in proposals}
        assert len({p.cohort_key for p in proposals}) == 1
        sizes.append(sum(4 * candidate.restarts for candidate in candidates))
    # The last candidate may exceed the size by its restarts; memory may keep a cohort below.
    assert max(sizes) < 64 + 4 * 8
    assert sorted(sizes)[len(sizes) // 2] >= 16


def test_never_more_than_the_budget_has_left() -> None:
    proposer = Proposer(wide(), sampler_seed=1)
    assert len(proposer.propose(at_most=2)) <= 2


def test_equal_seeds_propose_equally_and_others_do_not() -> None:
    one, same, other = (Proposer(wide(), sampler_seed=seed).propose(None) for seed in (1, 1, 2))
    assert [p.params for p in one] == [p.params for p in same]
    assert [p.params for p in one] != [p.params for p in other]


def test_strategies_differ_within_a_cohort() -> None:
    proposals = Proposer(wide(cohort_members=256), sampler_seed=3).propose(None)
    assert len({p.params["learning_rate"] for p in proposals}) == len(proposals)
