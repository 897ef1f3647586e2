"""Where the replicas of a table train and run freely: what is trained on is never scored."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import StudyFileError
from search.study.cuts import Cut, cut_of, spans_of
from search.study.definition import Task, UnusedRows, Validation


def task_of(validation: Validation, train: int, horizon: int, more: int, starts: int = 1) -> Task:
    return Task(
        train_steps=train,
        horizon_steps=horizon,
        validation_steps=horizon + more,
        test_horizon_steps=1,
        start_points=starts,
        score_against="observations",
        validation=validation,
    )


def of(task: Task, replica: int, replicas: int, context_steps: int) -> Cut:
    """A cut of a table that is as long as its spans."""
    rows = task.train_steps + task.validation_steps + task.test_steps
    return cut_of(task, rows, replica, replicas, context_steps)


def trained_rows(cut: Cut) -> set[int]:
    return {row for piece in cut.pieces for row in piece}


def scored_rows(cut: Cut, task: Task) -> set[int]:
    return {start + step for start in cut.starts for step in range(task.horizon_steps)}


def test_at_the_end_all_replicas_have_one_cut() -> None:
    task = task_of("end", 60, 20, 6, starts=4)
    assert of(task, 0, 3, 0) == Cut((range(60),), (60, 62, 64, 66), 86)
    assert of(task, 0, 3, 0) == of(task, 2, 3, 0)


@pytest.mark.parametrize("validation", ["rolling", "expanding"])
@settings(deadline=None)
@given(
    train=st.integers(2, 60),
    horizon=st.integers(1, 20),
    replicas=st.integers(1, 9),
    starts=st.integers(1, 4),
    more=st.integers(0, 40),
)
def test_a_moving_replica_trains_on_the_rows_before_its_free_runs(
    validation: Validation, train: int, horizon: int, replicas: int, starts: int, more: int
) -> None:
    task = task_of(validation, train, horizon, replicas * starts - 1 + more, starts)
    cuts = [of(task, replica, replicas, 0) for replica in range(replicas)]
    end = train + task.validation_steps
    for cut in cuts:
        (piece,) = cut.pieces
        assert len(piece) == (train if validation == "rolling" else piece.stop)
        assert piece.stop == cut.starts[0]  # nothing at or after the first free run
        assert len(cut.starts) == starts
        assert cut.end == max(scored_rows(cut, task)) + 1
        assert piece.start >= 0
        assert cut.end <= end
    origins = [start for cut in cuts for start in cut.starts]
    assert len(set(origins)) == len(origins)
    assert origins == sorted(origins)
    gaps = {after - before for before, after in pairwise(origins)}
    assert len(gaps) <= 2  # evenly spaced, but for whole rows
    assert origins[0] == train
    if len(origins) > 1:
        assert cuts[-1].end == end


@settings(deadline=None)
@given(
    context=st.integers(1, 20),
    horizon=st.integers(1, 20),
    replicas=st.integers(1, 9),
    starts=st.integers(1, 4),
    more=st.integers(0, 40),
    train=st.integers(0, 40),
)
def test_a_block_is_scored_and_all_around_it_trained_on(
    context: int, horizon: int, replicas: int, starts: int, more: int, train: int
) -> None:
    task = task_of("blocks", 2 * context + replicas + train, horizon, starts - 1 + more, starts)
    cuts = [of(task, replica, replicas, context) for replica in range(replicas)]
    span = set(range(task.train_steps + task.validation_steps))
    blocks = []
    for cut in cuts:
        trained, scored = trained_rows(cut), scored_rows(cut, task)
        block = sorted(span - trained)
        assert not trained & scored
        assert trained <= span
        assert scored <= set(block)
        assert block == list(range(block[0], block[0] + task.validation_steps))
        assert block[0] == cut.starts[0] >= context  # a free run has a context before it
        assert len(trained) == sum(map(len, cut.pieces)) == task.train_steps
        assert max(map(len, cut.pieces)) >= task.gapless_steps
        assert len(cut.starts) == starts
        blocks.append(block[0])
    assert len(set(blocks)) == replicas
    assert blocks[-1] == task.train_steps  # the last block is the end
    if replicas > 1:
        assert blocks[0] == context


def test_beyond_their_number_cuts_are_used_again() -> None:
    task = task_of("rolling", 30, 5, 9)
    assert of(task, 5, 4, 0) == of(task, 1, 4, 0)


def test_where_there_is_no_room_one_message_says_so() -> None:
    with pytest.raises(StudyFileError, match=re.escape("validation_steps must be at least 12")):
        of(task_of("rolling", 30, 5, 6), 0, 8, 0)
    of(task_of("rolling", 30, 5, 7), 0, 8, 0)
    with pytest.raises(StudyFileError, match=re.escape("train_steps must be at least 31")):
        of(task_of("blocks", 30, 5, 6), 0, 12, 20)
    of(task_of("blocks", 31, 5, 6), 0, 12, 20)


@settings(deadline=None)
@given(
    train=st.integers(2, 40),
    validation=st.sampled_from(["end", "rolling", "expanding", "blocks"]),
    more=st.integers(8, 20),
    test=st.integers(1, 20),
    over=st.integers(0, 60),
    unused=st.sampled_from(["first", "between"]),
)
def test_the_spans_of_a_table_leave_no_row_without_a_use_that_is_told(
    train: int, validation: Validation, more: int, test: int, over: int, unused: UnusedRows
) -> None:
    task = task_of(validation, train, 3, more).model_copy(
        update={"test_steps": test, "unused_rows": unused}
    )
    rows = train + task.validation_steps + test + over
    spans = spans_of(task, rows)
    told = [*spans.unused, *spans.training, *spans.validation, *spans.test]
    assert sorted(told) == list(range(rows))
    assert spans.test == range(rows - test, rows)
    assert spans.test_training.stop == spans.test.start
    if unused == "first":
        assert spans.validation.stop == spans.test.start  # what is searched is what is tested
        assert len(spans.test_training) == len(spans.training) + len(spans.validation)
        assert len(spans.unused) == (0 if validation == "expanding" else over)
    else:
        assert spans.test_training == range(rows - test)
        assert len(spans.unused) == over
    least = 0 if validation != "blocks" else min(train - 3, 2)
    if least < 0:
        return
    for replica in range(3):
        cut = cut_of(task, rows, replica, 3, least)
        seen = {*spans.training, *spans.validation}
        assert trained_rows(cut) <= seen
        assert scored_rows(cut, task) <= seen
        assert cut.end <= spans.validation.stop


@pytest.mark.parametrize("validation", ["end", "rolling", "blocks"])
def test_rows_that_come_first_and_are_unused_only_move_the_cuts(validation: Validation) -> None:
    task = task_of(validation, 30, 5, 9)
    before = of(task, 1, 3, 2)
    after = cut_of(task, 30 + 14 + 1 + 17, 1, 3, 2)
    assert after.starts == tuple(start + 17 for start in before.starts)
    assert after.end == before.end + 17
    assert after.pieces == tuple(range(p.start + 17, p.stop + 17) for p in before.pieces)
