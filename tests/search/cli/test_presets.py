"""Presets on the command line: listed, checked, run to their quotas."""

from pathlib import Path

import pytest

from search.study.presets import BY_NAME
from tests.search.cli.conftest import freerun

STUDY = """
name = "presets"
[series]
source = "sine"
angular_frequency = 0.1
[task]
train_steps = 120
horizon_steps = 40
[presets]
lstm = 1
baseline = 2
[search]
workers = 1
replicas = 2
finalists = 1
final_replicas = 2
test_draws = 2
[space]
hidden_units = [4, 8]
training_steps = 8
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "presets.toml").write_text(STUDY)
    return tmp_path


def test_check_lists_all_presets(tmp_path: Path) -> None:
    listed = freerun(tmp_path, "check", "--presets", "--json")
    assert listed.code == 0, listed.err
    presets = listed.json["presets"]
    assert list(presets) == list(BY_NAME)
    assert presets["baseline"]["fixed"]["window_steps"] == 4
    assert presets["lstm"]["open"] == ["hidden_units", "learning_rate", "training_steps"]
    words = freerun(tmp_path, "check", "--presets").out
    assert all(name in words for name in BY_NAME)
    # Of the attempts, only the baseline is shown in full.
    assert words.count('cell="rnn"') == 1 + sum(
        not preset.is_attempt and preset.fixed.get("cell") == "rnn" for preset in BY_NAME.values()
    )


@pytest.mark.parametrize("arguments", [[], ["presets.toml", "--presets"]])
def test_check_wants_a_study_file_or_presets(folder: Path, arguments: list[str]) -> None:
    ended = freerun(folder, "check", *arguments)
    assert ended.code == 2
    assert "STUDY_FILE or --presets" in ended.err


def test_check_lists_the_presets_of_a_study(folder: Path) -> None:
    checked = freerun(folder, "check", "presets.toml", "--json")
    assert checked.code == 0, checked.err
    found = checked.json
    assert found["trials"] == 3
    assert {name: p["trials"] for name, p in found["presets"].items()} == {"baseline": 2, "lstm": 1}
    assert found["presets"]["lstm"]["fixed"]["cell"] == "lstm"
    assert found["space"].keys() == {"hidden_units", "learning_rate", "training_steps"}
    assert found["estimated_minutes"] >= 0
    words = freerun(folder, "check", "presets.toml").out
    assert "baseline                 2  " in words
    assert 'cell="lstm"' in words


def test_quotas_are_run_shown_raised_and_not_passed(folder: Path) -> None:
    ran = freerun(folder, "run", "presets.toml", "--json")
    assert ran.code == 0, ran.err
    assert sum(ran.json["trials"].values()) == 3
    status = freerun(folder, "status", "presets", "--json").json
    assert status["budget"]["quotas"] == {
        "baseline": {"trials": 2, "used": 2},
        "lstm": {"trials": 1, "used": 1},
    }
    assert "2 of 2 trials" in freerun(folder, "status", "presets").out

    refused = freerun(folder, "run", "presets", "--trials", 4)
    assert refused.code == 2
    assert "--trials must be at most 3, the sum of the quotas" in refused.err

    (folder / "presets.toml").write_text(STUDY.replace("lstm = 1", "lstm = 2"))
    raised = freerun(folder, "run", "presets.toml", "--json")
    assert raised.code == 0, raised.err
    assert sum(raised.json["trials"].values()) == 4

    (folder / "presets.toml").write_text(STUDY.replace("lstm = 1", "gru = 1"))
    changed = freerun(folder, "run", "presets.toml")
    assert changed.code == 2
    assert "presets.gru" in changed.err
    assert "presets.lstm" in changed.err
