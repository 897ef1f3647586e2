"""What masked values leave: pieces, starts of free runs, and refusals with a remedy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.cli.cuts import cut_lines, masked_lines
from search.errors import StudyFileError
from search.series import FloatArray, Purpose, Table
from search.series.filling import fill
from search.study.definition import StudyDefinition
from search.study.masking import longest_beside_a_block, without_masked
from search.study.study_file import read_study
from search.study.task_data import TaskData

TASK = {"train_steps": 60, "horizon_steps": 10, "validation_steps": 40, "test_horizon_steps": 10}
SPACE = {"warm_up_steps": 4, "window_steps": 2, "rollout_steps": 4, "window_rollout_steps": 2}
ROWS = 120
VALIDATIONS = ("end", "rolling", "expanding", "blocks")
PURPOSES: tuple[Purpose, ...] = ("search", "final", "test")


def masked(values: FloatArray) -> Table:
    """A table of `[time, channel]`, of which what is NaN is masked."""
    columns = tuple("xyz"[: values.shape[1]])
    found = fill(values, columns, "mask", None)
    assert found.kept == range(len(values))
    times = tuple(map(str, range(len(values))))
    return Table("t", times, columns, found.values, filled=found.runs, is_masked=True)


def wave(*gaps: slice, channels: int = 1) -> FloatArray:
    steps = np.arange(ROWS)[:, np.newaxis] + np.arange(channels)
    values = np.sin(steps / 3) + np.random.default_rng(0).normal(size=steps.shape) / 20
    for gap in gaps:
        values[gap] = np.nan
    return values


def definition(**task: Any) -> StudyDefinition:
    series = {"source": "table", "path": "t.csv", "time": "t", "columns": ["x"]}
    search = {"replicas": 3, "final_replicas": 3}
    raw = {"name": "x", "series": {**series, "missing": "mask"}, "task": TASK | task}
    return StudyDefinition.model_validate({**raw, "space": SPACE, "search": search})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=6, max_size=30), st.integers(1, 4))
def test_the_longest_piece_beside_any_block(known: list[bool], block: int) -> None:
    is_known = np.array(known)
    lengths = []
    for first in range(len(known) - block + 1):
        parts = [range(first), range(first + block, len(known))]
        lengths.append(max(map(len, without_masked(parts, is_known)), default=0))
    assert longest_beside_a_block(is_known, range(len(known)), block) == min(lengths)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(1, ROWS - 2), max_size=25), st.sampled_from(VALIDATIONS))
def test_pieces_hold_every_known_row_once_and_no_masked_one(gaps: set[int], how: str) -> None:
    values = wave()
    values[sorted(gaps)] = np.nan
    own = definition(validation=how)
    whole = Table("t", tuple(map(str, range(ROWS))), ("x",), wave())
    table = masked(values) if gaps else whole
    data, full = TaskData(own, table), TaskData(own, whole)
    for purpose in PURPOSES:
        for index in range(1 if purpose == "test" else 3):
            view, other = data.view(purpose, index), full.view(purpose, index)
            if view.starts == other.starts:
                rows = [row for piece in view.pieces for row in piece]
                kept = [row for piece in other.pieces for row in piece if row not in gaps]
                assert rows == kept
            assert len(view.starts) == len(other.starts)
            assert np.isfinite(view.values).all()
            assert np.isnan(view.truth[:, 0]).nonzero()[0].tolist() == sorted(
                gap for gap in gaps if gap < len(view.truth)
            )
            for start in view.starts:
                assert not np.isnan(view.truth[start : start + view.horizon_steps]).all()


def test_many_pieces_are_summed_up() -> None:
    gaps = [slice(row, row + 1) for row in range(4, 80, 10)]
    own, table = definition(validation="rolling"), masked(wave(*gaps))
    first = list(cut_lines(own, table))[1]
    assert first.startswith("  1: trains on 54 of rows 11 to 70 (10 to 69), in 7 pieces")
    assert "7 pieces without a gap, the longest of 9 rows; free runs from row 71 (70)" in first
    said = " ".join(masked_lines(own, table))
    assert "8 of 120 values, which leaves 39 of 40 to score in validation" in said
    (only,) = (line for line in cut_lines(own, masked(wave(slice(14, 15)))) if "  1:" in line)
    assert "trains on rows 11 to 14 (10 to 13) and 16 to 70 (15 to 69); free runs" in only


def test_a_row_of_which_one_channel_is_masked_is_in_no_piece() -> None:
    values = wave(channels=2)
    values[30:33, 1] = np.nan
    view = TaskData(definition(), masked(values)).view("search", 0)
    assert view.pieces == (range(10, 30), range(33, 70))
    assert not np.isnan(view.truth[:, 0]).any()
    assert np.isnan(view.truth[:, 1]).sum() == 3
    assert view.variance == pytest.approx(view.training.var(axis=0))


def test_a_free_run_that_would_forecast_masked_values_alone_is_left_out() -> None:
    data = TaskData(definition(start_points=4), masked(wave(slice(72, 95))))
    starts = data.view("search", 0).starts
    assert starts == (70, 89, 94, 100)  # of 70, 71, 86, 87, ..., 100
    assert data.masked is not None
    assert data.masked.validation == (17, 40)
    assert data.masked.test == (10, 10)
    assert (data.masked.values, data.masked.total) == (23, ROWS)


@pytest.mark.parametrize(
    ("task", "gap", "words"),
    [
        ({}, slice(70, 110), "must leave 1 start of free runs that forecast something known, but "
         "in validation there are none"),
        ({"validation": "rolling", "start_points": 8}, slice(71, 100), "24 starts .*there are"),
        ({"validation": "blocks"}, slice(70, 110), "must leave 1 start"),
        ({}, slice(109, 119), None),
        ({"train_steps": 50}, slice(20, 70), "must leave rows to train on for validation"),
    ],
)  # fmt: skip
def test_what_leaves_too_little_is_refused_with_the_remedy(
    task: dict[str, Any], gap: slice, words: str | None
) -> None:
    table = masked(wave(gap))
    if words is None:  # one known value is left in the test
        assert TaskData(definition(**task), table).view("test", 0).starts == (110,)
        return
    with pytest.raises(StudyFileError, match=words) as raised:
        TaskData(definition(**task), table)
    assert 'missing = "interpolate" fills the gaps in' in str(raised.value)


def test_a_column_without_a_value_to_score_is_named() -> None:
    values = wave(channels=2)
    values[110:119, 1] = np.nan
    TaskData(definition(), masked(values))
    values[70:109, 1] = np.nan
    with pytest.raises(StudyFileError, match=r"all of 'y' are masked .* in validation; missing"):
        TaskData(definition(validation="end"), masked(np.vstack([values, wave(channels=2)[:0]])))


def test_candidates_fit_into_the_longest_piece(tmp_path: Any) -> None:
    """A study whose pieces are short has short contexts; too short ones are refused by length."""

    def read(every: int) -> StudyDefinition:
        lines = [
            f"{t},{10 + np.sin(t / 3) + 0.3 * (t * 7 % 5):.4f}" if (t + 1) % every else f"{t},"
            for t in range(401)
        ]
        (tmp_path / "t.csv").write_text("t,x\n" + "\n".join(lines) + "\n")
        series = {"source": "table", "path": "t.csv", "time": "t", "columns": ["x"]}
        task = {**TASK, "train_steps": 300}
        raw = {"name": "x", "series": {**series, "missing": "mask"}, "task": task}
        return read_study(raw, tmp_path, "t.toml").definition

    found = read(40)
    assert found.properties is not None
    assert found.properties.gapless_steps == 39
    contexts = found.full_space().domains["warm_up_steps"].to_plain()
    assert isinstance(contexts, list)
    assert max(contexts) < 39
    with pytest.raises(StudyFileError) as raised:
        read(2)
    assert 'within the 1 row without a gap that missing = "mask" leaves' in str(raised.value)
    assert 'write missing = "interpolate" in [series]' in str(raised.value)


@settings(max_examples=20, deadline=None)
@given(
    gap=st.integers(1, ROWS - 10),
    width=st.integers(1, 8),
    other=st.floats(-1e6, 1e6),
    how=st.sampled_from(VALIDATIONS),
)
def test_what_is_behind_a_mask_changes_nothing(
    gap: int, width: int, other: float, how: str
) -> None:
    """The cells' values before they were masked, and behind a start all that they were filled with.

    What a free run reads was filled in by what is before it alone.
    """
    one, two = wave(), wave()
    two[gap : gap + width] = other
    for values in (one, two):
        values[gap : gap + width] = np.nan
    first = TaskData(definition(validation=how), masked(one))
    table = masked(two)
    spoilt = table.values.copy()
    views = [first.view(purpose, 0) for purpose in PURPOSES]
    # A line that ends behind the starts of all free runs tells none of them anything.
    if gap + width > max(start for view in views for start in view.starts):
        spoilt[gap : gap + width] = other
        table = replace(table, values=spoilt)
    second = TaskData(definition(validation=how), table)
    for view, again in zip(views, [second.view(purpose, 0) for purpose in PURPOSES], strict=True):
        assert view.pieces == again.pieces
        assert view.starts == again.starts
        np.testing.assert_array_equal(view.truth, again.truth)
        np.testing.assert_array_equal(view.training, again.training)
        np.testing.assert_array_equal(view.variance, again.variance)
        for start in view.starts:
            np.testing.assert_array_equal(view.values[:start], again.values[:start])
