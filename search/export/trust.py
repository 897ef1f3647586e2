"""Whether what an export forecasts from a table can be trusted: its units, horizon and growth.

A forecaster reads values in training standard deviations. What lies far outside is mostly a column
in other units, of which a network's answer means nothing.
"""

from collections.abc import Iterator

import numpy as np

from models.checkpoint import Checkpoint
from models.ensemble.ensemble_checkpoint import AnyCheckpoint
from models.methods import counted
from search.errors import SeriesError
from search.export.content import Export
from search.series import FloatArray, Table
from search.series.intervals import NumberInterval, same_step
from search.study.task_data import TaskData

# From so many training standard deviations on, values that are read are said to be far outside.
FAR_STD = 10.0
# From so many on, they are refused: no series grows as far between two trainings.
FOREIGN_STD = 100.0
# A forecast is said to run away from so many ranges of the training span beyond it on.
AWAY_RANGES = 10.0
# A known column that goes beyond what was trained on by so many of its ranges is said to, and
# refused by so many.
BEYOND_RANGES, FOREIGN_RANGES = 0.5, 10.0
# From such a share of what a forecast reads on, values that were filled in are said to be many.
FILLED_SHARE = 0.25
_RETRAIN = "train on this table: freerun retrain DIR --series FILE (in Python refitted(series))"


def reading_warning(export: Export, table: Table) -> str | None:
    """A warning about the rows that a forecast is made from; None where there is none.

    Raises SeriesError where they are so far outside the training span that they must be in other
    units: a network would answer with what it saturates at.
    """
    assert export.checkpoint is not None
    furthest = max(_furthest(own, table) for own in networks_of(export.checkpoint))
    if furthest < FAR_STD:
        return None
    learnt, steps = training_values(export), export.checkpoint.shown_steps
    away = _standard_deviations(learnt, table.values[-steps:])
    said = (
        f"the last {steps} rows, from {_range(table.values[-steps:])}, lie {_shown_number(away)} "
        "standard deviations away from what the forecaster was trained on, values from "
        f"{_range(learnt)}"
    )
    # Of what is left of the values where an effect or a power was taken off.
    if away < FAR_STD:
        said += f", and {_shown_number(furthest)} in the units that its networks read"
    if furthest >= FOREIGN_STD:
        raise SeriesError(
            f"the table's values must be of the size of the training span, but {said}; check the "
            f"units of the column, or {_RETRAIN}"
        )
    return f"{said}; check the units of the column, or retrain on this table"


def filled_warning(export: Export, table: Table) -> str | None:
    """A warning where much of what a forecast is made from was filled in; None where little was."""
    assert export.checkpoint is not None
    steps = export.checkpoint.shown_steps
    first, total = table.rows - steps, steps * table.all_values.shape[1]
    filled = sum(max(0, run.stop - max(run.start, first)) for run in table.filled)
    if not filled or filled < FILLED_SHARE * total:
        return None
    return (
        f"the forecast is made from the last {counted(steps, 'row')}, of whose {total:,} values "
        f"{filled:,} ({100 * filled / total:.0f} %) are missing and were filled in; give them, or "
        "look at the forecast before you use it"
    )


def known_warnings(export: Export, table: Table, known: FloatArray) -> Iterator[str]:
    """Warnings about known columns beyond what was trained on, of which effects are guessed.

    known: `[time, known]`, of the table's rows and of those that are forecast. Raises SeriesError
    where a column of a file is so far beyond that it must be in other units.
    """
    learnt = None if export.table is None else export.table.known
    if learnt is None:
        return
    assert export.checkpoint is not None
    read = known[table.rows - export.checkpoint.shown_steps :]
    for column, own, before in zip(table.known_columns, read.T, learnt.T, strict=True):
        low, high = before.min(), before.max()
        beyond = max(low - own.min(), own.max() - high)
        # What was constant says nothing of its units.
        ranges = beyond / (high - low) if high > low else 0.0
        if ranges < BEYOND_RANGES:
            continue
        said = (
            f"{column}, known in advance, goes from {_range(own)}, beyond the {low:.6g} "
            f"to {high:.6g} that the forecaster was trained on"
        )
        # A calendar has no units: after November and December, January is ten ranges away.
        if ranges >= FOREIGN_RANGES and not column.is_made:
            raise SeriesError(f"{said}; check the units of the column, or {_RETRAIN}")
        yield f"{said}; its effect there is guessed"


def step_warning(trained_on: Table, table: Table) -> str | None:
    """A warning where the steps of two tables can't be compared; None where they are the same.

    Rows that are only numbered say nothing of their step. trained_on: what the networks were
    trained on. Raises SeriesError where the table has another step: the networks would take its
    hours for the months that they know, for example.
    """
    before, now = trained_on.interval, table.interval
    if same_step(before, now) or _are_numbered(trained_on) or _are_numbered(table):
        return None
    said = (
        f"the table's rows are {now} apart, from '{table.times[0]}' to '{table.times[1]}', and "
        f"those that the networks were trained on {before}, from '{trained_on.times[0]}' to "
        f"'{trained_on.times[1]}'"
    )
    if before.key[0] == now.key[0] or "number" not in (before.key[0], now.key[0]):
        raise SeriesError(
            f"a forecast must be made from rows of the step that was trained on, but {said}; "
            f"resample the table, or {_RETRAIN}"
        )
    return f"{said}; make sure that these are the same steps"


def _are_numbered(table: Table) -> bool:
    """Whether times only count the rows, from zero or one."""
    interval = table.interval
    is_count = isinstance(interval, NumberInterval) and interval.step == 1
    return is_count and float(table.times[0]) in (0.0, 1.0)


def measured_steps(export: Export) -> int:
    """Over how many steps of a free run the errors of an export were measured.

    Those of its study's horizon, or of its test, where that is longer.
    """
    claims = [claim.horizon_steps for claim in (export.claim, export.test) if claim is not None]
    return max([export.definition.task.horizon_steps, *claims])


def horizon_warning(export: Export, horizon_steps: int) -> str | None:
    """A warning about steps that no score of the export knows; None where there are none."""
    tested = measured_steps(export)
    if horizon_steps <= tested:
        return None
    return (
        f"the forecast goes {counted(horizon_steps, 'step')} ahead, but its errors were measured "
        f"over {tested:,} only: nothing is known of those after that, and intervals there go on "
        f"as they grew before; forecast at most {counted(tested, 'step')}, or run a study with a "
        f"horizon of {horizon_steps:,}"
    )


def growth_warning(export: Export, table: Table, forecast: FloatArray) -> str | None:
    """A warning about a forecast `[step, channel]` that runs away; None where it does not."""
    known = np.concatenate([training_values(export), table.values])
    low, high = known.min(axis=0), known.max(axis=0)
    room = AWAY_RANGES * (high - low)
    if np.all((forecast >= low - room) & (forecast <= high + room)):
        return None
    return (
        f"the forecast goes to {_range(forecast)}, where the series so far went from "
        f"{_range(known)}: it grows without an end, or the free run diverges; look at it before "
        "you use it, or forecast fewer steps"
    )


def training_values(export: Export) -> FloatArray:
    """The values `[time, channel]` that an export's networks learnt from, or the like of them."""
    if export.table is not None:
        return export.table.values
    return TaskData(export.definition, None).view("final", 0).training


def networks_of(checkpoint: AnyCheckpoint) -> Iterator[Checkpoint]:
    """The networks of a candidate, or those of each member of an ensemble."""
    if isinstance(checkpoint, Checkpoint):
        yield checkpoint
    else:
        yield from checkpoint.members


def _furthest(networks: Checkpoint, table: Table) -> float:
    """The distance of the furthest value that is read, in the units that the networks read."""
    values, first = table.all_values, table.rows - networks.shown_steps
    context = values[first:, : networks.channels + networks.past]
    known = None
    if networks.effects is not None:
        assert table.known is not None
        before = max(0, first - networks.known_before)
        known = table.known[np.newaxis, np.newaxis, before:]
    with np.errstate(over="ignore"):
        read = np.abs(networks.units.read(context[np.newaxis, np.newaxis], known))
    return float(read.max())


def _standard_deviations(learnt: FloatArray, values: FloatArray) -> float:
    """How far the furthest value is from the mean of what was learnt, in units of its channel."""
    spread = learnt.std(axis=0)
    varies = spread > 0
    away = np.abs(values - learnt.mean(axis=0))[:, varies] / spread[varies]
    return float(away.max(initial=0.0))


def _shown_number(number: float) -> str:
    """A number with three digits, and without an exponent where it can be without."""
    return f"{number:,.0f}" if 100 <= number < 1e9 else f"{number:.3g}"


def _range(values: FloatArray) -> str:
    return f"{values.min():.6g} to {values.max():.6g}"
