"""Two writers of trials into Optuna's tables.

Optuna's public calls take about 85 statements a trial. `BulkWriter` writes the same rows by a few
bulk inserts, tens of times faster, but only into the schema that it was written for. `TrialWriter`
makes the public calls, for any other schema. A test compares the rows that they write.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
    json_to_distribution,
)
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from search.storage.database import insert_rows, upsert
from search.storage.optuna_tables import (
    INTERMEDIATE_VALUES,
    PARAMS,
    SYSTEM_ATTRIBUTES,
    TRIALS,
    USER_ATTRIBUTES,
    VALUES,
    intermediate_value_columns,
    lock_study,
    value_columns,
)
from search.storage.records import Proposal, Report
from search.storage.tables import TRIALS as OUR_TRIALS

_Rows: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """What Optuna's tables hold of a finished trial beyond its parameters and reports."""

    trial_id: int
    state: TrialState
    value: float | None
    user_attributes: Mapping[str, Any] = field(default_factory=dict)
    system_attributes: Mapping[str, Any] = field(default_factory=dict)


class TrialWriter:
    """Writes trials by Optuna's public calls, within the transaction of `connection`, in which the
    caller holds the locks."""

    def __init__(self, rdb: RDBStorage) -> None:
        self._rdb = rdb

    def create(
        self, connection: Connection, study_id: int, proposals: Sequence[Proposal]
    ) -> list[tuple[int, int]]:
        """Insert running trials; return (trial id, number) of each, numbers without gaps."""
        with joined(self._rdb, connection) as rdb:
            created = []
            for proposal in proposals:
                template = create_trial(
                    state=TrialState.RUNNING,
                    params=dict(proposal.params),
                    distributions=dict(proposal.distributions),
                )
                trial_id = rdb.create_new_trial(study_id, template)
                created.append((trial_id, rdb.get_trial_number_from_id(trial_id)))
            return created

    def fill(
        self, connection: Connection, study_id: int, trial_id: int, proposal: Proposal
    ) -> None:
        """Give a waiting trial the parameters of a proposal, in place of those that it has.

        Raises ValueError for a parameter whose distribution is incompatible with the study's.
        """
        _remove_params(connection, trial_id)
        with joined(self._rdb, connection) as rdb:
            for name, value in proposal.params.items():
                distribution = proposal.distributions[name]
                stored = distribution.to_internal_repr(value)
                rdb.set_trial_param(trial_id, name, stored, distribution)

    def resume(self, connection: Connection, trial_ids: Sequence[int]) -> None:
        """Let waiting trials run, from now."""
        with joined(self._rdb, connection) as rdb:
            for trial_id in trial_ids:
                rdb.set_trial_state_values(trial_id, TrialState.RUNNING)

    def report(self, connection: Connection, reports: Sequence[Report]) -> None:
        """Set intermediate values of running trials."""
        with joined(self._rdb, connection) as rdb:
            for trial_id, step, value in reports:
                rdb.set_trial_intermediate_value(trial_id, step, float(value))

    def finish(self, connection: Connection, ends: Sequence[TrialEnd]) -> None:
        """End running trials."""
        with joined(self._rdb, connection) as rdb:
            for end in ends:
                for key, value in end.user_attributes.items():
                    rdb.set_trial_user_attr(end.trial_id, key, value)
                for key, value in end.system_attributes.items():
                    rdb.set_trial_system_attr(end.trial_id, key, value)
                values = None if end.value is None else [end.value]
                rdb.set_trial_state_values(end.trial_id, end.state, values)

    def release(self, connection: Connection, trial_ids: Sequence[int]) -> None:
        """Let running trials wait, with their parameters, without what they reported."""
        _remove_reports(connection, trial_ids)
        with joined(self._rdb, connection) as rdb:
            for trial_id in trial_ids:
                rdb.set_trial_state_values(trial_id, TrialState.WAITING)


class BulkWriter(TrialWriter):
    """Writes the rows that Optuna's public calls would have written, many at a time."""

    def __init__(self, rdb: RDBStorage) -> None:
        super().__init__(rdb)
        # The distribution with which a study's parameter was first stored.
        self._first: dict[tuple[int, str], BaseDistribution] = {}

    def create(
        self, connection: Connection, study_id: int, proposals: Sequence[Proposal]
    ) -> list[tuple[int, int]]:
        lock_study(connection, study_id)
        self._check_distributions(connection, study_id, proposals)
        in_study = TRIALS.c.study_id == study_id
        first = connection.scalar(select(func.count()).select_from(TRIALS).where(in_study)) or 0
        started = {"study_id": study_id, "state": TrialState.RUNNING, "datetime_start": _now()}
        rows = [{**started, "number": first + i} for i in range(len(proposals))]
        # Ids in the order of numbers: Optuna defines a number as the count of lower ids.
        returning = insert(TRIALS).returning(TRIALS.c.trial_id, sort_by_parameter_order=True)
        ids = list(connection.execute(returning, rows).scalars())
        insert_rows(connection, PARAMS, _param_rows(ids, proposals))
        return [(trial_id, first + i) for i, trial_id in enumerate(ids)]

    def fill(
        self, connection: Connection, study_id: int, trial_id: int, proposal: Proposal
    ) -> None:
        self._check_distributions(connection, study_id, [proposal])
        _remove_params(connection, trial_id)
        insert_rows(connection, PARAMS, _param_rows([trial_id], [proposal]))

    def resume(self, connection: Connection, trial_ids: Sequence[int]) -> None:
        connection.execute(
            update(TRIALS)
            .where(TRIALS.c.trial_id.in_(trial_ids))
            .values(state=TrialState.RUNNING, datetime_start=_now())
        )

    def report(self, connection: Connection, reports: Sequence[Report]) -> None:
        rows = [
            {"trial_id": trial_id, "step": step, **intermediate_value_columns(float(value))}
            for trial_id, step, value in reports
        ]
        upsert(connection, INTERMEDIATE_VALUES, rows, "trial_id", "step")

    def finish(self, connection: Connection, ends: Sequence[TrialEnd]) -> None:
        users = _attribute_rows((end.trial_id, end.user_attributes) for end in ends)
        upsert(connection, USER_ATTRIBUTES, users, "trial_id", "key")
        systems = _attribute_rows((end.trial_id, end.system_attributes) for end in ends)
        upsert(connection, SYSTEM_ATTRIBUTES, systems, "trial_id", "key")
        values = [
            {"trial_id": end.trial_id, "objective": 0, **value_columns(end.value)}
            for end in ends
            if end.value is not None
        ]
        insert_rows(connection, VALUES, values)
        ended = update(TRIALS).where(TRIALS.c.trial_id == bindparam("ended"))
        columns: dict[str, Any] = {n: bindparam(n) for n in ("state", "datetime_complete")}
        connection.execute(
            ended.values(columns),
            [{"ended": e.trial_id, "state": e.state, "datetime_complete": _now()} for e in ends],
        )

    def release(self, connection: Connection, trial_ids: Sequence[int]) -> None:
        _remove_reports(connection, trial_ids)
        waiting = update(TRIALS).where(TRIALS.c.trial_id.in_(trial_ids))
        connection.execute(waiting.values(state=TrialState.WAITING))

    def _check_distributions(
        self, connection: Connection, study_id: int, proposals: Sequence[Proposal]
    ) -> None:
        """Refuse, as Optuna does, a parameter whose distribution changes its kind or choices."""
        proposed = [(n, d) for p in proposals for n, d in p.distributions.items()]
        unknown = {name for name, _ in proposed if (study_id, name) not in self._first}
        if unknown:
            firsts = (
                select(func.min(PARAMS.c.param_id))
                # Not of all trials: one of another program may have any distribution.
                .join(OUR_TRIALS, OUR_TRIALS.c.trial_id == PARAMS.c.trial_id)
                .where(OUR_TRIALS.c.study_id == study_id, PARAMS.c.param_name.in_(unknown))
                .group_by(PARAMS.c.param_name)
            )
            stored = select(PARAMS.c.param_name, PARAMS.c.distribution_json)
            for name, text in connection.execute(stored.where(PARAMS.c.param_id.in_(firsts))):
                self._first[study_id, name] = json_to_distribution(text)
        within: dict[str, BaseDistribution] = {}
        for name, distribution in proposed:
            first = self._first.get((study_id, name)) or within.setdefault(name, distribution)
            check_distribution_compatibility(first, distribution)


@contextmanager
def joined(rdb: RDBStorage, connection: Connection) -> Iterator[RDBStorage]:
    """Make this thread's calls on `rdb` part of the transaction of `connection`.

    Optuna takes one session per thread from a registry. This binds that session to our connection,
    on which its commits only release savepoints.
    """
    rdb.remove_session()
    rdb.scoped_session(bind=connection, join_transaction_mode="create_savepoint")
    try:
        yield rdb
    finally:
        rdb.remove_session()


def _now() -> datetime:
    """Return the time as Optuna stores it: UTC without a zone, by the clock of this host."""
    return datetime.now(UTC).replace(tzinfo=None)


def _param_rows(ids: Sequence[int], proposals: Sequence[Proposal]) -> _Rows:
    texts: dict[int, str] = {}
    rows = []
    for trial_id, proposal in zip(ids, proposals, strict=True):
        for name, value in proposal.params.items():
            distribution = proposal.distributions[name]
            if id(distribution) not in texts:
                texts[id(distribution)] = distribution_to_json(distribution)
            rows.append(
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(value),
                    "distribution_json": texts[id(distribution)],
                }
            )
    return rows


def _attribute_rows(attributes: Iterable[tuple[int, Mapping[str, Any]]]) -> _Rows:
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for trial_id, pairs in attributes
        for key, value in pairs.items()
    ]


def _remove_params(connection: Connection, trial_id: int) -> None:
    """Remove a trial's parameters, for which Optuna has no public call."""
    connection.execute(delete(PARAMS).where(PARAMS.c.trial_id == trial_id))


def _remove_reports(connection: Connection, trial_ids: Sequence[int]) -> None:
    """Remove what trials reported, for which Optuna has no public call."""
    of_trials = INTERMEDIATE_VALUES.c.trial_id.in_(trial_ids)
    connection.execute(delete(INTERMEDIATE_VALUES).where(of_trials))
