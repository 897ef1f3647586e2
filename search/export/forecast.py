"""The forecast of an exported candidate from the last rows of a table."""

import csv
import gzip
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from models.ensemble.ensemble_checkpoint import AnyCheckpoint
from models.methods import counted
from search.errors import SeriesError, UsageError
from search.evaluation.ensembles import run_any
from search.export import Export
from search.export.file_times import csv_times, typed_ids, typed_times
from search.export.trust import (
    filled_warning,
    growth_warning,
    horizon_warning,
    known_warnings,
    networks_of,
    reading_warning,
    step_warning,
)
from search.files import write_file
from search.outputs import PACKED, PARQUET, check_forecast_name
from search.series import FloatArray, Table


def forecast(
    export: Export,
    table: Table,
    horizon_steps: int,
    warn: Callable[[str], object] = lambda _warning: None,
) -> Table:
    """Warm up on the table's last rows, then run freely: return the rows that come after it.

    Each network reads the values scaled by the mean and the standard deviation of its own training
    span, and runs alone; the forecast is their median, step by step. Of an ensemble, the members'
    networks of each training are combined first. warn: is called with each reason to doubt it.

    Raises UsageError for a horizon below 1, for one over which the free run leaves all numbers, and
    for an export without networks; SeriesError for a table with too few rows or another number of
    columns, for values in other units or of another step, for columns known in advance that end
    before the forecast does, and for times that can't be continued so far.
    """
    if horizon_steps < 1:
        raise UsageError(f"horizon must be at least 1 step, but got {horizon_steps}")
    checkpoint = export.checkpoint
    if checkpoint is None:
        raise UsageError(
            f"the export of {export.named} holds no networks, since it was in no final; "
            "`freerun retrain` writes an export with networks, which forecasts"
        )
    check_table(checkpoint, table, export.table)
    times = tuple(table.continue_time(horizon_steps))  # before what takes time
    if export.table is not None and (warning := step_warning(export.table, table)):
        warn(warning)
    known = None
    if any(own.known for own in networks_of(checkpoint)):
        known = table.known_until(horizon_steps)
        for warning in known_warnings(export, table, known):
            warn(warning)
    if warning := reading_warning(export, table):
        warn(warning)
    if warning := filled_warning(export, table):
        warn(warning)
    if warning := horizon_warning(export, horizon_steps):
        warn(warning)
    try:
        rows = None if known is None else known[np.newaxis]
        runs = run_any(checkpoint, table.all_values[np.newaxis], horizon_steps, rows)[:, 0]
    except OverflowError as error:
        raise SeriesError(
            "the table's values must be of the size that the exported networks were trained on, "
            f"but reach {np.abs(table.values).max():g}; check the units of the column"
        ) from error
    with np.errstate(invalid="ignore"):
        values = np.asarray(np.median(runs, axis=0))
    _check_finite(values)
    if warning := growth_warning(export, table, values):
        warn(warning)
    return Table(
        table.time_column,
        times,
        table.columns,
        values,
        table.long,
        table.time_format,
        table.zone,
        time_type=table.time_type,
        id_type=table.id_type,
    )


def write_forecast(forecast: Table, path: Path) -> None:
    """Write the time column and one column per channel, or a long table again, all or nothing.

    As Parquet where the name ends in .parquet, with times of the type that a column of such times
    has; else as CSV, packed where the name ends in .gz. Raises UsageError where the name ends as
    that of another format does, and where the file can't be written.
    """
    check_forecast_name(path)
    ending = path.suffix.lower()
    content = _parquet(forecast) if ending == PARQUET else _csv(forecast)
    # Without the time of day, so that the same forecast is the same file.
    write_file(path, gzip.compress(content, mtime=0) if ending == PACKED else content)


def _parquet(forecast: Table) -> bytes:
    # Imported here: it costs a fifth of a second that no CSV should wait for.
    import polars

    times, long = typed_times(forecast), forecast.long
    if long is None:
        named = zip(forecast.columns, forecast.values.T, strict=True)
        frame = polars.DataFrame([times, *(polars.Series(name, own) for name, own in named)])
    else:
        count = len(long.ids)
        ids = typed_ids(forecast).gather(np.repeat(np.arange(count), forecast.rows))
        by_id = forecast.values.reshape(forecast.rows, count, -1).transpose(2, 1, 0)
        again = times.gather(np.tile(np.arange(forecast.rows), count))
        named = zip(long.value_columns, by_id.reshape(len(by_id), -1), strict=True)
        frame = polars.DataFrame([ids, again, *(polars.Series(name, own) for name, own in named)])
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


def _csv(forecast: Table) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_rows(forecast))
    return text.getvalue().encode()


def _rows(forecast: Table) -> Iterator[Sequence[object]]:
    """The header and the rows; of a long table those of the first id come first."""
    times = csv_times(forecast)
    if forecast.long is None:
        yield [forecast.time_column, *forecast.columns]
        for time, values in zip(times, forecast.values.tolist(), strict=True):
            yield [time, *values]
        return
    long = forecast.long
    yield [long.id_column, forecast.time_column, *long.value_columns]
    by_id = forecast.values.reshape(forecast.rows, len(long.ids), -1).transpose(1, 0, 2).tolist()
    for name, rows in zip(long.ids, by_id, strict=True):
        for time, values in zip(times, rows, strict=True):
            yield [name, time, *values]


def _check_finite(values: FloatArray) -> None:
    lost = ~np.isfinite(values).all(axis=1)
    if lost.any():
        first = int(lost.argmax())
        raise UsageError(
            f"the free run must stay within the numbers of the machine, but leaves them at step "
            f"{first + 1} of {len(values)}: it diverges; "
            + (f"forecast at most {first} steps, or " if first else "")
            + "export another trial or a baseline"
        )


def check_table(checkpoint: AnyCheckpoint, table: Table, trained_on: Table | None) -> None:
    """Raise SeriesError for a table that the networks can't read: too few rows, other columns."""
    needed = checkpoint.shown_steps
    if trained_on is not None and trained_on.long is not None and table.long is not None:
        before, now = set(trained_on.long.ids), set(table.long.ids)
        if before != now:
            raise SeriesError(
                f"the table must have the ids that the exported networks were trained on, but it "
                f"{_differing(now - before, 'has')}{_differing(before - now, 'lacks')}and so can't "
                "be scaled; give the same ids, or `freerun retrain` on the new table"
            )
    if len(table.columns) != checkpoint.channels:
        raise SeriesError(
            f"the table must have {counted(checkpoint.channels, 'value column')}, as the exported "
            f"networks were trained on, but has {len(table.columns)}: {', '.join(table.columns)}"
        )
    if trained_on is not None:
        _check_beside(table, trained_on)
    if table.rows < needed:
        raise SeriesError(
            f"the table must have at least {needed} rows, on which the exported networks warm up, "
            f"but has {table.rows}; give a longer table"
        )


def _check_beside(table: Table, trained_on: Table) -> None:
    """Raise SeriesError for a table without the columns beside the others that were trained on."""
    wanted = (trained_on.known_names, trained_on.past_names)
    found = (table.known_names, table.past_names)
    if wanted != found:
        raise SeriesError(
            "the table must have the columns beside the others that the exported networks were "
            f"trained on, {_listed(*wanted)}, but has {_listed(*found)}; give a table of the "
            "study's columns"
        )


def _listed(known: Collection[str], past: Collection[str]) -> str:
    return (
        f"known in advance: {', '.join(known) or 'none'}; in the past: {', '.join(past) or 'none'}"
    )


def _differing(names: Collection[str], verb: str) -> str:
    """Such as "lacks 'a' and 3 more, ", or nothing."""
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{verb} '{min(names)}'{more}, "
