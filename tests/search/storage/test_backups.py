"""A backup while workers run, and a storage that is made of it: nothing lost, nothing twice."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from search.errors import FreerunError, StorageError
from search.storage.backups import back_up, restore
from search.storage.opening import open_storage
from search.storage.records import Artifact, FinishedTrial, Replica
from search.storage.sqlite_backup import held_by
from tests.search.stored import attempts, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import PostgresServer
    from tests.search.storage.conftest import Propose, Start

ROOT = Path(__file__).parents[3]
OLD = ROOT / "tests" / "data" / "0.1.0" / "studies.db.gz"
TRIALS = 300
STATES = "SELECT state, count(*) FROM trials GROUP BY state"


def quietly(_done: int, _total: int | None) -> None:
    """Told of the progress."""


def lose(url: str, postgres: PostgresServer) -> None:
    """Let a database vanish, under the processes that use it."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        return
    name = url.partition("?")[0].rpartition("/")[2]
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    postgres.execute(f"CREATE DATABASE {name}")


def test_a_study_goes_on_from_a_backup_that_was_made_while_workers_wrote(
    database_url: str, another_url: str, start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "b"
    with open_storage(database_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        study.set_budget(trials=TRIALS, minutes=None)
        with start(3, "claim", database_url) as workers:
            while study.counts().complete < TRIALS // 10:
                assert workers.poll() is None
            made = back_up(database_url, file, quietly)
            # Neither ended nor held up: the rest is run while and after the file is written.
            workers.communicate()
        assert study.counts().complete == study.counts().total == TRIALS
    assert 0 < made.trials < TRIALS
    restored = restore(file, another_url, quietly)
    assert (restored.studies, restored.trials) == (made.studies, made.trials) == (1, made.trials)
    before = dict(stored(another_url, STATES))
    assert before.keys() <= {"COMPLETE", "WAITING"}
    assert before.get("WAITING", 0) == restored.waiting
    with start(2, "claim", another_url) as workers:
        workers.communicate()
    assert stored(another_url, STATES) == [("COMPLETE", TRIALS)]
    numbers = stored(another_url, "SELECT number FROM trials ORDER BY number")
    assert [number for (number,) in numbers] == list(range(TRIALS))
    assert set(attempts(another_url)) == {0}


def test_what_a_killed_worker_held_waits_as_if_it_had_not_begun(
    database_url: str, another_url: str, start: Start, tmp_path: Path
) -> None:
    with open_storage(database_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        study.set_budget(trials=2, minutes=None)
        study.plan_final_jobs("final", ["naive"])
        mine = study.register_worker(host="here", pid=1, machine={})
        assert study.claim_final_job(mine) is not None
        with start(1, "hold", database_url) as process:
            assert process.stdout is not None
            _, *held = json.loads(process.stdout.readline())
            file = tmp_path / "b"
            back_up(database_url, file, quietly)
            process.send_signal(signal.SIGKILL)
        spent = study.budget().spent_seconds
        params = [trial.params for trial in study.frozen_trials(held)]
    for is_last in (False, True):
        # However often: a restore is no fault of a trial.
        assert restore(file, another_url, quietly).waiting == 2
        with open_storage(another_url, create=False) as storage:
            study = storage.study("sine")
            assert study.counts().waiting == study.counts().total == 2
            assert study.held_trials() == frozenset()
            assert [job.state for job in study.final_jobs()] == ["waiting"]
            assert study.budget().used_trials == 2
            assert study.budget().spent_seconds <= spent
            assert all(worker.left for worker in study.workers())
            assert 0 not in [worker.pid for worker in study.workers()]
            # A worker of any host may come, also to SQLite.
            worker = study.register_worker(host="here", pid=1, machine={})
            again = study.claim_waiting(worker, 8)
            assert [trial.params for trial in again] == params
            assert [trial.attempts for trial in again] == [0, 0]
            assert study.trial(0).intermediate_values == {}
            assert study.claim_new(worker, []) == []
            ends = [FinishedTrial(trial_id, "complete", 0.5) for trial_id in held]
            assert study.finish(worker, ends) == []
            assert study.budget().exhausted
        if not is_last:
            clear(another_url)


def clear(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).unlink()
        return
    with open_storage(url, create=False) as storage, storage.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))


def test_a_worker_of_before_changes_nothing_in_what_took_the_place_of_its_database(
    empty_database_url: str,
    postgres: PostgresServer,
    postgres_programs: None,
    tmp_path: Path,
    propose: Propose,
) -> None:
    url, file = empty_database_url, tmp_path / "b"
    with open_storage(url, create=True) as before:
        study = before.create_study("sine", definition="{}", definition_hash="abc")
        old = study.register_worker(host="here", pid=1, machine={})
        (first,) = study.claim_new(old, propose(1))
        study.plan_final_jobs("final", ["naive"])
        job = study.claim_final_job(old)
        assert job is not None
        back_up(url, file, quietly)
        late = study.register_worker(host="here", pid=2, machine={})
        (second,) = study.claim_new(late, propose(1))
        lose(url, postgres)
        before.engine.dispose()
        restore(file, url, quietly)
        with open_storage(url, create=False) as after:
            again = after.study("sine")
            new = again.register_worker(host="here", pid=3, machine={})
            (waiting,) = again.claim_waiting(new, 1)
            (other,) = again.claim_new(new, propose(1))
            # The same ids, of which two workers believe that they hold them.
            ids = [first.trial_id, second.trial_id]
            assert [waiting.trial_id, other.trial_id] == ids
            assert new not in (old, late)
            for worker in (old, late):
                with pytest.raises(FreerunError, match="is not registered, or has left"):
                    study.beat(worker)
                ends = [
                    FinishedTrial(i, "complete", 9.0) for i in (first.trial_id, second.trial_id)
                ]
                assert study.finish(worker, ends) == [first.trial_id, second.trial_id]
                assert study.report(worker, [(first.trial_id, 1, 9.0)]) == [first.trial_id]
                assert not study.finish_final_job(worker, job.job_id, "{}")
                study.give_back(worker, [first.trial_id])
            assert again.held_trials() == set(ids)
            assert again.trial(0).intermediate_values == {}
            assert [job.state for job in again.final_jobs()] == ["waiting"]
            # Restored once more: ids go on above those of the first time.
            back_up(url, tmp_path / "c", quietly)
        lose(url, postgres)
        restore(tmp_path / "c", url, quietly)
        with open_storage(url, create=False) as after:
            last = after.study("sine").register_worker(host="here", pid=4, machine={})
            assert last > new + 1


def test_a_backup_holds_what_was_committed_before_it(
    database_url: str, another_url: str, tmp_path: Path
) -> None:
    with open_storage(database_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        study.set_budget(trials=7, minutes=None)
        with storage.engine.connect() as connection:
            if database_url.startswith("sqlite"):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.execute(text("UPDATE freerun_budgets SET trials = 99"))
            # The open transaction is neither waited for nor seen.
            back_up(database_url, tmp_path / "b", quietly)
            connection.commit()
        assert study.budget().trials == 99
    restore(tmp_path / "b", another_url, quietly)
    with open_storage(another_url, create=False) as storage:
        assert storage.study("sine").budget().trials == 7


def test_tables_pictures_curves_and_weights_are_in_it(
    database_url: str, another_url: str, propose: Propose, tmp_path: Path
) -> None:
    table, picture, weights = os.urandom(3000), os.urandom(5000), os.urandom(70000)
    with open_storage(database_url, create=False) as storage:
        study = storage.create_study("t", definition="{}", definition_hash="abc", data=table)
        worker = study.register_worker(host="here", pid=1, machine={})
        (trial,) = study.claim_new(worker, propose(1))
        end = FinishedTrial(
            trial.trial_id,
            "complete",
            0.5,
            artifacts=[Artifact("run.png", picture)],
            curve=bytes(8),
            replicas=[Replica(0, 0.5, float("nan"), 0)],
        )
        study.finish(worker, [end])
        study.plan_final_jobs("final", [trial.trial_id])
        job = study.claim_final_job(worker)
        assert job is not None
        study.finish_final_job(worker, job.job_id, "{}", weights)
        study.leave(worker)
    file = tmp_path / "in" / "b"
    made = back_up(database_url, file, quietly)
    assert made.bytes == file.stat().st_size > len(table) + len(picture) + len(weights)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["b"]
    restore(file, another_url, quietly)
    with open_storage(another_url, create=False) as storage:
        again = storage.study("t")
        assert again.data() == table
        assert again.final_weights(job.job_id) == weights
        assert [own.content for own in again.artifacts(trial.trial_id)] == [picture]
        assert again.trial(0).value == 0.5
    for name in ("curves", "replicas", "finals", "artifacts", "studies", "trials"):
        query = f"SELECT * FROM freerun_{name}"
        assert stored(another_url, query) == stored(database_url, query)


def test_an_old_database_is_backed_up_as_it_is_and_upgraded_when_restored(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    old.write_bytes(gzip.decompress(OLD.read_bytes()))
    made = back_up(f"sqlite:///{old}", tmp_path / "b", quietly)
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert restore(tmp_path / "b", url, quietly).trials == made.trials == 25
    with open_storage(url, create=False) as storage:
        assert len(storage.studies()) == made.studies == 3
    with pytest.raises(StorageError, match="`freerun upgrade`"):
        open_storage(f"sqlite:///{old}", create=False)


@pytest.fixture
def backup(sqlite_url: str, tmp_path: Path) -> Path:
    """A backup of a SQLite storage with one study."""
    with open_storage(sqlite_url, create=False) as storage:
        storage.create_study("sine", definition="{}" * 5000, definition_hash="abc")
    back_up(sqlite_url, tmp_path / "backup", quietly)
    return tmp_path / "backup"


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 20_000] = b"\xa5" * 20_000
    path.write_bytes(content)


def replace_by(content: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_bytes(content)

    return change


def say(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute(statement)
        connection.close()

    return change


def add_log(path: Path) -> None:
    path.with_name(path.name + "-wal").write_bytes(b"log")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.unlink, "must be a backup, but does not exist"),
        (replace_by(b""), "neither a SQLite file nor a dump"),
        (replace_by(b"name = 'sine'"), "neither a SQLite file nor a dump"),
        (replace_by(b"SQLite format 3\0"), "is damaged"),
        (cut_off, "is damaged"),
        (overwrite, "is damaged"),
        (say("DROP TABLE freerun_studies"), "must hold freerun's tables"),
        (say("UPDATE freerun_alembic_version SET version_num = '99'"), "Install a newer freerun"),
        (say("UPDATE alembic_version SET version_num = 'v9'"), "Install the Optuna that made it"),
        (add_log, "a file that nobody uses"),
    ],
)
def test_what_is_no_whole_backup_is_refused(
    backup: Path, damage: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    damage(backup)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StorageError, match=words):
        restore(backup, f"sqlite:///{tmp_path / 'new.db'}", quietly)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_is_restored_only_where_nothing_is(backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.db"
    url = f"sqlite:///{target}"
    with pytest.raises(StorageError, match=r"is of SQLite, and postgresql://u:\*\*\*@h/d is Postg"):
        restore(backup, "postgresql://u:secret@h/d", quietly)
    with pytest.raises(FreerunError, match="must be another file"):
        restore(backup, f"sqlite:///{backup}", quietly)
    log = tmp_path / "new.db-wal"
    log.write_bytes(b"of a lost database")
    with pytest.raises(StorageError, match=r"new\.db-wal is there.* move the file away"):
        restore(backup, url, quietly)
    log.rename(tmp_path / "new.db-shm")
    with pytest.raises(StorageError, match=r"new\.db-shm is there.* move the file away"):
        restore(backup, url, quietly)
    (tmp_path / "new.db-shm").write_bytes(b"")
    with pytest.raises(StorageError, match=r"new\.db-shm is there.* move the file away"):
        restore(backup, url, quietly)
    (tmp_path / "new.db-shm").unlink()
    target.touch()
    restore(backup, url, quietly)
    holds = target.read_bytes()
    with pytest.raises(StorageError, match=r"empty storage, but .* holds \d+ tables"):
        restore(backup, url, quietly)
    assert target.read_bytes() == holds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "freerun.db", "new.db"]


def test_a_backup_replaces_nothing_but_a_backup_that_nobody_uses(
    backup: Path, sqlite_url: str, tmp_path: Path
) -> None:
    with pytest.raises(FreerunError, match=r"is already there; .* replace it with --force"):
        back_up(sqlite_url, backup, quietly)
    back_up(sqlite_url, backup, quietly, force=True)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(FreerunError, match="is another file"):
        back_up(sqlite_url, foreign, quietly, force=True)
    with pytest.raises(FreerunError, match="must be another file than"):
        back_up(sqlite_url, Path(sqlite_url.removeprefix("sqlite:///")), quietly, force=True)
    live = tmp_path / "live.db"
    restore(backup, f"sqlite:///{live}", quietly)
    content = live.read_bytes()
    with pytest.raises(FreerunError, match="is another file"):
        back_up(sqlite_url, live, quietly, force=True)
    assert live.read_bytes() == content
    add_log(backup)
    with pytest.raises(StorageError, match="a file that nobody uses"):
        back_up(sqlite_url, backup, quietly, force=True)


def test_a_backup_of_a_damaged_storage_names_that_storage(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_storage(sqlite_url, create=False) as storage:
        storage.create_study("sine", definition="{}" * 9000, definition_hash="abc")
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xa5" * 4096)
    # As for files that are too large to be read whole at each opening.
    monkeypatch.setattr("search.storage.sqlite_damage.CHECKED_BYTES", 0)
    with pytest.raises(
        StorageError, match=r"^\S+freerun\.db is damaged \(.*restore FILE"
    ) as failed:
        back_up(sqlite_url, tmp_path / "b", quietly)
    assert "\n" not in str(failed.value)
    assert [own.name for own in tmp_path.iterdir()] == ["freerun.db"]


def test_what_asks_to_end_is_heard_while_a_backup_is_checked(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(backup) as connection:
        connection.execute("CREATE TABLE filling (x)")
        connection.executemany("INSERT INTO filling VALUES (?)", [(i,) for i in range(500_000)])
    connection.close()
    monkeypatch.setattr("search.storage.sqlite_files.LOOK_SECONDS", 0.0)
    before = sorted(tmp_path.iterdir())

    def end(_done: int, _total: int | None) -> None:
        raise SystemExit(143)

    with pytest.raises(SystemExit, match="143"):
        held_by(backup, end)
    with pytest.raises(SystemExit, match="143"):
        restore(backup, f"sqlite:///{tmp_path / 'new.db'}", end)
    assert sorted(tmp_path.iterdir()) == before
    monkeypatch.undo()
    assert held_by(backup, quietly).studies == 1


def test_a_full_disk_leaves_nothing(backup: Path, sqlite_url: str, tmp_path: Path) -> None:
    """Files may not grow beyond 100 kB."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    for arguments in (
        ["backup", "-o", "full", "--storage", sqlite_url],
        ["restore", backup, "--storage", url],
    ):
        before = sorted(tmp_path.iterdir())
        ended = subprocess.run(
            [sys.executable, "-m", "search", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2, ended.stderr
        assert ended.stderr.startswith("freerun: error: sqlite:///")
        assert "free space" in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert sorted(tmp_path.iterdir()) == before
