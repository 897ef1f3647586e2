"""The main job, as a user does it: run, look, export, retrain, forecast, resume."""

import csv
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.search.cli.conftest import (
    STUDIES,
    Freerun,
    freerun,
    freerun_anew,
    process_of,
    start_freerun,
)

Study = tuple[Path, dict[str, Any]]
POLL_SECONDS = 0.2


def test_run_prints_what_it_found(smoke: Study) -> None:
    folder, found = smoke
    assert found["study"] == "smoke"
    assert sum(found["trials"].values()) == 6
    assert found["trials"]["failed"] == 0
    assert found["best"]["score"] >= 0
    assert found["best"]["params"]["cell"] in ("rnn", "gru", "lstm", "lru")
    assert found["final"]["score"] >= 0
    assert found["test"]["draws"] == 3
    assert found["test"]["horizon_steps"] == 80
    assert set(found["baselines"]) == {"mean", "persistence", "ar"}
    assert found["seconds"] > 0
    assert (folder / found["report"]).stat().st_size > 10_000
    assert (folder / found["export"]).is_dir()


# torch reads the number of threads when it is loaded, so the second needs a new interpreter.
@pytest.mark.parametrize(("command", "threads"), [(freerun, "1"), (freerun_anew, "2")])
def test_retraining_gives_the_claimed_score_bit_for_bit(
    smoke: Study, tmp_path: Path, command: Freerun, threads: str
) -> None:
    folder, found = smoke
    again = command(
        tmp_path,
        *("retrain", folder / found["export"], "-o", "again", "--json"),
        OMP_NUM_THREADS=threads,
    )
    assert again.code == 0, again.err
    assert again.json["reproduced"] is True
    assert again.json["claimed"] == again.json["obtained"] == found["final"]["score"]


def test_a_trial_is_exported_by_its_number_and_reproduces(smoke: Study, tmp_path: Path) -> None:
    folder, found = smoke
    number = found["best"]["trial"]
    ended = freerun(folder, "export", "smoke", "--trial", number, "-o", tmp_path / "one", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["claimed"] == found["best"]["score"]
    again = freerun(tmp_path, "retrain", "one", "-o", "again", "--json")
    assert again.json["reproduced"] is True


def test_running_a_finished_study_again_adds_nothing(smoke: Study, smoke_copy: Path) -> None:
    _, found = smoke
    again = freerun(smoke_copy, "run", "smoke", "--json")
    assert again.code == 0, again.err
    assert again.json["trials"] == found["trials"]
    assert again.json["final"] == found["final"]
    assert again.json["test"] == found["test"]


def test_list_status_and_sweep(smoke: Study) -> None:
    folder, found = smoke
    listed = freerun(folder, "list", "--json").json
    assert [study["study"] for study in listed["studies"]] == ["smoke"]
    status = freerun(folder, "status", "smoke", "--json").json
    assert {k: status["trials"][k] for k in found["trials"]} == found["trials"]
    assert status["trials"]["running"] == 0
    assert status["budget"]["trials"] == 6
    assert status["best"]["trial"] == found["best"]["trial"]
    assert status["workers"] == []
    assert sum(status["verdicts"].values()) == 6
    assert freerun(folder, "sweep", "smoke", "--json").json["given_back"] == 0
    assert "trials" in freerun(folder, "status", "smoke").out
    assert "smoke" in freerun(folder, "list").out


def test_check_says_what_would_run(tmp_path: Path) -> None:
    checked = freerun(tmp_path, "check", STUDIES / "smoke.toml", "--json")
    assert checked.code == 0, checked.err
    assert checked.json["trials"] == 6
    assert checked.json["seconds_per_trial"] > 0
    assert list(tmp_path.iterdir()) == []


def test_report_of_a_stored_study(smoke: Study, tmp_path: Path) -> None:
    folder, _ = smoke
    ended = freerun(folder, "report", "smoke", "-o", tmp_path / "again.html", "--json")
    assert ended.code == 0, ended.err
    text = (tmp_path / "again.html").read_text()
    assert "smoke" in text
    assert "persistence" in text


def test_a_changed_file_is_refused_with_its_keys_and_forked(smoke_copy: Path) -> None:
    changed = smoke_copy / "changed.toml"
    text = (STUDIES / "smoke.toml").read_text()
    changed.write_text(text.replace("noise_std = 0.1", "noise_std = 0.3"))
    refused = freerun(smoke_copy, "run", changed, "--json")
    assert refused.code == 2
    assert "series.noise_std" in refused.err
    assert "--fork" in refused.err
    forked = freerun(smoke_copy, "run", changed, "--fork", "other", "--workers", "0", "--json")
    assert forked.code == 0, forked.err
    assert forked.json["study"] == "other"


def test_a_table_runs_retrains_and_forecasts(table_study: Study, tmp_path: Path) -> None:
    folder, found = table_study
    assert found["test"]["draws"] == 1
    export = folder / found["export"]
    assert freerun(tmp_path, "retrain", export, "-o", "again", "--json").json["reproduced"] is True
    made = freerun(
        tmp_path,
        *("forecast", export, "--series", folder / "spots.csv", "--horizon", 5, "-o", "f.csv"),
    )
    assert made.code == 0, made.err
    with (tmp_path / "f.csv").open() as lines:
        rows = list(csv.reader(lines))
    assert rows[0] == ["year", "spots"]
    assert [row[0] for row in rows[1:]] == ["1820", "1821", "1822", "1823", "1824"]
    assert all(abs(float(row[1])) < 1e3 for row in rows[1:])


def test_retraining_on_another_file(table_study: Study, tmp_path: Path) -> None:
    folder, found = table_study
    series = folder / "spots.csv"
    held = freerun(
        tmp_path,
        *("retrain", folder / found["export"], "--series", series, "--hold-out", 10),
        *("-o", "held", "--json"),
    )
    assert held.code == 0, held.err
    assert held.json["obtained"] >= 0
    everything = freerun(
        tmp_path, "retrain", folder / found["export"], "--series", series, "-o", "all", "--json"
    )
    assert everything.code == 0, everything.err
    assert everything.json["obtained"] is None
    made = freerun(
        tmp_path, "forecast", "all", "--series", series, "--horizon", 3, "-o", "f.csv", "--json"
    )
    assert made.code == 0, made.err


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
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        try:
            query = "SELECT count(*) FROM trials WHERE state = 'RUNNING'"
            return int(connection.execute(query).fetchone()[0])
        except sqlite3.OperationalError:  # the tables are not there yet
            return 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_a_run_that_is_killed_or_stopped_resumes(tmp_path: Path, number: signal.Signals) -> None:
    text = (STUDIES / "smoke.toml").read_text()
    slow = text.replace("training_steps = 12", "training_steps = 3000")
    slow = slow.replace('cell = ["rnn", "gru", "lstm", "lru"]', 'cell = "gru"')
    (tmp_path / "slow.toml").write_text(slow.replace('"smoke"', '"slow"'))
    running = process_of(tmp_path, "run", "slow.toml")
    database = tmp_path / "freerun.db"
    while not _running(database):
        assert running.poll() is None
        time.sleep(POLL_SECONDS)
    running.send_signal(number)
    running.communicate(timeout=60)
    assert running.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    # The workers of a killed run see that it is gone; those of a stopped one have ended.
    while _running(database):
        freerun(tmp_path, "status", "slow")
    status = freerun(tmp_path, "status", "slow", "--json").json
    assert status["trials"]["waiting"] > 0
    total = sum(status["trials"].values())
    more = freerun(tmp_path, "run", "slow", "--trials", total, "--minutes", "0.05", "--json")
    assert more.code == 0, more.err
    status = freerun(tmp_path, "status", "slow", "--json").json
    assert sum(status["trials"].values()) == total
