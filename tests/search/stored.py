"""What a database holds, read by plain SQL, and what is said to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.pool import NullPool


def stored(url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query, read on a connection of its own."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def attempts(url: str) -> list[int]:
    """How often each trial was lost with its worker, in the order of their ids."""
    rows = stored(url, "SELECT attempts FROM freerun_trials ORDER BY trial_id")
    return [number for (number,) in rows]


@contextmanager
def noted_statements() -> Iterator[list[str]]:
    """What is said to any database while the block runs."""
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)
