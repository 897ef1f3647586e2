"""Baselines on the views of a task: candidates like any other, whose settings follow the span."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.baselines.baseline import baselines
from models.baselines.linear import CONTEXT_SHARE
from models.candidate import Candidate, candidate_of
from search.evaluation.cohort import Cohort
from search.evaluation.results import CandidateResult
from search.evaluation.twins import distinct_views
from search.records import BaselineRecord
from search.study.task_data import TaskData, View


def baseline_candidates(data: TaskData) -> dict[str, Candidate]:
    """The baselines of a study by name, those that fit into each of its training spans.

    Their settings follow the training span of the search's first draw, and stay what they are in
    the final and in the test, as those of any candidate do. Where blocks are left out of a table,
    they follow a part of it, so that they read no more than what is before the first block, and
    can be fitted to the longest piece of any cut.
    """
    cuts = [*data.cuts("search"), *data.cuts("final")]
    context_steps = min(cut.starts[0] for cut in cuts)
    train_steps = min(max(map(len, cut.pieces)) for cut in cuts)
    training = data.view("search", 0).longest[-min(train_steps, CONTEXT_SHARE * context_steps) :]
    if training.shape[1] > 1:
        # In standard deviations, so that no channel decides on a season by its units.
        std = training.std(axis=0)
        training = training / np.where(std > 0, std, 1.0)
    series = data.properties()
    periods = () if series.is_wave else series.periods
    found = {
        name: candidate_of(own.settings_for(training, periods)) for name, own in baselines().items()
    }
    return {
        name: own
        for name, own in found.items()
        if own.least_steps <= train_steps and own.architecture.shown_steps <= context_steps
    }


def baseline_results(
    candidates: Mapping[str, Candidate], views: Sequence[View]
) -> dict[str, CandidateResult]:
    """Fit and score baselines on each view; views of one table are equal and count once."""
    distinct = distinct_views(views)
    return {name: _result(own, distinct) for name, own in candidates.items()}


def baseline_record(result: CandidateResult, replica: int = 0) -> BaselineRecord:
    """A baseline's result as it is stored, with the forecast for the draw that `replica` saw."""
    return BaselineRecord(
        draw_scores=tuple(result.replica_scores),
        curve=result.curve,
        averaging=result.averaging,
        errors=result.record.errors,
        channel_scores=result.record.channel_scores,
        channel_errors=result.record.channel_errors,
        forecast=result.replicas[replica % len(result.replicas)].example.forecast,
    )


def _result(candidate: Candidate, views: Sequence[View]) -> CandidateResult:
    # Closed forms without random numbers, for which no seed counts.
    cohort = Cohort([candidate], views, study_seed=0, purpose="search")
    for rung in cohort:
        if rung is not None:
            return rung.results[0]
    raise AssertionError("a cohort ends with its last rung")
