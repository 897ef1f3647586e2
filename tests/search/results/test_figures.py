from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.evaluation import Example
from search.results.figures import (
    COLOURS,
    draw_curves,
    draw_history,
    draw_rollout,
    history_rows,
    horizon_curve,
    rollout_rows,
)
from search.results.thinning import logarithmic_means, visible
from search.storage import TrialRow
from search.storage.records import TrialStateName


def example(horizon: int = 40, observed: int = 100, first_step: int = 100) -> Example:
    steps = np.arange(horizon, dtype=float)
    return Example(
        0, first_step, np.linspace(-1, 1, observed), np.sin(steps / 9), np.sin(steps / 8)
    )


def trial(number: int, value: float | None, state: TrialStateName = "complete") -> TrialRow:
    began = datetime(2024, 1, 1) + timedelta(seconds=number)
    return TrialRow(number, number, state, value, {}, {}, {}, began, None, None, 0, None)


def test_a_rollout_begins_where_the_warm_up_ends() -> None:
    rows = rollout_rows(example(), baseline=np.zeros(40))
    assert rows.end_of_warm_up == rows.observed.x[-1] == 99
    assert rows.truth.x[0] == rows.free_run.x[0] == 100
    assert rows.baseline is not None
    assert (rows.baseline.x[0], rows.baseline.x[-1]) == (100, 139)


def test_a_short_free_run_is_not_dwarfed_by_what_was_observed_before() -> None:
    rows = rollout_rows(example(horizon=40, observed=100))
    assert (rows.observed.x[0], len(rows.observed.x)) == (20, 80)
    assert rows.observed.y[-1] == 1


def test_a_rollout_of_a_table_lies_at_its_times() -> None:
    years = [1900.0 + year for year in range(200)]
    rows = rollout_rows(example(), positions=years)
    assert rows.end_of_warm_up == 1999
    assert (rows.free_run.x[0], rows.free_run.x[-1]) == (2000, 2039)


def test_a_diverging_run_does_not_flatten_the_truth() -> None:
    whole = example()
    diverged = Example(0, 100, whole.observed, whole.truth, np.full(40, 1e6))
    low, high = rollout_rows(diverged).value_range
    assert low < -1
    assert 1 < high < 3
    steady = rollout_rows(whole).value_range
    assert list(steady) == pytest.approx([-1.1, 1.1], abs=0.02)


def test_lines_of_a_rollout_differ_by_dash_or_width_and_are_named() -> None:
    rows = rollout_rows(example(), baseline=np.zeros(40))
    figure = draw_rollout(
        rows, time_title="year", value_title="spots", truth_name="truth", baseline_name="AR"
    )
    looks = {(trace.line.dash, trace.line.width) for trace in figure.data}
    assert len(looks) == len(figure.data) == 4
    assert {trace.meta for trace in figure.data} <= COLOURS.keys()
    assert [trace.name for trace in figure.data][:3] == ["observed", "AR", "truth"]
    assert figure.layout.xaxis.title.text == "year"
    assert figure.layout.yaxis.title.text == "spots"
    assert figure.layout.shapes[0].x0 == rows.end_of_warm_up
    assert figure.layout.annotations[0].text == "end of warm-up"


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400),
    st.integers(4, 50),
)
def test_thinning_keeps_the_ends_and_the_extremes(values: list[float], at_most: int) -> None:
    line = np.array(values)
    kept = visible(line, at_most)
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert len(kept) <= max(at_most + 2, 4)
    assert line[kept].max() == max(values)
    assert line[kept].min() == min(values)


def test_errors_near_the_start_are_drawn_step_by_step_and_far_out_as_means() -> None:
    steps, means = logarithmic_means(np.arange(1, 1001, dtype=float))
    assert steps[:10].tolist() == means[:10].tolist() == list(range(1, 11))
    assert len(steps) < 110
    assert means[-1] == pytest.approx(steps[-1], rel=0.05)
    np.testing.assert_allclose(logarithmic_means(np.full(777, 0.25))[1], 0.25)


def test_the_error_figure_has_logarithmic_axes_and_survives_an_error_of_zero() -> None:
    curves = [
        horizon_curve("trial 3", "free-run", np.array([0.0, 0.1, 0.4])),
        horizon_curve("AR", "ar", np.array([0.2, 0.3, 0.5])),
    ]
    figure = draw_curves(curves, "signal")
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert "signal" in figure.layout.yaxis.title.text
    assert len({trace.line.dash for trace in figure.data}) == 2
    (winner,) = (trace for trace in figure.data if trace.name == "trial 3")
    assert min(winner.y) > 0
    assert list(winner.y[1:]) == [0.1, 0.4]


def test_a_history_has_the_complete_the_pruned_and_the_best_so_far() -> None:
    history = history_rows(
        [
            trial(0, 0.5),
            trial(1, 0.9, "pruned"),
            trial(2, 0.7),
            trial(3, None, "failed"),
            trial(4, 0.2),
            trial(5, None, "running"),
        ]
    )
    assert (history.complete.numbers, history.complete.scores) == ([0, 2, 4], [0.5, 0.7, 0.2])
    assert (history.pruned.numbers, history.pruned.scores) == ([1], [0.9])
    assert (history.best.numbers, history.best.scores) == ([0, 4, 5], [0.5, 0.2, 0.2])
    figure = draw_history(history, "observations")
    symbols = [trace.marker.symbol for trace in figure.data if trace.mode == "markers"]
    assert len(set(symbols)) == 2
    assert "observations" in figure.layout.yaxis.title.text


def test_thousands_of_trials_are_drawn_as_fewer_points_that_count_them_all() -> None:
    scores = np.random.default_rng(0).lognormal(size=10_000)
    history = history_rows([trial(number, float(score)) for number, score in enumerate(scores)])
    assert sum(history.complete.counts) == 10_000
    assert len(history.complete.numbers) < 7_000
    assert history.best.scores[-1] == scores.min()
    assert min(history.complete.scores) == pytest.approx(scores.min(), rel=0.2)


def test_a_study_without_scores_has_an_empty_history() -> None:
    history = history_rows([trial(0, None, "running"), trial(1, float("inf"), "pruned")])
    assert history.complete.numbers == history.pruned.numbers == history.best.numbers == []
