"""Replicas with cuts of their own: the rows that are scored change nothing that was learnt."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.baselines.baseline import baselines
from models.candidate import candidate_of
from models.methods import Scalar
from search.evaluation import (
    CandidateResult,
    Cohort,
    baseline_candidates,
    baseline_record,
    baseline_results,
)
from search.series import FloatArray, Purpose, Table
from search.study.definition import BlocksAveraging, StudyDefinition, Validation
from search.study.task_data import TaskData, View
from tests.search.evaluation.test_cohort import AR, ESN, GRU, LRU

ROWS = 150
TASK = {"train_steps": 80, "horizon_steps": 10, "validation_steps": 30, "start_points": 2}
SPACE = {"warm_up_steps": 10, "window_steps": 4, "rollout_steps": 6, "cell": ["gru"]}
CANDIDATES = {
    "gru": GRU,
    "stateful": {**GRU, "stateful": True},
    "segments": {**GRU, "segment_steps": 2, "residual": True, "scaled_increments": True},
    "hybrid": {**GRU, "segment_steps": 2, "residual": False, "hybrid": "level-ar"},
    "lru": {**LRU, "initial_phases": "spectrum"},
    "ar": {**AR, "ridge": 1e-3},
    "held-out": {**AR, "regularisation": "held-out"},
    "esn": {**ESN, "ridge": 1e-3},
}


def data(
    validation: Validation,
    values: FloatArray | None = None,
    averaging: BlocksAveraging | None = None,
) -> TaskData:
    raw: dict[str, Any] = {
        "name": "x",
        "series": {"source": "table", "path": "t.csv", "time": "t", "columns": ["x"]},
        "task": TASK | {"validation": validation, "averaging": averaging, "unused_rows": "between"},
        "search": {"replicas": 3, "final_replicas": 5},
        "space": SPACE,
    }
    values = wave() if values is None else values
    table = Table("t", tuple(map(str, range(len(values)))), ("x",), values)
    return TaskData(StudyDefinition.model_validate(raw), table)


def wave() -> FloatArray:
    noise = np.random.default_rng(0).standard_normal(ROWS)
    return (np.sin(np.arange(ROWS) / 3) + 0.1 * noise)[:, np.newaxis]


def spoilt(view: View) -> View:
    """The view with other values wherever it does not train."""
    values = np.full_like(view.values, 99.0)
    for piece in view.pieces:
        values[piece.start : piece.stop] = view.values[piece.start : piece.stop]
    return replace(view, values=values, truth=values.copy())


def trained(views: list[View], settings: Any) -> tuple[Cohort, CandidateResult]:
    cohort = Cohort([candidate_of(settings)], views, study_seed=1, purpose="search")
    (rung,) = [rung for rung in cohort if rung is not None]
    return cohort, rung.results[0]


@pytest.mark.parametrize("validation", ["rolling", "expanding", "blocks"])
@pytest.mark.parametrize("settings", CANDIDATES.values(), ids=CANDIDATES)
def test_no_row_that_is_left_out_reaches_the_weights(validation: Validation, settings: Any) -> None:
    source = data(validation)
    views = [source.view("search", replica) for replica in range(3)]
    cohort, result = trained(views, settings)
    again, other = trained([spoilt(view) for view in views], settings)
    one, two = cohort.checkpoint(), again.checkpoint()
    assert torch.equal(one.weights, two.weights)
    assert torch.equal(one.shift, two.shift)
    assert torch.equal(one.scale, two.scale)
    assert result.replica_scores != other.replica_scores
    losses = [[replica.training_loss for replica in of.replicas] for of in (result, other)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("validation", ["rolling", "expanding", "blocks"])
def test_no_row_that_is_left_out_reaches_a_baseline(validation: Validation) -> None:
    source = data(validation)
    views = [source.view("search", replica) for replica in range(3)]
    # Only the rows after the first free run's start may differ: a baseline reads those before it.
    changed = []
    for view in views:
        values = view.values.copy()
        left_out = np.ones(len(values), dtype=bool)
        for piece in view.pieces:
            left_out[piece.start : piece.stop] = False
        left_out[: view.starts[0]] = False
        values[left_out] = 99.0
        changed.append(replace(view, values=values, truth=values.copy()))
    candidates = baseline_candidates(source)
    found, again = (baseline_results(candidates, own) for own in (views, changed))
    assert len(found) >= 2
    for name, one in found.items():
        assert len(one.replicas) == 3
        for replica, other in zip(one.replicas, again[name].replicas, strict=True):
            np.testing.assert_array_equal(replica.example.forecast, other.example.forecast)


@pytest.mark.parametrize("validation", ["end", "rolling", "expanding", "blocks"])
def test_every_baseline_fits_into_every_cut(validation: Validation) -> None:
    source = data(validation)
    candidates = baseline_candidates(source)
    assert list(candidates) == list(baselines())
    counts: dict[Purpose, int] = {"search": 3, "final": 5}
    for purpose, count in counts.items():
        views = [source.view(purpose, replica) for replica in range(count)]
        for result in baseline_results(candidates, views).values():
            assert np.isfinite(result.score)


def test_views_of_cuts_are_of_the_tables_rows_and_share_a_variance() -> None:
    validations: tuple[Validation, ...] = ("rolling", "expanding", "blocks")
    counts: dict[Purpose, int] = {"search": 3, "final": 5}
    for validation in validations:
        source = data(validation)
        for purpose, count in counts.items():
            views = [source.view(purpose, replica) for replica in range(count)]
            assert len({view.starts for view in views}) == count
            for view in views:
                np.testing.assert_array_equal(view.values, wave()[: len(view.values)])
                assert len(view.values) <= 110  # nothing of the test
                least = min(view.starts) if validation == "expanding" else 80
                assert view.train_steps == len(view.training) == least >= 80
                assert view.variance == pytest.approx(wave()[:110].var())
            assert source.view(purpose, count).starts == views[0].starts
        test = source.view("test", 3)
        assert (test.pieces, test.averaging) == ((range(140),), "median")


def test_the_search_scores_by_the_mean_of_its_cuts() -> None:
    source = data("rolling")
    views = [source.view("search", replica) for replica in range(3)]
    result = trained(views, {**AR, "ridge": 1e-3})[1]
    nmse = [replica.scores.nmse for replica in result.replicas]
    assert result.replica_scores == nmse
    assert result.score == result.record.score == np.mean(nmse)


def test_the_search_scores_by_the_geometric_mean_over_all_starts_of_its_blocks() -> None:
    source = data("blocks")
    views = [source.view("search", replica) for replica in range(3)]
    result = trained(views, {**AR, "ridge": 1e-3})[1]
    by_start = np.array([replica.scores.by_start for replica in result.replicas])
    assert by_start.shape == (3, 2)
    assert result.score == pytest.approx(10 ** np.mean(np.log10(by_start + 1e-8)))
    assert result.record.score == result.score
    mean = baseline_results(baseline_candidates(source), views)["mean"]
    assert baseline_record(mean).averaging == "geometric mean"


def test_the_squared_errors_of_blocks_may_weigh_as_those_of_a_test() -> None:
    source = data("blocks", averaging="mean")
    views = [source.view("search", replica) for replica in range(3)]
    result = trained(views, {**AR, "ridge": 1e-3})[1]
    by_start = np.array([replica.scores.by_start for replica in result.replicas])
    assert result.score == result.record.score == pytest.approx(by_start.mean())
    assert source.view("test", 0).averaging == "median"


KERNEL: dict[str, Scalar] = {
    "cell": "kernel-ridge",
    "kernel_delays": 3,
    "kernel_components": 2,
    "regularisation": "given",
    "ridge": 1e-6,
}


@pytest.mark.parametrize("averaging", ["geometric mean", "mean"])
def test_what_is_fitted_reports_after_some_of_its_blocks_and_ends_as_without_reports(
    averaging: BlocksAveraging,
) -> None:
    source = data("blocks", averaging=averaging)
    views = [source.view("search", replica) for replica in range(3)]
    candidates = [candidate_of({**KERNEL, "kernel_length": length}) for length in (0.5, 1.0, 2.0)]
    reported = Cohort(
        candidates, views, study_seed=0, purpose="search", rung_fractions=(1 / 8, 2 / 3, 1.0)
    )
    rungs = [rung for rung in reported if rung is not None]
    assert [(rung.rung, rung.is_last) for rung in rungs] == [(1, False), (2, False), (3, True)]
    counts = [{len(result.replicas) for result in rung.results.values()} for rung in rungs]
    assert counts == [{1}, {2}, {3}]
    (whole,) = [
        rung
        for rung in Cohort(candidates, views, study_seed=0, purpose="search")
        if rung is not None
    ]
    for place, result in whole.results.items():
        assert rungs[-1].results[place].replica_scores == result.replica_scores
        for rung, count in zip(rungs, (1, 2, 3), strict=True):
            own = rung.results[place]
            assert own.replica_scores == result.replica_scores[:count]
            assert [replica.loss_curve for replica in own.replicas] == [
                replica.loss_curve for replica in result.replicas[:count]
            ]


def test_what_is_dropped_after_a_block_is_not_fitted_to_the_others() -> None:
    source = data("blocks")
    views = [source.view("search", replica) for replica in range(3)]
    candidates = [candidate_of({**KERNEL, "kernel_length": length}) for length in (0.5, 1.0)]
    cohort = Cohort(candidates, views, study_seed=0, purpose="search", rung_fractions=(1 / 8, 1.0))
    fits, last = 0, None
    for rung in cohort:
        fits += rung is None
        if rung is not None and not rung.is_last:
            cohort.drop([1])
        last = rung or last
    assert last is not None
    assert list(last.results) == [0]
    # Two of the first block, two more of what goes on, and the end of the only step.
    assert fits == 2 + 2 + 1


@pytest.mark.parametrize("validation", ["end", "rolling", "expanding"])
def test_elsewhere_what_is_fitted_reports_once(validation: Validation) -> None:
    source = data(validation)
    views = [source.view("search", replica) for replica in range(3)]
    cohort = Cohort(
        [candidate_of(KERNEL)], views, study_seed=0, purpose="search", rung_fractions=(0.25, 1.0)
    )
    (rung,) = [rung for rung in cohort if rung is not None]
    assert rung.is_last
