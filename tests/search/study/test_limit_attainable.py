from typing import Any

import pytest

from search.study.definition import StudyDefinition
from search.study.limit import attainable_nmse, context_limit

SINE: dict[str, Any] = {
    "name": "waves",
    "series": {"source": "sine"},
    "task": {"train_steps": 600, "horizon_steps": 400, "test_horizon_steps": 1000},
}


def test_it_is_the_limit_of_the_context_over_the_horizon_of_validation() -> None:
    definition = StudyDefinition.model_validate(SINE)
    found = attainable_nmse(definition, 16)
    assert found == context_limit(definition.series, 16, 400).nmse
    assert found != context_limit(definition.series, 16, 1000).nmse


@pytest.mark.parametrize(
    "changes",
    [
        {"task": {**SINE["task"], "score_against": "observations"}},
        {"series": {"source": "table", "path": "x.csv", "time": "year", "columns": ["spots"]}},
    ],
    ids=["observations", "table"],
)
def test_it_is_unknown_against_observations(changes: dict[str, Any]) -> None:
    assert attainable_nmse(StudyDefinition.model_validate(SINE | changes), 16) is None
