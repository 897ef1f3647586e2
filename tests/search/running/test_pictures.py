"""Which trials get pictures: the best so far, the first of a verdict, others while it is cheap."""

from dataclasses import replace
from time import monotonic

import pytest

from models.candidate import candidate_of
from search.evaluation import CandidateResult, Cohort
from search.running.pictures import Pictures
from search.storage.records import Artifact, ScoredTrial
from tests.search.evaluation.test_cohort import AR
from tests.search.evaluation.test_cuts import data


@pytest.fixture(scope="module")
def results() -> list[CandidateResult]:
    """Of one verdict, from better to worse."""
    views = [data("end").view("search", 0)]
    candidates = [candidate_of({**AR, "ridge": ridge}) for ridge in (1e-6, 1e-3, 1.0, 10.0, 100.0)]
    cohort = Cohort(candidates, views, study_seed=0, purpose="search")
    (rung,) = [rung for rung in cohort if rung is not None]
    alike = [
        replace(own, replicas=tuple(replace(r, verdict="tracks") for r in own.replicas))
        for own in rung.results.values()
    ]
    return sorted(alike, key=lambda result: result.score)


@pytest.fixture
def pictures() -> Pictures:
    """Pictures that have taken far more than their share."""
    own = Pictures(lambda _result, name: [Artifact(f"{name}.png", b"")])
    own.seconds = monotonic() + 1e6
    return own


def test_the_first_of_a_verdict_has_pictures_and_the_next_one_has_none(
    pictures: Pictures, results: list[CandidateResult]
) -> None:
    first, second = results[2], results[3]
    assert first.verdict == second.verdict
    assert [file.filename for file in pictures.of(first, "one")] == ["one.png"]
    assert pictures.of(second, "two") == ()
    assert pictures.of(second, "two", group="baseline") != ()  # a family of its own


def test_the_best_so_far_has_pictures_and_what_others_found_counts(
    pictures: Pictures, results: list[CandidateResult]
) -> None:
    best, middle, worse = results[0], results[1], results[3]
    assert pictures.of(worse, "worse") != ()
    assert pictures.of(middle, "middle") != ()
    found = ScoredTrial(7, "complete", (best.score + middle.score) / 2, {}, "[]")
    pictures.learn([found, ScoredTrial(8, "pruned", 0.0, {1: 0.0}, "[]")])
    assert pictures.of(middle, "again") == ()
    assert pictures.of(best, "best") != ()


def test_pictures_that_cost_little_are_made_of_all(results: list[CandidateResult]) -> None:
    own = Pictures(lambda _result, _name: [Artifact("a.png", b"")])
    own.began -= 1e6
    assert all(own.of(result, "x") for result in results)
