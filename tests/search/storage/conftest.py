"""A study in a new database of either kind, and what tests do to it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

import search
from search.storage.opening import open_storage
from search.storage.records import Proposal
from search.storage.studies import Storage
from search.storage.study_store import StudyStore

DISTRIBUTIONS: Mapping[str, BaseDistribution] = {
    "cell": CategoricalDistribution(["rnn", "gru", "lstm"]),
    "residual": CategoricalDistribution([False, True]),
    "hidden_units": IntDistribution(1, 64, log=True),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
}


class Propose(Protocol):
    def __call__(self, number: int, cohort_key: str = "a") -> list[Proposal]: ...


class Silence(Protocol):
    def __call__(self, worker_id: int, seconds: float = 1000.0) -> None: ...


class Swarm(Protocol):
    def __call__(self, number: int, task: str, url: str) -> list[list[int]]: ...


class Start(Protocol):
    def __call__(self, number: int, task: str, url: str) -> subprocess.Popen[str]: ...


class RunSql(Protocol):
    def __call__(self, statement: str, **values: object) -> list[tuple[Any, ...]]: ...


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    with open_storage(database_url, create=True) as opened:
        yield opened


@pytest.fixture
def study(storage: Storage) -> StudyStore:
    return storage.create_study("sine", definition='{"seed": 0}', definition_hash="abc")


@pytest.fixture
def worker(study: StudyStore) -> int:
    return study.register_worker(host="here", pid=1, machine={"cpu": "any"})


@pytest.fixture
def propose() -> Propose:
    """Makes proposals that differ from each other, all of one cohort key."""

    def make(number: int, cohort_key: str = "a") -> list[Proposal]:
        return [
            Proposal(
                params={
                    "cell": ("rnn", "gru", "lstm")[i % 3],
                    "residual": i % 2 == 1,
                    "hidden_units": 1 + i % 64,
                    "learning_rate": 1e-3 * (1 + i % 50),
                },
                distributions=DISTRIBUTIONS,
                cohort_key=cohort_key,
            )
            for i in range(number)
        ]

    return make


@pytest.fixture
def run_sql(storage: Storage) -> RunSql:
    """Runs a statement on a connection of its own, as another program would; returns its rows."""
    engine = create_engine(storage.url, poolclass=NullPool)

    def run(statement: str, **values: object) -> list[tuple[Any, ...]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    return run


@pytest.fixture
def plain_optuna(storage: Storage) -> Iterator[RDBStorage]:
    """The same database as another Optuna program opens it."""
    rdb = RDBStorage(storage.url)
    yield rdb
    rdb.remove_session()
    rdb.engine.dispose()


@pytest.fixture
def silence(run_sql: RunSql) -> Silence:
    """Makes a worker's last heartbeat older than a lease, as if it had died a while ago."""

    def silence(worker_id: int, seconds: float = 1000.0) -> None:
        run_sql(
            "UPDATE freerun_workers SET last_beat = last_beat - :seconds WHERE worker_id = :worker",
            worker=worker_id,
            seconds=seconds,
        )

    return silence


@pytest.fixture
def start() -> Start:
    """Starts swarm.py, whose tasks are named there."""

    def start(number: int, task: str, url: str) -> subprocess.Popen[str]:
        assert search.__file__ is not None
        root = str(Path(search.__file__).parent.parent)
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("swarm.py")), str(number), task, url],
            env={**os.environ, "PYTHONPATH": root},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def swarm(start: Start) -> Swarm:
    """Runs a task of swarm.py in several processes at once; returns what each printed."""

    def run(number: int, task: str, url: str) -> list[list[int]]:
        process = start(number, task, url)
        output, _ = process.communicate()
        assert process.returncode == 0
        return [json.loads(line) for line in output.splitlines()]

    return run
