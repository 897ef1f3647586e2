"""Workers that share a study, and runs that are killed or stopped."""

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.search.cli.conftest import STUDIES, freerun, process_of, start_freerun

POLL_SECONDS = 0.2


@pytest.mark.usefixtures("postgres")
def test_two_workers_share_a_study_on_postgres(empty_postgres_url: str, tmp_path: Path) -> None:
    environment = {"FREERUN_STORAGE": empty_postgres_url}
    made = freerun(
        tmp_path, "run", STUDIES / "smoke.toml", "--workers", 0, "--trials", 9, **environment
    )
    assert made.code == 0, made.err
    workers = [start_freerun(tmp_path, "work", "smoke", **environment) for _ in range(2)]
    assert [worker.wait().code for worker in workers] == [0, 0]
    status = freerun(tmp_path, "status", "smoke", "--json", **environment).json
    trials = status["trials"]
    assert trials["complete"] + trials["pruned"] == 9
    assert trials["running"] == trials["waiting"] == 0
    export = freerun(tmp_path, "export", "smoke", "-o", "won", "--json", **environment)
    assert export.code == 0, export.err


def _running(database: Path) -> int:
    """How many trials are running, seen from outside."""
    if not database.exists():
        return 0
    uri = f"file:{database}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
        try:
            query = "SELECT count(*) FROM trials WHERE state = 'RUNNING'"
            return int(connection.execute(query).fetchone()[0])
        except sqlite3.OperationalError:  # the tables are not there yet
            return 0


def _signalled(folder: Path, study: str, number: signal.Signals) -> int:
    """Send a signal to a run once a trial is running; return its exit code."""
    running = process_of(folder, "run", study)
    try:
        while not _running(folder / "freerun.db"):
            assert running.poll() is None
            time.sleep(POLL_SECONDS)
        running.send_signal(number)
        running.communicate(timeout=60)
    finally:
        running.kill()
    return running.returncode


def test_a_run_that_is_killed_or_stopped_resumes(tmp_path: Path) -> None:
    text = (STUDIES / "smoke.toml").read_text()
    slow = text.replace("training_steps = 12", "training_steps = 3000")
    slow = slow.replace('cell = ["rnn", "gru", "lstm", "lru"]', 'cell = "gru"')
    (tmp_path / "slow.toml").write_text(slow.replace('"smoke"', '"slow"'))

    assert _signalled(tmp_path, "slow.toml", signal.SIGKILL) == -signal.SIGKILL
    # The workers of a killed run see that it is gone, and give back what they held.
    while _running(tmp_path / "freerun.db"):
        freerun(tmp_path, "status", "slow")
    killed = freerun(tmp_path, "status", "slow", "--json").json["trials"]
    assert killed["waiting"] > 0

    assert _signalled(tmp_path, "slow", signal.SIGINT) == 130
    # Those of a run that was stopped have ended before it.
    stopped = freerun(tmp_path, "status", "slow", "--json").json["trials"]
    assert stopped["running"] == 0
    assert stopped["waiting"] > 0

    total = sum(stopped.values())
    more = freerun(tmp_path, "run", "slow", "--trials", total, "--minutes", "0.05", "--json")
    assert more.code == 0, more.err
    status = freerun(tmp_path, "status", "slow", "--json").json
    assert sum(status["trials"].values()) == total
