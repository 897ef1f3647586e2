"""The course of a search, from its trials."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from search.analysis.course import failures_of, history_of, rate_of, rungs_of
from search.analysis.trials import Trial
from search.records import TrialRecord
from search.storage.records import TrialStateName

BEGAN = datetime(2024, 1, 1)


def trial(number: int, value: float | None, state: TrialStateName = "complete") -> Trial:
    return Trial(number, number, state, value, {}, TrialRecord(), {}, BEGAN)


TRIALS = [
    trial(0, 0.5),
    trial(1, 0.9, "pruned"),
    trial(2, 0.7),
    trial(3, None, "failed"),
    trial(4, 0.2),
    trial(5, None, "running"),
]


def test_a_history_has_the_complete_the_pruned_and_the_best_so_far() -> None:
    history = history_of(TRIALS)
    assert (history.complete.numbers, history.complete.scores) == ([0, 2, 4], [0.5, 0.7, 0.2])
    assert (history.pruned.numbers, history.pruned.scores) == ([1], [0.9])
    assert (history.best.numbers, history.best.scores) == ([0, 4, 5], [0.5, 0.2, 0.2])


def test_thousands_of_trials_become_fewer_points_that_count_them_all() -> None:
    scores = np.random.default_rng(0).lognormal(size=10_000)
    history = history_of([trial(number, float(score)) for number, score in enumerate(scores)])
    assert sum(history.complete.counts) == 10_000
    assert len(history.complete.numbers) < 7_000
    assert history.best.scores[-1] == scores.min()
    assert min(history.complete.scores) == pytest.approx(scores.min(), rel=0.2)


def test_a_study_without_scores_has_an_empty_history() -> None:
    history = history_of([trial(0, None, "running"), trial(1, float("inf"), "pruned")])
    assert history.complete.numbers == history.pruned.numbers == history.best.numbers == []


def test_a_rate_needs_trials_that_ended_at_several_moments() -> None:
    assert rate_of(TRIALS) is None


def test_a_rate_adds_up_to_the_trials() -> None:
    ended = [
        replace(each, completed=BEGAN + timedelta(minutes=10 * (i + 1)))
        for i, each in enumerate(TRIALS[:3])
    ]
    rate = rate_of(ended)
    assert rate is not None
    assert rate.span_minutes == pytest.approx(30)
    width = rate.span_minutes / len(rate.minutes)
    assert sum(rate.complete) * width == pytest.approx(2, rel=0.01)
    assert sum(rate.pruned) * width == pytest.approx(1, rel=0.01)


def test_rungs_count_reports_and_where_trials_were_pruned() -> None:
    reports = [{1: 0.9, 2: 0.5}, {1: 0.9}]
    told = [replace(t, reports=r) for t, r in zip(TRIALS, reports, strict=False)]
    assert [(r.rung, r.reported, r.pruned) for r in rungs_of(told)] == [(1, 2, 1), (2, 1, 0)]


def test_failures_are_counted_by_their_message() -> None:
    failed = [
        replace(trial(i, None, "failed"), record=TrialRecord(message=f"reason {min(i, 11)}"))
        for i in range(14)
    ]
    failures = failures_of(failed)
    assert failures.messages[0] == ("reason 11", 3)
    assert (len(failures.messages), failures.others) == (10, 2)
