"""SQLite files that were damaged while nothing ran: each is refused, and stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from search.errors import StorageError
from search.storage.opening import open_storage
from search.storage.sqlite_damage import CHECKED_BYTES, check_undamaged
from tests.search.cli.conftest import STUDIES, freerun

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.search.storage.conftest import Propose

PAGE_BYTES = 4096


def files_of(path: Path) -> dict[str, bytes]:
    """All that lies beside a database, but for shared memory, which any reader writes."""
    found = sorted(path.parent.iterdir())
    return {own.name: own.read_bytes() for own in found if not own.name.endswith("-shm")}


def message_of(path: Path, *, create: bool = True) -> str:
    """How a file is refused, which stays as it was."""
    before = files_of(path)
    with pytest.raises(StorageError) as refused:
        open_storage(f"sqlite:///{path}", create=create)
    assert files_of(path) == before
    message = str(refused.value)
    assert "\n" not in message
    assert str(path) in message
    assert "freerun restore FILE" in message
    return message


def overwritten(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


@pytest.fixture
def stored(sqlite_url: str) -> Path:
    """A database that was closed."""
    with open_storage(sqlite_url, create=False) as storage:
        for name in "abc":
            storage.create_study(name, definition="{}" + " " * 6000, definition_hash=name)
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def killed(sqlite_url: str, tmp_path: Path, propose: Propose) -> Path:
    """A database whose latest changes are in its log, as its only user leaves it who is killed."""
    with open_storage(sqlite_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        study.claim_new(study.register_worker(host="here", pid=1, machine={}), propose(2))
        left = tmp_path / "left"
        left.mkdir()
        # Not by this process, which would lose its locks.
        subprocess.run(["cp", *map(str, tmp_path.glob("freerun.db*")), str(left)], check=True)
    path = left / "freerun.db"
    assert log_of(path).stat().st_size > 3 * PAGE_BYTES
    return path


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: os.truncate(path, 0), "must not be an empty file"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "not a database"),
        (lambda path: overwritten(path, 0, b"SQLite format 2\0"), "not a database"),
        (lambda path: os.truncate(path, path.stat().st_size - 3 * PAGE_BYTES), "malformed"),
        (lambda path: overwritten(path, 8 * PAGE_BYTES, os.urandom(3 * PAGE_BYTES)), "is damaged"),
        (lambda path: overwritten(path, 100, b"\xff" * 40), "malformed"),
    ],
    ids=["empty", "zeros", "header", "truncated", "middle", "schema"],
)
def test_a_damaged_file_is_refused_and_stays_as_it_is(
    stored: Path, create: bool, damage: Callable[[Path], None], reason: str
) -> None:
    damage(stored)
    assert reason in message_of(stored, create=create)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda log: log.unlink(), "which is missing"),
        (lambda log: os.truncate(log, 0), "its end is missing"),
        (lambda log: os.truncate(log, log.stat().st_size - PAGE_BYTES), "its end is missing"),
        (lambda log: overwritten(log, 2 * PAGE_BYTES, b"\xa5" * 64), "is damaged"),
        (lambda log: overwritten(log, 0, b"\xa5" * 32), "is damaged"),
    ],
    ids=["removed", "emptied", "truncated", "middle", "header"],
)
def test_changes_are_not_left_out_in_silence_that_a_damaged_log_held(
    killed: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(log_of(killed))
    assert reason in message_of(killed)


def test_a_damaged_log_without_its_index_is_refused_by_its_header(killed: Path) -> None:
    killed.with_name(killed.name + "-shm").unlink()
    overwritten(log_of(killed), 0, b"\xa5" * 32)
    assert "is damaged" in message_of(killed)


@pytest.mark.parametrize("ends", [["-wal", "-shm"], ["-wal"], ["-shm"]])
def test_no_new_storage_takes_the_log_of_a_lost_one_for_its_own(
    killed: Path, ends: list[str]
) -> None:
    for own in set(killed.parent.iterdir()) - {killed.with_name(killed.name + end) for end in ends}:
        own.unlink()
    message = message_of(killed)
    assert f"what a lost database left is at {killed}{ends[0]}" in message


def test_a_log_that_a_power_cut_shortened_is_read_as_far_as_it_goes(killed: Path) -> None:
    """As after a start: the shared memory, of before it, counts more than reached the disk."""
    os.truncate(log_of(killed), log_of(killed).stat().st_size - PAGE_BYTES)
    os.utime(killed.with_name(killed.name + "-shm"), (0, 0))
    with open_storage(f"sqlite:///{killed}", create=False) as storage:
        assert [study.name for study in storage.studies()] == ["sine"]


def test_a_log_is_not_lost_beside_an_empty_file(killed: Path) -> None:
    os.truncate(killed, 0)
    assert "must not be an empty file" in message_of(killed)


def test_a_log_that_a_killed_process_left_is_read(killed: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for own in killed.parent.glob(killed.name + "*"):
        shutil.copy(own, moved / own.name)
    # Without the index too, as where the machine was started again.
    (moved / (killed.name + "-shm")).unlink()
    for path in (killed, moved / killed.name):
        with open_storage(f"sqlite:///{path}", create=False) as storage:
            assert storage.study("sine").counts().running == 2


def test_the_way_on_without_a_log_is_the_one_that_the_message_names(killed: Path) -> None:
    log_of(killed).unlink()
    assert f"remove {log_of(killed)} and {killed.name}-shm" in message_of(killed)
    killed.with_name(killed.name + "-shm").unlink()
    with open_storage(f"sqlite:///{killed}", create=False) as storage:
        assert storage.studies() is not None


def test_a_file_that_is_in_use_is_opened_again(sqlite_url: str) -> None:
    with open_storage(sqlite_url, create=False) as storage:
        study = storage.create_study("sine", definition="{}", definition_hash="abc")
        with open_storage(sqlite_url, create=False) as again:
            assert again.study("sine").counts().total == 0
        # Its locks were not lost with the second one.
        assert study.register_worker(host="here", pid=1, machine={}) == 1


def test_a_large_file_is_read_whole_on_request_only(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwritten(stored, 8 * PAGE_BYTES, b"\xa5" * PAGE_BYTES)
    monkeypatch.setattr("search.storage.sqlite_damage.CHECKED_BYTES", stored.stat().st_size - 1)
    check_undamaged(stored, whole=False)
    with pytest.raises(StorageError, match="is damaged"):
        check_undamaged(stored, whole=True)
    assert stored.stat().st_size < CHECKED_BYTES


@pytest.mark.parametrize("command", ["run", "list"])
def test_commands_end_with_the_remedy(stored: Path, command: str) -> None:
    overwritten(stored, 8 * PAGE_BYTES, b"\xa5" * 3 * PAGE_BYTES)
    before = files_of(stored)
    arguments = [STUDIES / "smoke.toml"] if command == "run" else []
    ended = freerun(stored.parent, command, *arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert "freerun restore FILE" in ended.err
    assert files_of(stored) == before
