"""Masked values are neither trained on nor scored, by whatever is fitted and compared."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.candidate import candidate_of
from models.checkpoint import Checkpoint
from search.contest import compared
from search.evaluation import CandidateResult, Cohort, baseline_candidates, baseline_results
from search.evaluation.diagnostics import one_step
from search.evaluation.ensembles import Member, best_ensemble
from search.evaluation.held_out import held_out_runs
from search.evaluation.results import truth_of
from search.export.intervals import Intervals, widening_of
from search.records import CandidateRecord, FinalRecord
from search.running.training import final_record
from search.series import FloatArray, Table
from search.series.filling import fill
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View

NETWORK: Mapping[str, Any] = {
    **{"cell": "gru", "layers": 1, "head_layers": 0, "hidden_units": 4, "context": "state"},
    **{"warm_up_steps": 8, "rollout_steps": 4, "teacher_weight": 0.5, "curriculum_fraction": 0.0},
    **{"input_noise_std": 0.0, "feedback_noise_std": 0.0, "learning_rate": 1e-2},
    **{"weight_decay": 0.0, "clip_norm": 1.0, "schedule": "cosine", "training_steps": 20},
    **{"batch_size": 4, "restarts": 1},
}
AR: Mapping[str, Any] = {"cell": "ar", "ar_order": 4, "ridge": 0.0}
SEASONAL: Mapping[str, Any] = {**AR, "seasonal_lag": 12}
ROWS = 260
GAPS = (31, 32, 60, 75, 76, 77, 78, 79, 120, 177, 190, 191, 205, 216, 217, 240)


def wave(rows: int = ROWS) -> FloatArray:
    noise = np.random.default_rng(0).normal(size=rows) / 10
    return np.asarray((np.sin(np.arange(rows) * 2 * np.pi / 12) + noise)[:, np.newaxis])


def data(gaps: tuple[int, ...] = GAPS, **task: Any) -> TaskData:
    values = wave()
    values[list(gaps)] = np.nan
    filled = fill(values, ("x",), "mask", None)
    times = tuple(map(str, range(ROWS)))
    table = Table("t", times, ("x",), filled.values, filled=filled.runs, is_masked=bool(gaps))
    spans = {"train_steps": 160, "horizon_steps": 20, "validation_steps": 60}
    raw = {
        "name": "x",
        "series": {"source": "table", "path": "t.csv", "columns": ["x"], "period": 12},
        "task": {**spans, "test_horizon_steps": 20, "start_points": 4, **task},
        "search": {"replicas": 2, "final_replicas": 2},
    }
    return TaskData(StudyDefinition.model_validate(raw), table)


def trained(candidate: Mapping[str, Any], view: View) -> tuple[Checkpoint, CandidateResult]:
    cohort = Cohort([candidate_of(candidate)], [view], study_seed=0, purpose="search")
    (rung,) = [rung for rung in cohort if rung is not None]
    return cohort.checkpoint(), rung.results[0]


@pytest.mark.parametrize("candidate", [NETWORK, AR, SEASONAL], ids=["gru", "ar", "seasonal"])
def test_what_masked_cells_hold_changes_no_weight(candidate: Mapping[str, Any]) -> None:
    view = data().view("search", 0)
    spoilt = view.values.copy()
    spoilt[[gap for gap in GAPS if gap < 177]] = 1e6
    spoilt[205], spoilt[216:218] = -1e6, np.nan  # which no free run reads
    starts = (180, 186, 193, 200)
    given, other = (trained(candidate, replace(view, values=v, starts=starts[:1])) for v in (
        view.values, np.where(np.arange(len(spoilt))[:, None] < 164, spoilt, view.values)
    ))  # fmt: skip
    assert torch.equal(given[0].weights, other[0].weights)
    assert torch.equal(given[0].scale, other[0].scale)
    assert given[1].replicas[0].training_loss == other[1].replicas[0].training_loss


def test_a_regression_is_that_of_the_windows_without_masked_rows() -> None:
    view = data().view("search", 0)
    _, result = trained(AR, view)
    own = view.training
    mean, std = own.mean(), own.std()
    windows = [r for r in range(24, 180) if not set(range(r - 4, r + 1)) & set(GAPS)]
    scaled = (wave()[:, 0] - mean) / std
    features = np.array([scaled[r - 4 : r] for r in windows])
    solved, *_ = np.linalg.lstsq(features, scaled[windows], rcond=None)
    read = (view.values[176:180, 0] - mean) / std
    forecast = result.replicas[0].example.forecast[0]
    assert forecast == pytest.approx(read @ solved * std + mean, rel=1e-9)


@pytest.mark.parametrize("name", ["ar", "ssa", "seasonal-naive"])
def test_scores_are_means_over_what_is_known(name: str) -> None:
    own = data()
    views = [own.view("final", replica) for replica in range(2)]
    result = baseline_results(baseline_candidates(own), views)[name]
    view, replica = views[0], result.replicas[0]
    truth = truth_of(view)
    assert 0 < np.isnan(truth).sum() < truth.size / 4
    np.testing.assert_array_equal(replica.example.truth, truth[0, :, 0])
    assert np.isnan(replica.example.observed).any()
    # The free run of the first start alone, by NumPy.
    alone = replace(view, starts=view.starts[:1])
    first = baseline_results({name: baseline_candidates(own)[name]}, [alone])[name].replicas[0]
    squared = (first.example.forecast - truth[0, :, 0]) ** 2
    assert first.scores.nmse == pytest.approx(np.nanmean(squared) / view.variance[0])  # type: ignore[index]
    assert first.errors is not None
    assert first.errors.rmse == pytest.approx(np.sqrt(np.nanmean(squared)))
    assert first.scores.nmse == pytest.approx(replica.scores.by_start[0])
    back = CandidateRecord.from_json(result.record.to_json())
    np.testing.assert_array_equal(back.curve, result.curve)
    np.testing.assert_array_equal(back.example.truth, replica.example.truth)


def test_whole_parts_that_are_masked_are_no_pairs_and_no_steps_of_the_curve() -> None:
    own = data(tuple(range(183, 189)), start_points=1)
    view = own.view("final", 0)
    _, result = trained(AR, view)
    units = np.array(result.replicas[0].unit_errors)
    assert view.starts == (180,)
    assert np.isnan(units).tolist() == [False, True, True, *[False] * 5]
    assert np.isnan(result.curve).tolist() == [183 <= row < 189 for row in range(180, 200)]
    assert result.record.errors_at.keys() == {1, 16}
    record = final_record(result)
    assert record.unit_errors[0][1] is None
    back = FinalRecord.from_json(record.to_json())
    assert back.unit_errors == record.unit_errors
    worse = final_record(trained({**AR, "ar_order": 1}, view)[1])
    known = np.log(units[~np.isnan(units)])
    others = np.log(np.array([u for u in worse.unit_errors[0] if u is not None]))
    found = compared(back, worse, has_draws=False)
    assert found.log_ratio == pytest.approx((known - others).mean())
    assert widening_of({1: back, 2: worse}, 1, has_draws=False) >= 1.0


def test_an_ensemble_is_weighted_by_what_is_known() -> None:
    own = data()
    views = [own.view("final", replica) for replica in range(2)]
    members = []
    for order in (2, 4, 6):
        candidate = candidate_of({**AR, "ar_order": order})
        networks, _ = trained({**AR, "ar_order": order}, views[0])
        members.append(Member(str(order), candidate, networks, 1))
    found, checkpoint, result = best_ensemble(members, views)
    assert np.isfinite(result.score)
    held_out = held_out_runs(checkpoint, views)
    assert np.isnan(held_out.observed).any()
    assert not np.isnan(held_out.observed).all(axis=(1, 2)).any()
    intervals = Intervals(held_out.thinned(), held_out.thinned())
    coverage = intervals.coverage(80)
    assert coverage.test is not None
    assert 40 < coverage.validation <= coverage.test + 20
    # What stands behind a mask has no say: the truth of the masked table is all there is.
    again, _, other = best_ensemble(members, [replace(v, values=v.values.copy()) for v in views])
    assert (again.weights, other.score) == (found.weights, result.score)


def test_one_step_forecasts_read_no_line_to_what_they_forecast() -> None:
    """Whatever follows a gap, the last value before it is what stands in it."""
    view = data((183, 184, 185, 186), start_points=1).view("search", 0)
    networks, _ = trained(AR, view)
    found = one_step(networks, [view], 0)
    moved = view.values.copy()
    moved[183:187, 0] = np.linspace(view.values[182, 0], 50.0, 6)[1:-1]
    other = one_step(networks, [replace(view, values=moved)], 0)
    assert found is not None
    assert other is not None
    np.testing.assert_array_equal(found.forecast, other.forecast)
    assert (found.nmse, found.persistence) == (other.nmse, other.persistence)


def test_few_gaps_change_a_score_little() -> None:
    few, full = data((30, 190, 205)), data(())
    scores = [
        {
            name: result.score
            for name, result in baseline_results(
                baseline_candidates(own), [own.view("final", 0)]
            ).items()
        }
        for own in (few, full)
    ]
    assert scores[0].keys() == scores[1].keys()
    for name, score in scores[0].items():
        assert score == pytest.approx(scores[1][name], rel=0.2)
