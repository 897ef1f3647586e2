"""Faults that are done to a soak: damaged copies are refused, a disk is full for a while only."""

import random
from pathlib import Path

import pytest

from benchmarks.faults import damage_copies, filled, small_disk
from search.errors import UsageError
from search.storage.opening import open_storage


def test_damaged_copies_are_refused_and_stay_as_they_are(sqlite_url: str) -> None:
    with open_storage(sqlite_url, create=False) as storage:
        storage.create_study("sine", definition="{}", definition_hash="abc")
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    refused, changed = damage_copies(path, 40, random.Random(0))
    # Pages that are free hold nothing whose loss could be noticed.
    assert refused >= 36
    assert changed == 0
    assert list(path.parent.iterdir()) == [path]


def test_a_disk_is_full_for_a_while() -> None:
    try:
        with small_disk(1) as disk:
            with filled(disk), pytest.raises(OSError, match="No space left"):
                (disk / "more").write_bytes(bytes(10_000))
            assert (disk / "more").write_bytes(bytes(10_000)) == 10_000
    except UsageError as error:
        pytest.skip(str(error))
    assert not disk.exists()
