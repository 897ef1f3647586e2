"""The main job, as a user does it: run, look, export, retrain, report, resume."""

import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.baselines.baseline import baselines
from tests.search.cli.conftest import STUDIES, Freerun, freerun, freerun_anew, process_of

Study = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A folder in which studies/smoke.toml was run, and what `run --json` printed; to be read."""
    folder = tmp_path_factory.mktemp("smoke")
    ended = freerun_anew(folder, "run", STUDIES / "smoke.toml", "--json")
    assert ended.code == 0, ended.err
    return folder, ended.json


@pytest.fixture
def smoke_copy(smoke: Study, tmp_path: Path) -> Path:
    """A copy of the folder of `smoke`, to be changed."""
    return shutil.copytree(smoke[0], tmp_path / "smoke")


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
    assert list(found["baselines"]) == list(baselines())
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
    (study,) = listed["studies"]
    assert (study["study"], study["state"], study["trials"]) == ("smoke", "done", found["trials"])
    assert study["winner"] == (found["test"] or found["final"])["score"]
    assert datetime.fromisoformat(study["last_active"]) <= datetime.now(UTC)
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


def test_a_status_is_shown_again_until_ctrl_c(smoke: Study) -> None:
    folder, _ = smoke
    watching = process_of(folder, "status", "smoke", "--watch", "--every", "0.1")
    assert watching.stdout is not None
    seen = 0
    for line in watching.stdout:
        seen += line.startswith("smoke in sqlite:///")
        if seen == 2:
            break
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=60)
    assert (watching.returncode, said) == (0, "")


def test_watching_prints_no_json(smoke: Study) -> None:
    folder, _ = smoke
    refused = freerun(folder, "status", "smoke", "--watch", "--json")
    assert refused.code == 2
    assert "--watch" in refused.err
