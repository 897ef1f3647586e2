"""The content of a study file for a table of which only the horizon is told."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.errors import SeriesError, UsageError
from search.series import TableSeries

# Free runs of a draw in validation, and how many horizons they are spread over.
_MOST_STARTS = 8
_VALIDATION_HORIZONS = 3


def content_for(
    path: Path, horizon: int | None, time: str | None, columns: Sequence[str] | None
) -> dict[str, Any]:
    """Return the sections [series] and [task] for a table.

    time: else its first column; columns: else all others. Raises SeriesError for a table that can't
    be read, UsageError for a horizon that is missing or too long for the table.
    """
    if horizon is None or horizon < 1:
        raise UsageError(
            f"horizon must be the number of steps to forecast, at least 1, but got {horizon}; give "
            "for example horizon=24"
        )
    header = _header(path)
    time = time or header[0]
    names = list(columns or (name for name in header if name != time))
    series = TableSeries(path=path.name, time=time, columns=tuple(names))
    rows = series.read_file(path).rows
    return {
        "series": {"source": "table", "path": path.name, "time": time, "columns": names},
        "task": _spans(rows, horizon),
    }


def _spans(rows: int, horizon: int) -> dict[str, Any]:
    """Half of the rows at least for training; validation on several start points where it can."""
    if rows < 4 * horizon:
        raise UsageError(
            f"horizon must be at most a quarter of the {rows} rows, since training, validation and "
            f"test need rows of their own, but got {horizon}; give at most {rows // 4}"
        )
    validation = max(horizon, min(_VALIDATION_HORIZONS * horizon, rows // 2 - horizon))
    return {
        "train_steps": rows - validation - horizon,
        "horizon_steps": horizon,
        "validation_steps": validation,
        "start_points": min(_MOST_STARTS, validation - horizon + 1),
    }


def _header(path: Path) -> list[str]:
    if path.suffix.lower() == ".parquet":
        import polars

        return list(polars.read_parquet_schema(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError) as error:
        raise SeriesError(f"the table {path} can't be read: {error}") from error
    if not header:
        raise SeriesError(f"{path} is empty; write a header line and rows")
    return header
