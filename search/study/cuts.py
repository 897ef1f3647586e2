"""Where the replicas of a study on a table train, and where they run freely, by row.

Each way of validation is one function. All replicas have equally many free runs, and replica r has
the same cut for every candidate. How many rows they train on differs with "expanding" alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.methods import counted
from search.errors import StudyFileError
from search.study.definition import Task

# From which rows a free run may start, `[time]`; None for all.
CanStart = NDArray[np.bool_] | None

# Ways of validation in which replicas train on what is before free runs of their own.
MOVING = ("rolling", "expanding")


@dataclass(frozen=True)
class Spans:
    """The rows of a table by their use, as ranges; unused: those that no span has, maybe none.

    training, validation: of the search; where each replica has a cut of its own, the cuts lie
    within both. test_training: what is trained on for the test. first: of all rows that the search
    trains on.
    """

    unused: range
    training: range
    validation: range
    test: range
    test_training: range
    first: int


def spans_of(task: Task, rows: int) -> Spans:
    """Return the spans of a table of so many rows, at least as many as the task needs."""
    known = task.train_steps + task.validation_steps
    over = rows - known - task.test_steps
    test = range(rows - task.test_steps, rows)
    begin = over if task.unused_rows == "first" else 0
    first = 0 if task.validation == "expanding" else begin
    unused = range(known, test.start) if task.unused_rows == "between" else range(first)
    validation = range(begin + task.train_steps, begin + known)
    return Spans(
        unused=unused,
        training=range(first, validation.start),
        validation=validation,
        test=test,
        test_training=range(first, test.start),
        first=first,
    )


@dataclass(frozen=True)
class Cut:
    """What a replica trains on and where its free runs start, in rows of the table.

    pieces: the stretches of rows that are trained on, in their order, with a gap between any two.
    starts: the first forecast row of each free run. end: of what the replica may see.
    """

    pieces: tuple[range, ...]
    starts: tuple[int, ...]
    end: int


def cut_of(
    task: Task,
    rows: int,
    replica: int,
    replicas: int,
    context_steps: int,
    can_start: CanStart = None,
) -> Cut:
    """Return the cut of a replica of so many; beyond their number, cuts are used again.

    rows: of the table. context_steps: the most true values that a candidate reads before a free
    run. can_start: see `CanStart`. Raises StudyFileError where there is no room for so many
    different cuts.
    """
    _check_room(task, replicas, context_steps)
    number = replica % replicas
    spans = spans_of(task, rows)
    if task.validation in MOVING:
        return _moving(task, spans, number, replicas, can_start)
    if task.validation == "blocks":
        return _block(task, spans, number, replicas, context_steps, can_start)
    begin, end = spans.validation.start, spans.validation.stop
    starts = spread_starts(begin, end, task.horizon_steps, task.start_points, can_start)
    _check_starts(len(starts), 1)
    return Cut((spans.training,), starts, end)


def _moving(task: Task, spans: Spans, number: int, replicas: int, can_start: CanStart) -> Cut:
    """Rolling origin (Tashman 2000, "Out-of-sample tests of forecasting accuracy", section 3).

    The starts of all replicas are evenly spaced over the validation span, and each replica has the
    next start_points of them. It trains on the rows before its first: on train_steps of them with
    "rolling", on all of them with "expanding".
    """
    begin, end = spans.validation.start, spans.validation.stop
    runs = replicas * task.start_points
    starts = spread_starts(begin, end, task.horizon_steps, runs, can_start)
    _check_starts(len(starts), runs)
    own = starts[number * task.start_points : (number + 1) * task.start_points]
    first = spans.first if task.validation == "expanding" else own[0] - task.train_steps
    return Cut((range(first, own[0]),), own, own[-1] + task.horizon_steps)


def _block(
    task: Task,
    spans: Spans,
    number: int,
    replicas: int,
    context_steps: int,
    can_start: CanStart,
) -> Cut:
    """One block of validation_steps rows is left out; what is before and after it is trained on.

    The blocks are evenly spaced, the first with a context before it, the last at the end; they may
    overlap. That of a single replica is the last.
    """
    end, room = spans.validation.stop, task.train_steps - context_steps
    passed = task.train_steps if replicas == 1 else context_steps + room * number // (replicas - 1)
    first = spans.first + passed
    last = first + task.validation_steps
    pieces = tuple(piece for piece in (range(spans.first, first), range(last, end)) if piece)
    starts = spread_starts(first, last, task.horizon_steps, task.start_points, can_start)
    # Replicas have equally many.
    room = last - first - task.horizon_steps + 1
    _check_starts(len(starts), min(task.start_points, room))
    return Cut(pieces, starts, end)


def spread_starts(
    first: int, end: int, horizon_steps: int, start_points: int, can_start: CanStart = None
) -> tuple[int, ...]:
    """Starts of `start_points` free runs from `first`, evenly spaced, that end by `end`.

    Fewer where there is no room for so many different ones. can_start: see `CanStart`; those that
    may not are left out, and the others are evenly spaced among themselves.
    """
    possible: Sequence[int] = range(first, end - horizon_steps + 1)
    if can_start is not None:
        possible = [start for start in possible if can_start[start]]
    gaps = min(start_points, len(possible)) - 1
    room = len(possible) - 1
    return tuple(possible[room * number // max(gaps, 1)] for number in range(gaps + 1))


def _check_starts(found: int, needed: int) -> None:
    """Raise StudyFileError where masked values leave too few starts."""
    if found < needed:
        raise StudyFileError(
            f'[series] missing = "mask" must leave {counted(needed, "start")} of free runs that '
            f"forecast something known, but in validation there {'is' if found == 1 else 'are'} "
            f'{found or "none"}; missing = "interpolate" fills the gaps in, or take fewer '
            "start_points"
        )


def _check_room(task: Task, replicas: int, context_steps: int) -> None:
    if task.validation in MOVING:
        least = task.horizon_steps + replicas * task.start_points - 1
        if task.validation_steps < least:
            raise StudyFileError(
                f"[task] validation_steps must be at least {least} with validation = "
                f'"{task.validation}", '
                f"since {replicas} replicas with {counted(task.start_points, 'free run')} of "
                f"horizon_steps = {task.horizon_steps} each need a start of their own, but got "
                f"{task.validation_steps}; lengthen it, or take fewer [search] replicas and "
                "final_replicas"
            )
    elif task.validation == "blocks" and task.train_steps < context_steps + replicas - 1:
        raise StudyFileError(
            f"[task] train_steps must be at least {context_steps + replicas - 1} with validation = "
            f'"blocks", since {replicas} replicas each leave out a block of their own, with a '
            f"context of up to {context_steps} rows before it, but got {task.train_steps}; "
            "lengthen it, take fewer [search] replicas and final_replicas, or name shorter contexts"
        )
