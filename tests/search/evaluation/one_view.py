"""One free run after the training span of a series, as tests of the evaluation score it."""

from collections.abc import Mapping
from typing import Any

from models.candidate import candidate_of
from search.evaluation import CandidateResult, Cohort
from search.series import FloatArray
from search.study.task_data import View, training_variance


def trained_on(
    candidate: Mapping[str, Any], values: FloatArray, train_steps: int
) -> tuple[Cohort, CandidateResult]:
    """Train a candidate on the first rows of `[time, channel]`, and score it on all that follow."""
    view = View(
        values=values,
        truth=values.copy(),
        pieces=(range(train_steps),),
        starts=(train_steps,),
        horizon_steps=len(values) - train_steps,
        variance=training_variance(values[:train_steps]),
        scored_against="observations",
    )
    cohort = Cohort([candidate_of(candidate)], [view], study_seed=0, purpose="search")
    (rung,) = [rung for rung in cohort if rung is not None]
    return cohort, rung.results[0]
