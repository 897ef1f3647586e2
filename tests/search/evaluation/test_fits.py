"""What would be fitted again to the same numbers is fitted once, and told of every replica."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from models.candidate import candidate_of
from models.closed_form.closed_form import LaggedRidge
from search.evaluation import Cohort
from search.study.definition import Validation
from search.study.task_data import View
from tests.models.methods.declaring import declared_here
from tests.search.evaluation.test_cuts import data

REPLICAS = 5
# A fit factorises the first part of a span, to run over the rest, and all of it.
EACH = 2


@pytest.fixture
def factorised() -> Iterator[dict[str, int]]:
    """How often each of two forms of a plug-in has been factorised; "dice" draws numbers."""
    counts = {"counting": 0, "dice": 0}
    with declared_here():

        class Counting(LaggedRidge, name="counting", label="counts its fits"):
            """Ridge regression on the last three values."""

            @property
            def context_steps(self) -> int:
                return 3

            def size(self) -> str:
                return "order 3"

            def factorise(self, *given: Any) -> Any:
                counts[self.name] += 1
                return super().factorise(*given)

        class Dice(Counting, name="dice", label="counts its fits, which may differ"):
            """The same, said to draw numbers."""

            is_random = True

        yield counts


def fitted(cell: str, views: list[View]) -> Any:
    candidate = candidate_of({"cell": cell, "regularisation": "held-out"})
    cohort = Cohort([candidate], views, study_seed=1, purpose="final")
    (rung,) = [rung for rung in cohort if rung is not None]
    return cohort, rung.results[0]


def views_of(validation: Validation) -> list[View]:
    return [data(validation).view("final", replica) for replica in range(REPLICAS)]


@pytest.mark.parametrize(
    ("cell", "validation", "fits"),
    [("counting", "end", 1), ("counting", "rolling", REPLICAS), ("dice", "end", REPLICAS)],
)
def test_a_form_without_random_numbers_is_fitted_once_to_each_cut(
    factorised: dict[str, int], cell: str, validation: Validation, fits: int
) -> None:
    cohort, result = fitted(cell, views_of(validation))
    assert factorised[cell] == EACH * fits
    assert len(result.record.replica_scores) == REPLICAS
    assert [replica.index for replica in result.replicas] == list(range(REPLICAS))
    assert [replica.example.replica for replica in result.replicas] == list(range(REPLICAS))
    assert len(cohort.checkpoint().weights) == REPLICAS


def test_every_replica_has_the_result_of_the_fit_on_its_own_cut(factorised: dict[str, int]) -> None:
    early, late = views_of("rolling")[0], views_of("rolling")[-1]
    cohort, result = fitted("counting", [late, early, late, early])
    assert factorised["counting"] == 2 * EACH
    alone = [fitted("counting", [view])[1].replica_scores[0] for view in (late, early)]
    assert result.replica_scores == 2 * alone
    kept = cohort.checkpoint()
    np.testing.assert_array_equal(kept.weights[[0, 1]], kept.weights[[2, 3]])
    np.testing.assert_array_equal(kept.shift[[0, 1]], kept.shift[[2, 3]])
    assert kept.shift[0] != kept.shift[1]


def test_candidates_beside_one_another_are_each_told_of_every_replica(
    factorised: dict[str, int],
) -> None:
    settings = {"cell": "counting", "regularisation": "given"}
    candidates = [candidate_of({**settings, "ridge": ridge}) for ridge in (1e-6, 1.0)]
    cohort = Cohort(candidates, views_of("end"), study_seed=1, purpose="search")
    (rung,) = [rung for rung in cohort if rung is not None]
    # They differ by their level alone, and share the factorisation.
    assert factorised["counting"] == EACH
    scores = [rung.results[place].replica_scores for place in (0, 1)]
    assert [len(set(own)) for own in scores] == [1, 1]
    assert scores[0] != scores[1]
