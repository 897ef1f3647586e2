"""Every method, those that a later file adds included, is sampled and trains to a finite score."""

import math
import tomllib
from pathlib import Path

import pytest

from models.methods import Choices, Names
from search.evaluation import Cohort
from search.running.proposer import Proposed, Proposer
from search.study.definition import StudyDefinition
from search.study.space import Parameter, parameters
from search.study.task_data import TaskData

STUDY = Path(__file__).parents[3] / "studies" / "smoke-methods.toml"
# Only a table can have columns beside the ones that are forecast, see `test_columns_beside`.
BESIDE = ("known_columns", "known_inputs", "known_lags", "past_columns")
# What a study file has to name to search it, and the choice of a cell.
NAMED = [p for p in parameters() if p.name == "cell" or not (p.searched or p.name in BESIDE)]


def values_of(parameter: Parameter) -> list[object]:
    """A few values of a parameter, all of them where they are names."""
    if isinstance(parameter.values, Names):
        return list(parameter.values.names)
    default = parameter.default
    ends = default.values if isinstance(default, Choices) else (default.low, default.high)
    return list(dict.fromkeys([parameter.neutral, *ends]))


@pytest.fixture(scope="module")
def definition() -> StudyDefinition:
    """The smoke study of all methods, with those that its file does not name."""
    raw = tomllib.loads(STUDY.read_text(encoding="utf-8"))
    for parameter in NAMED:
        if isinstance(parameter.values, Names) or parameter.name not in raw["space"]:
            raw["space"][parameter.name] = values_of(parameter)
    return StudyDefinition.model_validate(raw)


def left_out(definition: StudyDefinition, cohorts: list[list[Proposed]]) -> dict[str, set[object]]:
    """The values that no trial has yet, by the parameters that have some."""
    params = [proposal.params for cohort in cohorts for proposal in cohort]
    missing: dict[str, set[object]] = {}
    for parameter in NAMED:
        domain = definition.space[parameter.name]
        assert isinstance(domain, Choices)
        sampled = {p.get(parameter.name) for p in params}
        missing[parameter.name] = {value for value in domain.values if value not in sampled}
    return {name: values for name, values in missing.items() if values}


@pytest.fixture(scope="module")
def proposals(definition: StudyDefinition) -> list[list[Proposed]]:
    """Cohorts until each value is sampled, at most twice as many trials as the study has."""
    proposer = Proposer(definition, sampler_seed=0)
    cohorts: list[list[Proposed]] = []
    while left_out(definition, cohorts) and sum(map(len, cohorts)) < 2 * definition.search.trials:
        cohorts.append(proposer.propose(at_most=None))
        proposer.forget()
    return cohorts


def test_every_value_of_every_method_is_sampled(
    definition: StudyDefinition, proposals: list[list[Proposed]]
) -> None:
    assert left_out(definition, proposals) == {}


def test_every_trial_trains_to_a_finite_score(
    definition: StudyDefinition, proposals: list[list[Proposed]]
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
