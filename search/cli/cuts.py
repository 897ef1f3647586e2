"""Spans and cuts of a table, as `freerun check` shows them: rows, and their labels in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.series import Table
    from search.study.cuts import Cut
    from search.study.definition import StudyDefinition
    from search.study.masking import Masked

# So many cuts are shown one by one.
_SHOWN = 16
# Without masked values, a block leaves so many pieces at most.
_MOST_PIECES = 2


def plain_spans(definition: StudyDefinition, table: Table | None) -> dict[str, Any] | None:
    """The spans as JSON values, rows counted from 1, both ends; None for a generated series.

    A span without rows is null.
    """
    if table is None:
        return None
    from search.study.cuts import spans_of

    spans = spans_of(definition.task, table.rows)
    named = {
        "unused": spans.unused,
        "training": spans.training,
        "validation": spans.validation,
        "test": spans.test,
        "test_training": spans.test_training,
    }
    return {name: _plain_rows(span, table) if span else None for name, span in named.items()}


def span_lines(definition: StudyDefinition, table: Table | None) -> Iterator[str]:
    """The spans in words, one a line; none for a generated series."""
    if table is None:
        return
    from models.methods import counted
    from search.study.cuts import spans_of

    task = definition.task
    spans = spans_of(task, table.rows)
    runs = f"{counted(task.start_points, 'free run')} of {counted(task.horizon_steps, 'step')}"
    if task.validation != "end":
        runs += " each replica"
    if task.validation == "blocks":
        both = range(spans.training.start, spans.validation.stop)
        yield f"search      {_shown_rows(both, table)}, of which each replica leaves out a block"
    else:
        yield f"training    {_shown_rows(spans.training, table)}"
        yield f"validation  {_shown_rows(spans.validation, table)}: {runs}"
    trained = spans.test_training
    yield (
        f"test        {_shown_rows(spans.test, table)}: once, by the winner, trained on rows "
        f"{trained.start + 1:,} to {trained.stop:,}"
    )
    if spans.unused:
        why = "which the study leaves out"
        if task.unused_rows == "between":
            why = "which only the test trains on"
        yield f"unused      {_shown_rows(spans.unused, table)}, {why}; train_steps can be longer"


def masked_lines(definition: StudyDefinition, table: Table | None) -> Iterator[str]:
    """What masked values leave to train on and to score, in a line; none where none are masked."""
    found = _masked(definition, table)
    if found is not None:
        from models.methods import counted

        (validated, in_validation), (tested, in_test) = found.validation, found.test
        yield (
            f"masked      {found.values:,} of {found.total:,} values, which leaves "
            f"{validated:,} of {in_validation:,} to score in validation and {tested:,} of "
            f"{in_test:,} in the test"
        )
        yield (
            f"            every training has at least {counted(found.gapless_steps, 'row')} "
            "without a gap; a candidate must fit into so many"
        )


def plain_masked(definition: StudyDefinition, table: Table | None) -> dict[str, Any] | None:
    """The same as JSON values; None where no values are masked."""
    found = _masked(definition, table)
    return None if found is None else asdict(found)


def _masked(definition: StudyDefinition, table: Table | None) -> Masked | None:
    if table is None or not table.is_masked:
        return None
    from search.study.task_data import TaskData

    return TaskData(definition, table).masked


def plain_cuts(definition: StudyDefinition, table: Table | None) -> list[dict[str, Any]] | None:
    """The cuts of the search as JSON values, rows counted from 1; None for a generated series."""
    if table is None:
        return None
    return [
        {
            "train_rows": [[piece.start + 1, piece.stop] for piece in cut.pieces],
            "train_times": [
                [table.times[piece.start], table.times[piece.stop - 1]] for piece in cut.pieces
            ],
            "start_rows": [start + 1 for start in cut.starts],
            "start_times": [table.times[start] for start in cut.starts],
        }
        for cut in _cuts(definition, table)
    ]


def cut_lines(definition: StudyDefinition, table: Table | None) -> Iterator[str]:
    """The cuts of the search in words, one a line, below their number."""
    task, search = definition.task, definition.search
    if table is None or task.validation == "end":
        return
    cuts = _cuts(definition, table)
    yield (
        f'validation = "{task.validation}": {len(cuts)} cuts in the search, '
        f"{search.final_replicas} in the final; the score is the {task.score_averaging} over them"
    )
    for number, cut in enumerate(cuts[:_SHOWN], start=1):
        starts = ", ".join(f"{start + 1:,} ({table.times[start]})" for start in cut.starts)
        yield f"  {number}: trains on {_trained(cut.pieces, table)}; free runs from row {starts}"
    if len(cuts) > _SHOWN:
        yield f"  ... and {len(cuts) - _SHOWN} more"


def _trained(pieces: Sequence[range], table: Table) -> str:
    """Which rows a cut trains on; where masked values leave many pieces, how much is in them."""
    from models.methods import counted

    if len(pieces) <= _MOST_PIECES:
        shown = [_shown_rows(piece, table).removeprefix("rows ") for piece in pieces]
        return f"rows {' and '.join(shown)}"
    rows, longest = sum(map(len, pieces)), max(map(len, pieces))
    whole = range(pieces[0].start, pieces[-1].stop)
    return (
        f"{rows:,} of {_shown_rows(whole, table)}, in {len(pieces):,} pieces without a gap, the "
        f"longest of {counted(longest, 'row')}"
    )


def _plain_rows(span: range, table: Table) -> dict[str, Any]:
    times = [table.times[span.start], table.times[span.stop - 1]]
    return {"rows": [span.start + 1, span.stop], "times": times}


def _shown_rows(span: range, table: Table) -> str:
    first, last = span.start, span.stop - 1
    return f"rows {first + 1:,} to {last + 1:,} ({table.times[first]} to {table.times[last]})"


def _cuts(definition: StudyDefinition, table: Table) -> list[Cut]:
    from search.study.task_data import TaskData

    return list(TaskData(definition, table).cuts("search"))
