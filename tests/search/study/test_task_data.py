import gc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.methods import Choices
from models.methods.series_properties import SeriesProperties
from search.errors import SeriesError, StudyFileError, UsageError
from search.series import FloatArray, Purpose, Table
from search.series.filling import Run
from search.study.definition import StudyDefinition
from search.study.space import complete_space
from search.study.task_data import TaskData, View, season_steps, training_variance

TASK = {"train_steps": 60, "horizon_steps": 20, "validation_steps": 26, "test_horizon_steps": 14}
SPACE = {"warm_up_steps": 10, "window_steps": 4}
ROWS = 110


def sine(**task: Any) -> TaskData:
    raw = {"name": "x", "series": {"source": "sine"}, "task": TASK | task, "space": SPACE}
    return TaskData(StudyDefinition.model_validate(raw), None)


def table_definition(period: float | None = None, **task: Any) -> StudyDefinition:
    series = {"source": "table", "path": "t.csv", "time": "t", "columns": ["x"], "period": period}
    raw = {"name": "x", "series": series, "task": TASK | task, "space": SPACE}
    return StudyDefinition.model_validate(raw)


def table(values: FloatArray | None = None, **task: Any) -> TaskData:
    values = np.arange(ROWS, dtype=float) ** 2 if values is None else values
    times = tuple(str(row) for row in range(len(values)))
    rows = Table("t", times, ("x",), values[:, np.newaxis])
    return TaskData(table_definition(**task), rows)


def test_a_new_level_is_that_of_the_rows_before_the_test() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    spans = {"train_steps": 300, "validation_steps": 60, "test_steps": 40}
    spans |= {"horizon_steps": 20, "test_horizon_steps": 20}
    for first, is_new in ((360, False), (330, True), (310, True)):
        raised = values.copy()
        raised[first:] += 3.0
        found = table(raised, **spans).properties()
        assert found.has_new_level == is_new
        context = complete_space({}, 300, found)["context_level"]
        assert context == Choices(("none", "mean", "last")[is_new:])


def test_of_a_level_that_is_no_whole_season_nothing_is_said() -> None:
    """Parts of a season are at levels of their own; of few seasons, there are few levels."""
    spans = {"train_steps": 300, "validation_steps": 60, "test_steps": 40}
    spans |= {"horizon_steps": 20, "test_horizon_steps": 20}
    steps = np.arange(400)
    values = 0.3 * np.random.default_rng(0).standard_normal(400)
    for season, is_new in ((20, True), (60, False)):
        # A peak at each end of a season, and a last one that is higher than all before.
        peaks = 3.0 * (steps % season >= season - 10) * (1 + (steps >= 340))
        rows = Table("t", tuple(map(str, steps)), ("x",), (values + peaks)[:, np.newaxis])
        definition = table_definition(period=season, **spans)
        assert TaskData(definition, rows).properties().has_new_level == is_new


def test_what_rows_of_the_test_filled_in_is_no_earlier_level() -> None:
    spans = {"train_steps": 300, "validation_steps": 60, "test_steps": 40}
    spans |= {"horizon_steps": 20, "test_horizon_steps": 20}
    values = np.random.default_rng(0).standard_normal(400)
    values[330:] += 3.0
    values[240:290] += 3.0  # as 12 steps are, several times later
    run = Run(0, 240, 290, season=12.0, seen=380, end=380)
    rows = Table("t", tuple(map(str, range(400))), ("x",), values[:, np.newaxis], filled=(run,))
    assert TaskData(table_definition(**spans), rows).properties().has_new_level


def test_rows_before_a_stretch_or_a_start_are_there_as_far_as_the_table_goes_back() -> None:
    rows = np.arange(10.0)[:, np.newaxis]
    view = View(
        values=rows,
        truth=rows,
        pieces=(range(1, 4), range(6, 9)),
        starts=(3,),
        horizon_steps=2,
        variance=np.ones(1),
        scored_against="observations",
        known=rows,
    )
    stretches = [own[:, 0].tolist() for own in view.known_stretches(2)]
    assert stretches == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]
    # Lags alone read rows before the first one, and take that for them.
    assert view.known_rows(5, 2)[0, :, 0].tolist() == [0, 0, 0, 1, 2, 3, 4]
    assert view.known_rows(1, 3, [8])[0, :, 0].tolist() == [7, 8, 9, 9]


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("missing", [1, 10, 20])
def test_a_gap_before_the_test_is_no_new_level(missing: int, is_masked: bool) -> None:
    spans = {"train_steps": 300, "validation_steps": 80, "test_steps": 40}
    spans |= {"horizon_steps": 20, "test_horizon_steps": 20}
    found = []
    for seed in range(20):
        values = np.random.default_rng(seed).standard_normal(440)
        gap = range(400 - missing, 400)
        values[gap] = np.linspace(values[gap[0] - 1], values[400], missing + 2)[1:-1]
        run = Run(0, gap.start, gap.stop, seen=gap.stop + 1)
        times = tuple(map(str, range(len(values))))
        rows = Table("t", times, ("x",), values[:, np.newaxis], filled=(run,), is_masked=is_masked)
        found.append(TaskData(table_definition(**spans), rows).properties().has_new_level)
    assert sum(found) <= 1


def test_a_search_view_ends_with_the_validation_span() -> None:
    view = sine().view("search", 0)
    assert view.values.shape == view.truth.shape == (86, 1)
    assert (view.train_steps, view.starts, view.horizon_steps) == (60, (60,), 20)


def test_a_test_view_of_a_generated_series_is_one_run_on_a_fresh_draw() -> None:
    data = sine(start_points=3)
    view = data.view("test", 0)
    assert view.values.shape == (74, 1)
    assert (view.train_steps, view.starts, view.horizon_steps) == (60, (60,), 14)
    search = data.view("search", 0)
    assert not np.array_equal(view.values[:60], search.values[:60])


def test_start_points_are_evenly_spaced_and_reach_the_end_of_validation() -> None:
    assert sine(start_points=2).view("search", 0).starts == (60, 66)
    assert sine(start_points=4).view("final", 0).starts == (60, 62, 64, 66)
    assert sine(start_points=7).view("search", 0).starts == tuple(range(60, 67))


@settings(deadline=None, max_examples=60)
@given(horizon=st.integers(1, 50), more=st.integers(0, 60), data=st.data())
def test_every_start_is_different_and_has_its_whole_horizon(
    horizon: int, more: int, data: st.DataObject
) -> None:
    points = data.draw(st.integers(1, more + 1))
    validation = {"horizon_steps": horizon, "validation_steps": horizon + more}
    view = sine(**validation, start_points=points).view("search", 0)
    assert len(set(view.starts)) == points
    assert min(view.starts) == view.train_steps
    assert max(view.starts) + view.horizon_steps <= len(view.values)


def test_the_truth_is_the_signal_or_the_observations() -> None:
    against_signal = sine().view("search", 0)
    assert against_signal.scored_against == "signal"
    assert against_signal.variance == 0.5
    assert np.abs(against_signal.truth).max() <= 1
    assert not np.array_equal(against_signal.truth, against_signal.values)
    against_values = sine(score_against="observations").view("search", 0)
    assert against_values.scored_against == "observations"
    np.testing.assert_array_equal(against_values.values, against_signal.values)
    np.testing.assert_array_equal(against_values.truth, against_values.values)
    assert against_values.variance == against_values.values[:60].var()


def test_purposes_and_indices_of_a_generated_series_have_their_own_draws() -> None:
    data = sine()
    purposes: list[Purpose] = ["search", "final", "test", "benchmark"]
    views = [data.view(purpose, index) for purpose in purposes for index in range(3)]
    assert len({view.values[:60].tobytes() for view in views}) == 12
    again = data.view("search", 2)
    assert again.values.tobytes() == views[2].values.tobytes()


def test_a_table_is_cut_into_training_validation_and_test() -> None:
    data = table()  # whose first ten rows are left over
    for purpose in ("search", "final"):
        view = data.view(purpose, 0)
        np.testing.assert_array_equal(view.values[:, 0], np.arange(96.0) ** 2)
        assert (view.train_steps, view.starts, view.horizon_steps) == (60, (70,), 20)
        np.testing.assert_array_equal(view.training[:, 0], np.arange(10.0, 70.0) ** 2)
        assert view.variance == pytest.approx((np.arange(10.0, 70.0) ** 2).var())
    test = data.view("test", 0)
    np.testing.assert_array_equal(test.values[:, 0], np.arange(110.0) ** 2)
    assert (test.train_steps, test.starts, test.horizon_steps) == (86, (96,), 14)
    np.testing.assert_array_equal(test.training[:, 0], np.arange(10.0, 96.0) ** 2)


def test_rows_may_be_left_over_between_validation_and_test() -> None:
    data = table(unused_rows="between")
    for purpose in ("search", "final"):
        view = data.view(purpose, 0)
        np.testing.assert_array_equal(view.values[:, 0], np.arange(86.0) ** 2)
        assert (view.train_steps, view.starts, view.horizon_steps) == (60, (60,), 20)
        assert view.variance == pytest.approx((np.arange(60.0) ** 2).var())
    test = data.view("test", 0)
    np.testing.assert_array_equal(test.values[:, 0], np.arange(110.0) ** 2)
    assert (test.train_steps, test.starts, test.horizon_steps) == (96, (96,), 14)
    assert test.variance == pytest.approx((np.arange(96.0) ** 2).var())


def test_a_longer_test_span_of_a_table_has_the_tasks_start_points() -> None:
    assert table(test_steps=20, start_points=3).view("test", 0).starts == (90, 93, 96)


def test_indices_of_a_table_share_its_one_draw() -> None:
    data = table()
    one, other = data.view("search", 0), data.view("search", 1)
    np.testing.assert_array_equal(one.values, other.values)
    assert not np.shares_memory(one.values, other.values)


def reachable_arrays(view: View) -> list[FloatArray]:
    """Every array that can be reached from a view by following references."""
    seen: dict[int, object] = {}
    waiting: list[object] = list(vars(view).values())
    while waiting:
        item = waiting.pop()
        if id(item) not in seen and not isinstance(item, type):
            seen[id(item)] = item
            waiting += gc.get_referents(item)
            if isinstance(item, np.ndarray):
                waiting.append(item.base)
    return [item for item in seen.values() if isinstance(item, np.ndarray)]


@pytest.mark.parametrize("purpose", ["search", "final"])
def test_no_row_of_the_test_span_can_be_reached_from_what_the_search_sees(
    purpose: Purpose,
) -> None:
    view = table(unused_rows="between").view(purpose, 0)
    arrays = reachable_arrays(view)
    assert arrays
    assert all(array.base is None for array in arrays)
    rows = [array for array in arrays if array is not view.variance]
    assert all(len(array) == 86 for array in rows)
    assert max(array.max() for array in rows) < 86**2


def test_nothing_before_a_free_run_was_filled_in_by_what_it_forecasts() -> None:
    values = np.arange(ROWS, dtype=float)[:, np.newaxis]
    filled = (Run(0, 30, 33), Run(0, 55, 65), Run(0, 80, 90))
    rows = Table("t", tuple(map(str, range(ROWS))), ("x",), values, filled=filled)
    view = TaskData(table_definition(unused_rows="between"), rows).view("search", 0)
    np.testing.assert_array_equal(view.values[55:60, 0], 54.0)  # up to the start, row 60
    np.testing.assert_array_equal(view.truth[:80], values[:80])
    np.testing.assert_array_equal(view.truth[80:, 0], 79.0)  # up to the end, row 86
    kept = np.delete(np.arange(80), np.r_[55:60])
    np.testing.assert_array_equal(view.values[kept], values[kept])


def test_writing_into_a_view_changes_no_other_view() -> None:
    for data in (table(), sine()):
        before = data.view("search", 0)
        spoilt = data.view("search", 0)
        spoilt.values[:] = 0
        np.testing.assert_array_equal(data.view("search", 0).values, before.values)
        np.testing.assert_array_equal(spoilt.truth, before.truth)


def test_errors_are_scaled_by_the_shortest_known_season_of_a_table() -> None:
    assert sine().view("final", 0).season_steps == 1
    assert table().view("final", 0).season_steps == 1
    raw = {"source": "table", "path": "t.csv", "time": "t", "columns": ["x"], "period": [11.6, 40]}
    plain: dict[str, Any] = {"name": "x", "series": raw, "task": TASK, "space": SPACE}
    named = StudyDefinition.model_validate(plain)
    assert season_steps(named) == 12
    found = named.model_copy(update={"properties": SeriesProperties(60, periods=(7.0, 21.0))})
    assert season_steps(found) == 7
    # A wave of which two periods are seen.
    wave = named.model_copy(update={"properties": SeriesProperties(60, periods=(30.0,))})
    assert season_steps(wave) == 1


def test_periods_that_were_found_when_a_study_began_stay() -> None:
    values = np.tile([0.0, 1.0, 0.0, 3.0, 1.0], ROWS // 5)
    assert table(values).properties().periods == (5.0,)
    for stored in ((20.0,), ()):
        begun = table_definition().model_copy(
            update={"properties": SeriesProperties(60, periods=stored)}
        )
        rows = Table("t", tuple(map(str, range(ROWS))), ("x",), values[:, np.newaxis])
        assert TaskData(begun, rows).properties().periods == stored


def test_a_table_has_no_fresh_draw_for_a_benchmark() -> None:
    with pytest.raises(UsageError, match="a table has only one"):
        table().view("benchmark", 0)


def test_a_table_too_short_for_its_task_is_refused() -> None:
    long_enough = np.arange(100.0)
    table(long_enough)
    with pytest.raises(StudyFileError, match=r"99 rows, but got 60 \+ 26 \+ 14 = 100; shorten"):
        table(long_enough[:99])


def test_a_training_span_that_does_not_vary_is_refused() -> None:
    with pytest.raises(SeriesError, match="training span of 60 rows must vary"):
        table(np.where(np.arange(ROWS) < 70, 0.1, np.arange(ROWS)))


@pytest.mark.parametrize("values", [[1e200, -1e200], [1e-200, 2e-200], [3.0, 3.0]])
def test_a_variance_that_nothing_can_be_divided_by_is_refused(values: list[float]) -> None:
    with pytest.raises(SeriesError, match="must vary"):
        training_variance(np.array(values)[:, np.newaxis])
