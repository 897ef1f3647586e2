"""A study of hours of a load with columns beside it, and what a test forecasts with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars
from numpy.typing import NDArray

import freerun

HORIZON = 24


def hours(
    columns: Mapping[str, NDArray[Any]], rows: int, unknown: Sequence[str]
) -> polars.DataFrame:
    """A frame of some columns by the hour, of which some are unknown behind so many rows."""
    steps = np.arange(max(map(len, columns.values())))
    start = polars.datetime(2024, 1, 1)
    times = polars.datetime_range(start, start.dt.offset_by(f"{len(steps) - 1}h"), "1h", eager=True)
    is_row = polars.Series(steps < rows)
    return polars.DataFrame({"time": times, **columns}).with_columns(
        polars.when(is_row).then(polars.col(name)).otherwise(None).alias(name) for name in unknown
    )


def export_of(
    folder: Path, table: polars.DataFrame, rows: int, *, trial: int | None = None, **study: Any
) -> None:
    """Export a trial, or the winner, of a study of one trial, and write parts of its table.

    load.csv is the whole table, seen.csv its first `rows`, later.csv what is known of the others.
    study: of `freerun.Study`.
    """
    made = freerun.Study(
        table,
        horizon=HORIZON,
        name="load",
        storage=f"sqlite:///{folder / 'freerun.db'}",
        **study,
    )
    made.run(trials=1, workers=0, progress=False)
    made.export(folder / "export", trial=trial)
    table.write_csv(folder / "load.csv")
    table.head(rows).write_csv(folder / "seen.csv")
    later = table.tail(len(table) - rows).select("time", *study["series"]["known"])
    later.write_csv(folder / "later.csv")
