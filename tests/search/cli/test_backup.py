"""`freerun backup` and `restore` as a user types them: a study that was killed goes on."""

import os
import signal
from pathlib import Path

from search.storage.opening import open_storage
from tests.search.cli.conftest import STUDIES, freerun, refused, start_freerun
from tests.search.stored import attempts

TRIALS = 40


def test_a_study_that_was_killed_goes_on_from_its_backup(tmp_path: Path) -> None:
    text = (STUDIES / "smoke.toml").read_text()
    (tmp_path / "s.toml").write_text(text.replace("trials = 6", f"trials = {TRIALS}"))
    assert freerun(tmp_path, "run", "s.toml", "--workers", 0).code == 0
    work = start_freerun(tmp_path, "work", "smoke")
    url = f"sqlite:///{tmp_path / 'freerun.db'}"
    with open_storage(url, create=False) as storage:
        store = storage.study("smoke")
        while not (store.counts().running and store.counts().pruned) and work.process.is_alive():
            pass
        made = freerun(tmp_path, "backup", "-o", "in/studies.backup", "--json")
        assert made.code == 0, made.err
        assert work.process.pid is not None
        os.kill(work.process.pid, signal.SIGKILL)
        work.wait()
    assert made.json["storage"] == url
    assert (made.json["studies"], made.json["file"]) == (1, "in/studies.backup")
    assert 0 < made.json["trials"] <= TRIALS
    file = tmp_path / "in" / "studies.backup"
    assert made.json["bytes"] == file.stat().st_size
    again = ["backup", "-o", "in/studies.backup"]
    refused(tmp_path, again, "is already there", "-o", "--force")
    assert freerun(tmp_path, *again, "--force").out.startswith(f"backed up {url} to in/studies.b")
    refused(tmp_path, ["restore", file], "empty storage", "tables")
    refused(tmp_path, ["restore", "s.toml", "--storage", "sqlite:///x.db"], "must be a backup")
    for name in ("freerun.db", "freerun.db-wal", "freerun.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    restored = freerun(tmp_path, "restore", file)
    assert restored.code == 0, restored.err
    assert "1 study, " in restored.out
    assert "resume a study: freerun run NAME" in restored.out
    ended = freerun(tmp_path, "work", "smoke", "--json")
    assert ended.code == 0, ended.err
    assert sum(ended.json["trials"].values()) == TRIALS
    assert ended.json["trials"]["failed"] == 0
    assert attempts(url) == [0] * TRIALS
