"""The smoke study of all methods: it samples each of them, and each trains to a finite score."""

import math
from pathlib import Path

import pytest

from models.methods import Choices
from search.evaluation import Cohort
from search.running.proposer import Proposer
from search.storage import Proposal
from search.study.definition import StudyDefinition
from search.study.space import parameters
from search.study.study_file import read_study_file
from search.study.task_data import TaskData
from tests.search.study.space.samples import all_cells

STUDY = Path(__file__).parents[3] / "studies" / "smoke-methods.toml"
# What a study file has to name to search it.
NAMES = ["cell", *(row.name for row in parameters() if not row.searched)]


@pytest.fixture(scope="module")
def definition() -> StudyDefinition:
    return read_study_file(STUDY).definition


@pytest.fixture(scope="module")
def proposals(definition: StudyDefinition) -> list[list[Proposal]]:
    """The study's trials, cohort by cohort."""
    proposer = Proposer(definition, sampler_seed=0)
    cohorts: list[list[Proposal]] = []
    while (left := definition.search.trials - sum(map(len, cohorts))) > 0:
        cohorts.append(proposer.propose(at_most=left))
        proposer.forget()
    return cohorts


def test_every_value_of_every_method_is_sampled(
    definition: StudyDefinition, proposals: list[list[Proposal]]
) -> None:
    cells = all_cells()
    assert definition.space["cell"] == Choices(cells)
    params = [proposal.params for cohort in proposals for proposal in cohort]
    for name in NAMES:
        domain = definition.space[name]
        assert isinstance(domain, Choices)
        assert {p[name] for p in params if name in p} == set(domain.values), name


def test_every_trial_trains_to_a_finite_score(
    definition: StudyDefinition, proposals: list[list[Proposal]]
) -> None:
    space, view = definition.full_space(), TaskData(definition, None).view("search", 0)
    for cohort in proposals:
        candidates = [space.resolve(proposal.params) for proposal in cohort]
        *_, last = Cohort(candidates, [view], study_seed=0, purpose="search")
        assert last is not None
        assert len(last.results) == len(candidates)
        for result in last.results.values():
            assert math.isfinite(result.score)
            assert result.verdict
