"""One study: all that can be read and changed of it.

Each method is one short transaction, and is described where its function is. Methods that return
"lost" ids name the trials that the worker no longer holds because its heartbeat was late: nothing
was stored of them, and it should drop them.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from optuna.trial import FrozenTrial
from sqlalchemy import Connection, Row

from search.errors import UnknownTrialError
from search.storage import budgets, finished_trials, leases, reading
from search.storage import final_jobs as _final_jobs
from search.storage.database import Database, StudyTransaction
from search.storage.optuna_tables import load_trials
from search.storage.optuna_writers import TrialWriter
from search.storage.outlines import NOTHING_MORE, Wanted, load_params
from search.storage.records import Beat, ScoredTrial, Swept, Tally, TrialStateName

# Trials that are read at once where all are read one after the other: they take 20 MB.
PART_TRIALS = 2000

P = ParamSpec("P")
T = TypeVar("T")


def _reads(
    work: Callable[Concatenate[StudyTransaction, P], T],
) -> Callable[Concatenate["StudyReader", P], T]:
    """Make a method of a function that reads in a transaction."""

    @wraps(work)
    def method(self: "StudyReader", /, *args: P.args, **options: P.kwargs) -> T:
        return self._database.read(lambda c: work(self._on(c), *args, **options))

    return method


def _writes(
    work: Callable[Concatenate[StudyTransaction, P], T],
) -> Callable[Concatenate["StudyStore", P], T]:
    """Make a method of a function that writes in a transaction."""

    @wraps(work)
    def method(self: "StudyStore", /, *args: P.args, **options: P.kwargs) -> T:
        claim = str(uuid.uuid4())
        return self._database.write(lambda c: work(self._on(c, claim), *args, **options))

    return method


def beat(study: StudyTransaction, worker_id: int) -> Beat:
    """Record a heartbeat, which renews the worker's leases; return what the worker needs to know.

    Raises FreerunError for a worker that has left.
    """
    return Beat(
        budget=budgets.heartbeat(study, worker_id),
        held_trials=leases.held(study, worker_id),
        held_jobs=_final_jobs.held(study, worker_id),
        to_sweep=bool(leases.expired_workers(study)),
    )


def leave(study: StudyTransaction, worker_id: int) -> None:
    """Give back all that the worker holds, as if not begun, and end its registration."""
    leases.give_back(study, worker_id, sorted(leases.held(study, worker_id)))
    budgets.leave(study, worker_id)
    _final_jobs.give_back(study, worker_id)


def lose_worker(study: StudyTransaction, worker_id: int) -> Swept:
    """Take at once what a worker holds that is known to be dead, and end its registration."""
    again, failed = leases.take_from(study, [worker_id])
    budgets.leave(study, worker_id)
    return Swept(again, failed, _final_jobs.lose(study, [worker_id]))


def sweep(study: StudyTransaction) -> Swept:
    """Take what dead workers hold: their trials wait again, or fail after three losses."""
    budgets.follow_clock(study)
    dead = leases.expired_workers(study)
    if not dead:
        return Swept((), (), ())
    return Swept(*leases.take_from(study, dead), _final_jobs.lose(study, dead))


class StudyReader:
    """What can be read of a study; `StudyStore` adds what changes it.

    name, definition, definition_hash, data_hash, data_description: as at creation;
    created: seconds since the epoch; study_id: Optuna's; lease_seconds: as the storage was opened.
    """

    def __init__(
        self,
        database: Database,
        writer: TrialWriter,
        lease_seconds: float,
        row: Row[*tuple[Any, ...]],
    ) -> None:
        self._database, self._writer = database, writer
        self.lease_seconds = lease_seconds
        self.study_id: int = row.study_id
        self.name: str = row.name
        self.created: float = row.created
        self.definition: str = row.definition
        self.definition_hash: str = row.definition_hash
        self.data_hash: str | None = row.data_hash
        self.data_description: str | None = row.data_description
        self._seen = reading.Seen()

    data = _reads(reading.data)
    counts = _reads(reading.counts)
    budget = _reads(budgets.read)
    open_trials = _reads(leases.open_trials)
    held_trials = _reads(leases.held_by_any)
    enqueued = _reads(leases.enqueued)
    workers = _reads(budgets.statuses)
    frozen_trials = _reads(load_trials)
    params = _reads(load_params)
    best_trial = _reads(reading.best_trial)
    own_trials = _reads(reading.own_trials)
    artifacts = _reads(finished_trials.read_artifacts)
    final_jobs = _reads(_final_jobs.jobs)
    final_states = _reads(_final_jobs.states)
    final_weights = _reads(_final_jobs.weights)
    _scores = _reads(reading.scores)
    _news = _reads(reading.news)
    _tally = _reads(reading.tally)
    _numbered = _reads(reading.numbered)

    def scored_trials(self) -> list[ScoredTrial]:
        """Return the trials that finished since the last call, all finished ones at first."""
        trials, self._seen = self._scores(self._seen)
        return trials

    def news(
        self,
        wanted: Wanted = NOTHING_MORE,
        is_whole: Callable[[int, TrialStateName], bool] = lambda _number, _state: True,
    ) -> Iterator[reading.News]:
        """Yield the trials that finished since the last call of this, of `tally` or of
        `scored_trials`, in parts; all unfinished ones are in the last.

        is_whole, wanted: see `reading.news`.
        """
        for found in self._parts(self._seen, wanted, is_whole):
            self._seen = found.seen
            yield found

    def survey(
        self,
        wanted: Wanted = NOTHING_MORE,
        is_whole: Callable[[int, TrialStateName], bool] = lambda _number, _state: True,
    ) -> Iterator[reading.News]:
        """Yield all trials as the first call of `news` does, whatever was read before."""
        return self._parts(reading.Seen(), wanted, is_whole)

    def _parts(
        self,
        seen: reading.Seen,
        wanted: Wanted,
        is_whole: Callable[[int, TrialStateName], bool],
    ) -> Iterator[reading.News]:
        is_last = False
        while not is_last:
            found = self._news(seen, PART_TRIALS, wanted, is_whole)
            seen, is_last = found.seen, found.is_last
            yield found

    def tally(
        self, attributes: Mapping[str, TrialStateName | None], ended_since: datetime
    ) -> Tally:
        """Count the trials that finished since the last call, see `reading.tally`."""
        counted, self._seen = self._tally(self._seen, attributes, ended_since)
        return counted

    def trial(self, number: int) -> FrozenTrial:
        """Return the trial of a number, as `frozen_trials` does; raises UnknownTrialError."""
        trial = self._numbered(number)
        if trial is None:
            total = self.counts().total
            range_of = f"numbers go from 0 to {total - 1}" if total else "it has no trial yet"
            raise UnknownTrialError(f"study {self.name!r} has no trial {number}: {range_of}.")
        return trial

    def _on(self, connection: Connection, claim: str = "") -> StudyTransaction:
        return StudyTransaction(connection, self.study_id, self.lease_seconds, self._writer, claim)


class StudyStore(StudyReader):
    """A study that can be changed; made by `Storage.create_study` and `Storage.study`."""

    set_budget = _writes(budgets.set_limits)
    request_stop = _writes(budgets.request_stop)
    clear_stop = _writes(budgets.clear_stop)

    register_worker = _writes(budgets.register)
    beat = _writes(beat)
    leave = _writes(leave)
    lose_worker = _writes(lose_worker)

    claim_waiting = _writes(leases.claim_waiting)
    claim_new = _writes(leases.claim_new)
    claim_enqueued = _writes(leases.claim_enqueued)
    refuse_enqueued = _writes(leases.refuse_enqueued)
    report = _writes(leases.report)
    finish = _writes(finished_trials.finish)
    give_back = _writes(leases.give_back)

    plan_final_jobs = _writes(_final_jobs.plan)
    claim_final_job = _writes(_final_jobs.claim)
    finish_final_job = _writes(_final_jobs.finish)
    fail_final_job = _writes(_final_jobs.fail)

    def sweep(self) -> Swept:
        """Take what dead workers hold, unless the database is away: then it is away for the
        workers too, and their heartbeats come first."""
        return self._database.try_write(lambda c: sweep(self._on(c))) or Swept((), (), ())
