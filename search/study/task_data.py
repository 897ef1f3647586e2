"""The data of a task, cut so that each purpose sees what it may: never the test while searching."""

import math
from dataclasses import dataclass

import numpy as np

from models.diagnostics.properties import SeriesProperties, properties_of
from models.diagnostics.scores import ERROR_HORIZONS
from search.errors import SeriesError, StudyFileError, UsageError
from search.series import Draw, FloatArray, GeneratedSource, Purpose, Table, TableSeries
from search.study.definition import ScoreAgainst, StudyDefinition, Task

# Realisations of a generated series that its properties are taken from.
LOOKED_AT = 4


@dataclass(frozen=True, eq=False)
class View:
    """What one replica trains on and is scored by. Its arrays are its own, and end where it does.

    values: [time, channel], as observed. truth: [time, channel], what the forecast is compared
    with: the signal, or the observations again. train_steps: the first rows, on which to train.
    starts: index of the first forecast row of each free run; its warm-up ends with the row before.
    horizon_steps: rows of each free run. variance: what a squared error is divided by, of the
    signal where that is the truth, else of the training span. error_horizons: the steps of a free
    run whose errors are recorded.
    """

    values: FloatArray
    truth: FloatArray
    train_steps: int
    starts: tuple[int, ...]
    horizon_steps: int
    variance: float
    scored_against: ScoreAgainst
    error_horizons: tuple[int, ...] = ERROR_HORIZONS


class TaskData:
    """The views of a study's series.

    definition: of the study. table: the rows of a table series, None for a generated one.
    Raises StudyFileError for a table too short for its task, SeriesError for a training span
    whose variance is zero or too large for a float, or a signal without any.
    """

    def __init__(self, definition: StudyDefinition, table: Table | None) -> None:
        self._definition = definition
        self._table = table
        series = definition.series
        assert (table is not None) == isinstance(series, TableSeries)
        if table is not None:
            _check_rows(definition.task, table.rows)
            self.view("search", 0)
            self.view("test", 0)
        elif definition.task.score_against == "signal":
            assert isinstance(series, GeneratedSource)  # the definition refuses others
            _ = series.signal_variance

    def properties(self) -> SeriesProperties:
        """Return what the training span shows, of some realisations where there are several."""
        series = self._definition.series
        draws = 1 if self._table is not None else LOOKED_AT
        views = [self.view("search", index) for index in range(draws)]
        return properties_of([view.values[: view.train_steps] for view in views], series.period)

    def view(self, purpose: Purpose, index: int) -> View:
        """Return the view of draw `index` for a purpose.

        "search" and "final" end with the validation span; "test", "benchmark" and "transfer" (draws
        on which networks run that were trained on others) end with the test. Of a generated series
        every purpose and index has its own draw, and its test is one free run. A table has one
        draw, which all indices share; its test view trains on all rows before the test span.
        Raises UsageError for the benchmark and the transfer of a table, which has no fresh draw
        left for them.
        """
        task, series = self._definition.task, self._definition.series
        is_test = purpose in ("test", "benchmark", "transfer")
        if isinstance(series, TableSeries):
            assert self._table is not None
            values, train_steps = _rows(task, self._table, purpose)
            draw = Draw(values=values, signal=None)
        else:
            assert isinstance(series, GeneratedSource)
            train_steps = task.train_steps
            span = task.test_horizon_steps if is_test else task.validation_steps
            draw = series.draw(self._definition.seed, purpose, index, train_steps + span)
        horizon_steps = task.test_horizon_steps if is_test else task.horizon_steps
        if task.score_against == "signal":
            assert isinstance(series, GeneratedSource)  # the definition refuses others
            assert draw.signal is not None
            truth, variance = draw.signal, series.signal_variance
        else:
            truth, variance = draw.values.copy(), training_variance(draw.values[:train_steps])
        return View(
            values=draw.values,
            truth=truth,
            train_steps=train_steps,
            starts=_starts(train_steps, len(draw.values), horizon_steps, task.start_points),
            horizon_steps=horizon_steps,
            variance=variance,
            scored_against=task.score_against,
            error_horizons=task.error_horizons,
        )


def training_variance(values: FloatArray) -> float:
    """Return the variance of a training span [time, channel], the mean over its channels.

    Raises SeriesError where it is zero or not finite, since no error could be divided by it.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        variance = float(values.var(axis=0).mean())
    # Of equal numbers, too, rounding can leave a variance above 0.
    if np.ptp(values, axis=0).min() > 0 and 0 < variance < math.inf:
        return variance
    raise SeriesError(
        f"the training span of {len(values)} rows must vary, by less than 1e150, but has the "
        f"variance {variance:g}; lengthen train_steps, or write the column in other units"
    )


def _check_rows(task: Task, rows: int) -> None:
    needed = task.train_steps + task.validation_steps + task.test_steps
    if needed > rows:
        raise StudyFileError(
            f"[task] train_steps + validation_steps + test_steps must be at most the table's "
            f"{rows} rows, but got {task.train_steps} + {task.validation_steps} + "
            f"{task.test_steps} = {needed}; shorten a span, or give a longer table"
        )


def _rows(task: Task, table: Table, purpose: Purpose) -> tuple[FloatArray, int]:
    """The rows that a purpose may see, as a copy that leads to no others, and how many train."""
    match purpose:
        case "search" | "final":
            return table.values[: task.train_steps + task.validation_steps].copy(), task.train_steps
        case "test":
            return table.values.copy(), table.rows - task.test_steps
        case "benchmark" | "transfer":
            raise UsageError(
                f"a {purpose} needs fresh draws, but a table has only one; "
                "see the final's test, which scores its last rows"
            )


def _starts(first: int, end: int, horizon_steps: int, start_points: int) -> tuple[int, ...]:
    """Starts of `start_points` free runs from `first`, evenly spaced, that end by `end`.

    Fewer where there is no room for so many different ones.
    """
    room = end - horizon_steps - first
    gaps = min(start_points - 1, room)
    return tuple(first + room * number // max(gaps, 1) for number in range(gaps + 1))
