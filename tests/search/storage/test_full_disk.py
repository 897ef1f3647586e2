"""A full disk below either database, a server that stands still, and few file descriptors: nothing
is lost, and the study goes on. Small disks are mounted in memory, which takes root."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from benchmarks import faults
from benchmarks.faults import fill
from search.errors import StorageError, UsageError
from search.storage.opening import open_storage
from search.storage.records import Artifact, Beat, FinishedTrial

if TYPE_CHECKING:
    from search.storage.study_store import StudyStore
    from tests.conftest import PostgresServer
    from tests.search.storage.conftest import Propose

ARTIFACT = Artifact("picture.png", os.urandom(200_000))


@contextmanager
def small_disk(mebibytes: int, owner: int = 0) -> Iterator[Path]:
    """Mount a disk of a size, which its owner may use."""
    with ExitStack() as mounted:
        try:
            disk = mounted.enter_context(faults.small_disk(mebibytes, owner))
        except UsageError:
            pytest.skip("a small disk can't be mounted here; that takes root")
        yield disk


def finished(trial_id: int) -> FinishedTrial:
    return FinishedTrial(trial_id, "complete", 0.5, artifacts=(ARTIFACT,))


def check_whole(study: StudyStore, finished_trials: int) -> None:
    assert study.counts().complete == study.counts().total == finished_trials
    assert study.held_trials() == frozenset()
    for trial in study.frozen_trials():
        assert study.artifacts(trial._trial_id) == [ARTIFACT]


def test_a_full_disk_below_sqlite_is_one_message_and_loses_nothing(propose: Propose) -> None:
    with small_disk(4) as disk:
        url = f"sqlite:///{disk / 'freerun.db'}"
        with open_storage(url, create=True) as storage:
            study = storage.create_study("sine", definition="{}", definition_hash="abc")
            worker = study.register_worker(host="here", pid=1, machine={})
            first, second = study.claim_new(worker, propose(2))
            study.finish(worker, [finished(first.trial_id)])
            filler = fill(disk)
            with pytest.raises(StorageError, match=r"is full\. Free some space on the disk"):
                study.finish(worker, [finished(second.trial_id)])
            assert study.counts().complete == 1
            filler.unlink()
            assert study.finish(worker, [finished(second.trial_id)]) == []
        with open_storage(url, create=False) as storage:
            check_whole(storage.study("sine"), 2)


def test_no_file_is_begun_on_a_full_disk() -> None:
    with small_disk(1) as disk:
        filler = fill(disk)
        with pytest.raises(StorageError, match=r"freerun.db can't be opened: .*[Ss]pace") as full:
            open_storage(f"sqlite:///{disk / 'freerun.db'}", create=True)
        assert ".part" not in str(full.value)
        assert list(disk.iterdir()) == [filler]


def test_a_full_disk_of_a_server_is_waited_for(postgres: PostgresServer, propose: Propose) -> None:
    owner = postgres.data_folder.stat().st_uid
    with ExitStack() as cleaning:
        disk = cleaning.enter_context(small_disk(32, owner))
        # As root, the server runs as a user of its own; the folder of a tablespace must be empty.
        (disk / "space").mkdir(mode=0o700)
        shutil.chown(disk / "space", owner)
        postgres.execute(f"CREATE TABLESPACE small LOCATION '{disk / 'space'}'")
        cleaning.callback(postgres.execute, "DROP TABLESPACE small")
        postgres.execute("CREATE DATABASE small TABLESPACE small STRATEGY file_copy")
        cleaning.callback(postgres.execute, "DROP DATABASE small WITH (FORCE)")
        url, asked = postgres.url("small"), []

        def free_some_space() -> bool:
            asked.append(filler.exists())
            filler.unlink(missing_ok=True)
            return False

        with open_storage(url, create=True, patience_seconds=0.0) as storage:
            study = storage.create_study("sine", definition="{}", definition_hash="abc")
            worker = study.register_worker(host="here", pid=1, machine={})
            trials = [trial.trial_id for trial in study.claim_new(worker, propose(2))]
            filler = fill(disk)
            with pytest.raises(StorageError, match=r"No space left.*Free some space") as full:
                study.finish(worker, [finished(trial_id) for trial_id in trials])
            assert "What is finished is kept" in str(full.value)
            assert study.counts().running == 2
        with open_storage(url, create=False, stop_requested=free_some_space) as storage:
            study = storage.study("sine")
            assert study.finish(worker, [finished(trial_id) for trial_id in trials]) == []
            assert asked[0]
            check_whole(study, 2)


def processes_of(postgres: PostgresServer) -> list[int]:
    """The server and all that it started."""
    server = int((postgres.data_folder / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{server}/task/{server}/children")
    if not children.exists():
        pytest.skip("the processes of a server are listed on Linux only")
    return [server, *map(int, children.read_text().split())]


def test_a_server_that_stands_still_is_waited_for_and_no_lease_expires(
    postgres: PostgresServer, postgres_url: str, propose: Propose
) -> None:
    with open_storage(postgres_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        workers = [study.register_worker(host="here", pid=i, machine={}) for i in range(3)]
        held = [study.claim_new(worker, propose(1))[0].trial_id for worker in workers]
        # It stands still for longer than a lease: all heartbeats are that old.
        with storage.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE freerun_workers SET last_beat = last_beat - 70")
        found: list[Beat] = []
        stopped = processes_of(postgres)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            waiting = Thread(target=lambda: found.append(study.beat(workers[0])))
            waiting.start()
            waiting.join(0.3)
            assert waiting.is_alive()
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        waiting.join(60)
        assert [beat.to_sweep for beat in found] == [False]
        assert study.sweep().given_back == ()
        for worker, trial_id in zip(workers, held, strict=True):
            assert study.beat(worker).held_trials == {trial_id}
            assert study.finish(worker, [finished(trial_id)]) == []
        check_whole(study, 3)


def test_too_few_file_descriptors_are_one_message(sqlite_url: str) -> None:
    with open_storage(sqlite_url, create=False) as storage:
        storage.create_study("sine", definition="{}", definition_hash="abc")
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    before, messages = path.read_bytes(), []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for left in range(8):
        with ExitStack() as held:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
            held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            kept = []
            try:
                while True:
                    kept.append(held.enter_context(Path(os.devnull).open()))
            except OSError:
                for file in kept[len(kept) - left :]:
                    file.close()
            try:
                with closing(open_storage(sqlite_url, create=False)) as storage:
                    assert [own.name for own in storage.studies()] == ["sine"]
            except StorageError as error:
                messages.append(str(error))
    assert 0 < len(messages) < 8
    assert {message for message in messages if "ulimit -n" not in message} == set()
    assert path.read_bytes() == before
