"""What a database holds, read by plain SQL."""

from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool


def stored(url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query, read on a connection of its own."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def attempts(url: str) -> list[int]:
    """How often each trial was lost with its worker, in the order of their ids."""
    rows = stored(url, "SELECT attempts FROM freerun_trials ORDER BY trial_id")
    return [number for (number,) in rows]
