"""What a database notes of a study by triggers: each change of a trial's state, and of a lease.

Whoever makes a change, it is noted, in the transaction that makes it. What is judged by it is how
long the trials of dead workers lay before they waited, and before they ran again.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf

from sqlalchemy import Connection, text

TRIGGERS = {
    "sqlite": (
        "CREATE TABLE audit_states (id INTEGER PRIMARY KEY, at REAL, trial_id INTEGER, was TEXT, "
        "is_now TEXT)",
        "CREATE TABLE audit_leases (id INTEGER PRIMARY KEY, at REAL, worker_id INTEGER, "
        "change INTEGER)",
        "CREATE TRIGGER note_state AFTER UPDATE OF state ON trials WHEN OLD.state <> NEW.state "
        "BEGIN INSERT INTO audit_states (at, trial_id, was, is_now) VALUES "
        "((julianday('now') - 2440587.5) * 86400.0, NEW.trial_id, OLD.state, NEW.state); END",
        "CREATE TRIGGER note_lease AFTER INSERT ON freerun_leases "
        "BEGIN INSERT INTO audit_leases (at, worker_id, change) VALUES "
        "((julianday('now') - 2440587.5) * 86400.0, NEW.worker_id, 1); END",
        "CREATE TRIGGER note_end AFTER DELETE ON freerun_leases "
        "BEGIN INSERT INTO audit_leases (at, worker_id, change) VALUES "
        "((julianday('now') - 2440587.5) * 86400.0, OLD.worker_id, -1); END",
    ),
    "postgresql": (
        "CREATE TABLE audit_states (id BIGSERIAL PRIMARY KEY, at DOUBLE PRECISION, "
        "trial_id INTEGER, was TEXT, is_now TEXT)",
        "CREATE TABLE audit_leases (id BIGSERIAL PRIMARY KEY, at DOUBLE PRECISION, "
        "worker_id INTEGER, change INTEGER)",
        "CREATE FUNCTION note_state() RETURNS trigger AS $$ BEGIN INSERT INTO audit_states "
        "(at, trial_id, was, is_now) VALUES (extract(epoch from clock_timestamp()), NEW.trial_id, "
        "OLD.state, NEW.state); RETURN NULL; END $$ LANGUAGE plpgsql",
        "CREATE FUNCTION note_lease() RETURNS trigger AS $$ BEGIN INSERT INTO audit_leases "
        "(at, worker_id, change) VALUES (extract(epoch from clock_timestamp()), "
        "COALESCE(NEW.worker_id, OLD.worker_id), CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END); "
        "RETURN NULL; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER note_state AFTER UPDATE OF state ON trials FOR EACH ROW "
        "WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION note_state()",
        "CREATE TRIGGER note_lease AFTER INSERT OR DELETE ON freerun_leases FOR EACH ROW "
        "EXECUTE FUNCTION note_lease()",
    ),
}
FINISHED = {"COMPLETE", "PRUNED", "FAIL"}


@dataclass(frozen=True)
class StateChange:
    """at: seconds since the epoch by the database's clock; states as Optuna names them."""

    at: float
    trial_id: int
    was: str
    is_now: str


@dataclass(frozen=True)
class Delay:
    """What became of a trial that ran when its worker died. Seconds are counted from the death.

    given_back: until it waited, or was given up; resumed: until it ran again; None where it did
    not. ignored: the longest time for which a living worker held nothing while the trial waited.
    """

    given_back: float | None
    resumed: float | None
    ignored: float


@dataclass(frozen=True)
class Audit:
    """All changes of states in their order, and each worker's times without work (start, end)."""

    changes: Sequence[StateChange]
    idle: Mapping[int, Sequence[tuple[float, float]]]

    @property
    def begun_after_end(self) -> int:
        """How many changes there were of trials that had ended."""
        return sum(change.was in FINISHED for change in self.changes)

    def delay(self, trial_id: int, died: float) -> Delay:
        """What became of a trial that a worker held when it died."""
        later = [c for c in self.changes if c.trial_id == trial_id and c.at > died]
        given_back = next((c.at for c in later if c.is_now != "RUNNING"), None)
        resumed = next((c.at for c in later if c.is_now == "RUNNING"), None)
        ignored = 0.0
        if given_back is not None and resumed is not None:
            spans = chain.from_iterable(self.idle.values())
            both = (min(resumed, end) - max(given_back, start) for start, end in spans)
            ignored = max(0.0, max(both, default=0.0))
        return Delay(
            None if given_back is None else given_back - died,
            None if resumed is None else resumed - died,
            ignored,
        )


def begin_audit(connection: Connection) -> None:
    """Let a database with freerun's tables note what changes from now on."""
    for statement in TRIGGERS[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def read_audit(connection: Connection, killed_at: Mapping[int, float]) -> Audit:
    """Read what was noted. killed_at: when processes were killed, by their ids."""
    states = text("SELECT at, trial_id, was, is_now FROM audit_states ORDER BY id")
    leases = text("SELECT at, worker_id, change FROM audit_leases ORDER BY id")
    workers = text("SELECT worker_id, pid, registered, left_at FROM freerun_workers")
    steps: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    for at, worker_id, change in connection.execute(leases):
        steps[worker_id].append((at, change))
    idle = {}
    for worker_id, pid, registered, left_at in connection.execute(workers):
        ended = min(inf if left_at is None else left_at, killed_at.get(pid, inf))
        idle[worker_id] = list(_idle(registered, steps[worker_id], ended))
    return Audit([StateChange(*row) for row in connection.execute(states)], idle)


def _idle(
    began: float, steps: Sequence[tuple[float, int]], ended: float
) -> Iterator[tuple[float, float]]:
    """The times in which a worker that lived from `began` to `ended` held nothing.

    steps: (when, 1 or -1) for each lease that it took or that ended.
    """
    held, free_since = 0, began
    for at, change in steps:
        if held == 0:
            yield free_since, min(at, ended)
        held += change
        free_since = at
    # Both may be the same: SQLite's clock counts milliseconds.
    if held == 0 and free_since <= ended:
        yield free_since, ended
