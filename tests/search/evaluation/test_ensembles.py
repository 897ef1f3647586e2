"""Ensembles are scored as their members are, and no row has a say in its own forecast."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.candidate import Candidate, candidate_of
from models.diagnostics.scores import averaged
from models.ensemble import Ensemble, EnsembleCheckpoint
from search.evaluation import CandidateResult
from search.evaluation.ensembles import (
    ROW_FOLDS,
    Member,
    best_ensemble,
    distinct_runs,
    error_products,
    folds_of,
    held_out_mean,
    member_runs,
    run_any,
)
from search.evaluation.held_out import held_out_runs
from search.evaluation.results import truth_of
from search.running.training import train, train_any
from search.series import FloatArray
from search.study.definition import BlocksAveraging, StudyDefinition, Validation
from search.study.task_data import TaskData, View
from tests.search.evaluation.test_cohort import AR
from tests.search.evaluation.test_cuts import data, wave

FORMS: dict[str, Candidate] = {
    "short": candidate_of({**AR, "ar_order": 8, "ridge": 1e-3}),
    "long": candidate_of({**AR, "ar_order": 10, "ridge": 1e-3}),
}
AVERAGING = {"end": "median", "rolling": "mean", "expanding": "mean", "blocks": "geometric mean"}


def views_of(validation: Validation, number: int = 5) -> list[View]:
    task = data(validation)
    return [task.view("final", replica) for replica in range(number)]


def fitted(candidate: Candidate, views: list[View]) -> CandidateResult:
    return train(candidate, views, 0, "final", "cpu", lambda: None)[1]


def members_on(views: list[View]) -> list[Member]:
    return [
        Member(name, own, train(own, views, 0, "final", "cpu", lambda: None)[0], 1)
        for name, own in FORMS.items()
    ]


@pytest.mark.parametrize("validation", ["end", "rolling", "expanding", "blocks"])
def test_an_ensemble_is_scored_as_its_members_are(validation: Validation) -> None:
    views = views_of(validation)
    ensemble, _, found = best_ensemble(members_on(views), views)
    assert found.averaging == AVERAGING[validation]
    results = [fitted(own, views) for own in FORMS.values()]
    assert {own.averaging for own in results} == {found.averaging}
    assert found.score == averaged(found.replica_scores, found.averaging)
    again = train_any(ensemble, views, 0, "final", "cpu", lambda: None, is_held_out=True)[1]
    assert again.averaging == found.averaging
    assert again.replica_scores == found.replica_scores


@pytest.mark.parametrize("validation", ["end", "rolling", "expanding", "blocks"])
def test_the_parts_of_a_table_are_stretches_of_its_rows(validation: Validation) -> None:
    views = views_of(validation)
    folds, rows = folds_of(views), rows_of(views)
    assert folds.shape == rows.shape
    part_of = dict(zip(rows.ravel().tolist(), folds.ravel().tolist(), strict=True))
    assert [part_of[row] for row in rows.ravel().tolist()] == folds.ravel().tolist()
    parts = [part_of[row] for row in sorted(part_of)]
    assert parts == sorted(parts)
    assert set(parts) <= set(range(ROW_FOLDS))
    assert len(set(parts)) > ROW_FOLDS // 2


def test_draws_of_their_own_are_parts() -> None:
    raw = {
        "name": "x",
        "series": {"source": "sine", "angular_frequency": 0.3},
        "task": {"train_steps": 60, "horizon_steps": 10},
    }
    task = TaskData(StudyDefinition.model_validate(raw), None)
    folds = folds_of([task.view("final", draw) for draw in range(3)])
    assert [np.unique(own).tolist() for own in folds] == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("averaging", "starts", "kept"), [("mean", 16, 3), ("mean", 15, 2), ("geometric mean", 16, 2)]
)
def test_what_differs_little_is_a_member_where_many_starts_tell_it_apart(
    averaging: BlocksAveraging, starts: int, kept: int
) -> None:
    task = data("blocks", averaging=averaging)
    views = [task.view("final", replica) for replica in range(5)]
    views = [view.starting_at(tuple(view.starts[0] + np.arange(starts))) for view in views]
    truth = np.stack([truth_of(view) for view in views])
    error = np.random.default_rng(0).standard_normal((4, *truth.shape))
    # They differ from the first by a tenth of its error, by as much as that, and by a fiftieth.
    differences = [0.1 * error[1], error[2], 0.02 * error[3]]
    runs = [truth + error[0] + difference for difference in (0.0, *differences)]
    assert len(distinct_runs(runs, views)) == kept


@pytest.mark.parametrize("validation", ["end", "rolling", "expanding", "blocks"])
def test_a_row_has_no_say_in_its_own_forecast(validation: Validation) -> None:
    views = views_of(validation)
    folds, rows = folds_of(views), rows_of(views)
    generator = np.random.default_rng(0)
    runs = [wave()[rows] + generator.normal(size=(*rows.shape, 1)) for _ in range(2)]
    part = int(folds[0, 0, 0])
    inside = np.unique(rows[folds == part])

    def forecast(shown: list[View]) -> FloatArray:
        return held_out_mean(runs, error_products(runs, shown, folds), folds)

    changed = []
    for view in views:
        truth = view.truth.copy()
        truth[inside[inside < len(truth)]] += 5.0
        changed.append(replace(view, truth=truth))
    before, after = forecast(views), forecast(changed)
    np.testing.assert_allclose(before[folds == part], after[folds == part], rtol=1e-9)
    assert not np.allclose(before, after, rtol=1e-3)


def rows_of(views: list[View]) -> NDArray[np.int64]:
    """The row of each forecast value, `[replica, start, time]`."""
    starts = np.array([view.starts for view in views])
    return np.asarray(starts[:, :, np.newaxis] + np.arange(views[0].horizon_steps))


def test_a_member_that_runs_away_is_left_out_of_scores_forecasts_and_held_out_runs() -> None:
    views = views_of("rolling")
    short, long = (member.checkpoint for member in members_on(views))
    broken = replace(short, weights=3.0 * short.weights)
    members = (short, long, broken)
    runs = member_runs(members, views)
    calm = member_runs((short, long), views)
    np.testing.assert_array_equal(runs[:2], calm)
    np.testing.assert_allclose(runs[2], np.mean(calm, axis=0), rtol=1e-9)
    alone = member_runs((broken,), views)[0]
    assert np.abs(alone).max() > 100 * np.abs(calm).max()

    ensemble = EnsembleCheckpoint(members, (0.25, 0.25, 0.5))
    values, steps = wave()[np.newaxis], views[0].horizon_steps
    two = [run_any(own, values, steps) for own in (short, long)]
    ahead = run_any(ensemble, values, steps)
    np.testing.assert_allclose(ahead, (two[0] + two[1]) / 2, rtol=1e-6)

    held = held_out_runs(ensemble, views)
    assert np.nanmax(np.abs(held.forecast)) < 2 * np.abs(calm).max()


def test_an_ensemble_names_its_members() -> None:
    views = views_of("end")
    ensemble = best_ensemble(members_on(views), views)[0]
    assert isinstance(ensemble, Ensemble)
    assert ensemble.names == tuple(FORMS)
