"""Transactions: each is short, locks at its start, and is retried when the database goes away.

SQLite admits one writer at a time. It refuses a transaction that first reads and then writes at
once, whatever the timeout; so a transaction that may write takes the lock at its start.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import optuna
from sqlalchemy import Connection, Engine, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from search.errors import StorageError
from search.names import cut
from search.storage.refusals import is_read_only, known_remedy, reason_in, refusal
from search.storage.urls import shown

if TYPE_CHECKING:
    from search.storage.optuna_writers import TrialWriter

T = TypeVar("T")

# Left of the patience once a stop is requested: schedulers kill half a minute later.
HURRIED_SECONDS = 5.0
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0
_STOP_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class StudyTransaction:
    """A transaction on one study: what the functions behind `StudyStore` are given.

    lease_seconds: how long after its last heartbeat a worker keeps what it holds. claim: identifies
    the call, so that one that is repeated because its first answer was lost does not claim again.
    """

    connection: Connection
    study_id: int
    lease_seconds: float
    writer: TrialWriter
    claim: str


class Database:
    """One engine, and how freerun's transactions use it.

    patience_seconds: how long a transaction is retried while the database does not answer;
    stop_requested: whether this process was asked to end, so that it should not wait any longer.
    """

    def __init__(
        self,
        engine: Engine,
        patience_seconds: float,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        self.engine = engine
        self.patience_seconds = patience_seconds
        self.stop_requested = stop_requested
        self.is_sqlite = engine.dialect.name == "sqlite"

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return work(connection), which only reads; on SQLite it reads one snapshot."""
        return self._run(work, "BEGIN")

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return work(connection) after its transaction is committed.

        When the connection is lost during the commit, `work` is called again although the first
        call may be committed: it must detect that, and not do its work twice.

        Raises StorageError when the database refuses, or is away for longer than the patience, or
        for some seconds after a stop was requested.
        """
        return self._run(work, "BEGIN IMMEDIATE")

    def try_write(self, work: Callable[[Connection], T]) -> T | None:
        """Return what `write` returns, or None where it would have to wait for the database, or
        may only read it."""
        try:
            return self._attempt(work, "BEGIN IMMEDIATE")
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            cause = error if isinstance(error, DBAPIError) else error.__cause__
            if not (isinstance(cause, DBAPIError) and is_read_only(cause)):
                self._passing(error)
            return None

    def _run(self, work: Callable[[Connection], T], sqlite_begin: str) -> T:
        try:
            return self.patient(lambda: self._attempt(work, sqlite_begin), self._passing)
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            # Optuna's public calls wrap it into an error of their own.
            cause = error if isinstance(error, DBAPIError) else error.__cause__ or error
            doing = "can't be read" if sqlite_begin == "BEGIN" else "can't be changed"
            raise refusal(self.engine.url, cause, doing) from error

    def patient(self, attempt: Callable[[], T], passing: Callable[[Exception], DBAPIError]) -> T:
        """Return attempt(), retried while it raises an error that may pass.

        passing: returns the database's error where it may pass, raises it otherwise.
        """
        began = time.monotonic()
        give_up_at = began + self.patience_seconds
        wait_seconds = _FIRST_WAIT_SECONDS
        while True:
            try:
                return attempt()
            except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
                cause = passing(error)
                if self.stop_requested():
                    give_up_at = min(give_up_at, began + HURRIED_SECONDS)
                if time.monotonic() > give_up_at:
                    raise self._gone(cause, time.monotonic() - began) from error
            # Jitter, so that a hundred workers don't all retry at the same moment.
            self._wait(wait_seconds * random.uniform(0.5, 1.5))
            wait_seconds = min(_LONGEST_WAIT_SECONDS, 2 * wait_seconds)

    def _wait(self, seconds: float) -> None:
        """Sleep until the time is over or a stop is requested."""
        until = time.monotonic() + seconds
        hurried = self.stop_requested()
        while (left := until - time.monotonic()) > 0 and self.stop_requested() == hurried:
            time.sleep(min(left, _STOP_POLL_SECONDS))

    def _attempt(self, work: Callable[[Connection], T], sqlite_begin: str) -> T:
        with self.engine.begin() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql(sqlite_begin)
            return work(connection)

    def _passing(self, error: Exception) -> DBAPIError:
        """Return the database's error if the same transaction may succeed later, after a lock, a
        deadlock or a server restart; raise any other."""
        # Optuna's public calls wrap it into an error of their own.
        cause = error if isinstance(error, DBAPIError) else error.__cause__
        if self.is_sqlite:
            passes = isinstance(cause, OperationalError) and "locked" in str(cause.orig)
        else:
            passes = isinstance(cause, OperationalError | InterfaceError)
        if not (passes and isinstance(cause, DBAPIError)):
            raise error
        return cause

    def _gone(self, error: DBAPIError, seconds: float) -> StorageError:
        reason = cut(reason_in(error, self.engine.url), 300)
        remedy = known_remedy(reason) or "Start again once the database is back."
        return StorageError(
            f"{shown(self.engine.url)} did not answer for {seconds:.0f} s: {reason}."
            f" What is finished is kept. {remedy}"
        )


def insert_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, if there are any."""
    if rows:
        connection.execute(insert(table), rows)


def upsert(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *keys: str
) -> None:
    """Insert rows; where there are some with the same keys, overwrite their other columns."""
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if others:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    connection.execute(statement, rows)
