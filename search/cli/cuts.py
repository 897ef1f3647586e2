"""The cuts of a table's replicas, as `freerun check` shows them: rows, and their labels in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.series import Table
    from search.study.cuts import Cut
    from search.study.definition import StudyDefinition

# So many cuts are shown one by one.
_SHOWN = 16


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
        f"{search.final_replicas} in the final; the score is the {task.averaging} over them"
    )
    for number, cut in enumerate(cuts[:_SHOWN], start=1):
        trained = " and ".join(
            f"{piece.start + 1} to {piece.stop} "
            f"({table.times[piece.start]} to {table.times[piece.stop - 1]})"
            for piece in cut.pieces
        )
        starts = ", ".join(f"{start + 1} ({table.times[start]})" for start in cut.starts)
        yield f"  {number}: trains on rows {trained}; free runs from row {starts}"
    if len(cuts) > _SHOWN:
        yield f"  ... and {len(cuts) - _SHOWN} more"


def _cuts(definition: StudyDefinition, table: Table) -> list[Cut]:
    from search.study.task_data import TaskData

    return list(TaskData(definition, table).cuts("search"))
