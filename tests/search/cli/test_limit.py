"""`freerun limit`, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.baselines.baseline import baselines
from tests.search.cli.conftest import REPOSITORY, STUDIES, freerun

SINE = (STUDIES / "sine.toml").read_text()


def changed(folder: Path, old: str, new: str) -> Path:
    """A copy of studies/sine.toml with one change."""
    assert old in SINE
    path = folder / "changed.toml"
    path.write_text(SINE.replace(old, new))
    return path


def test_the_limits_of_the_sine(tmp_path: Path) -> None:
    ended = freerun(tmp_path, "limit", STUDIES / "sine.toml", "--json")
    assert ended.code == 0, ended.err
    found = ended.json
    assert [c["samples"] for c in found["contexts"]] == [4, 16, 64, 256, 600]
    limits = [c["nmse"] for c in found["contexts"]]
    assert limits == pytest.approx([0.486, 0.292, 0.0036, 0.00032, 0.00013], rel=0.05)
    assert all(0 < c["standard_error"] < 0.01 * c["nmse"] for c in found["contexts"])
    assert found["floor"] == limits[-1]
    assert found["reference"] == pytest.approx(0.004, abs=0.0005)
    assert (found["study"], found["against"], found["horizon_steps"]) == ("sine", "signal", 1000)
    assert found["baselines"] is None
    assert list(tmp_path.iterdir()) == []


def test_samples_of_the_users_choice_in_a_table_for_people(tmp_path: Path) -> None:
    ended = freerun(tmp_path, "limit", STUDIES / "sine.toml", "--samples", 9, "--samples", 2)
    assert ended.code == 0, ended.err
    rows = [line.split() for line in ended.out.splitlines()]
    assert [row[0] for row in rows if len(row) == 3 and row[0].isdigit()] == ["2", "9"]
    text = " ".join(ended.out.split())
    assert "floor 0.0001337" in text
    assert "mean over at least 100 draws, never with a median" in text


def test_a_fixed_phase_has_the_limit_zero_and_says_why(tmp_path: Path) -> None:
    path = changed(tmp_path, 'phase = "random"', "phase = 0.0")
    found = freerun(tmp_path, "limit", path, "--json").json
    assert {c["nmse"] for c in found["contexts"]} == {found["floor"]} == {0.0}
    assert "by heart" in found["reason"]
    assert "by heart" in " ".join(freerun(tmp_path, "limit", path).out.split())


def test_scores_against_observations_are_told_apart(tmp_path: Path) -> None:
    path = changed(tmp_path, 'score_against = "signal"', 'score_against = "observations"')
    found = freerun(tmp_path, "limit", path, "--json").json
    assert (found["against"], found["score_against"]) == ("signal", "observations")
    text = " ".join(freerun(tmp_path, "limit", path).out.split())
    assert "can't be compared with these figures" in text


def test_a_table_has_no_known_limit_but_baselines(tmp_path: Path) -> None:
    ended = freerun(tmp_path, "limit", STUDIES / "sunspots.toml", "--json")
    assert ended.code == 0, ended.err
    found = ended.json
    assert (found["contexts"], found["floor"], found["reference"]) == ([], None, None)
    assert list(found["baselines"]) == list(baselines())
    assert all(score > 0 for score in found["baselines"].values())
    assert found["against"] == "observations"
    shown = freerun(tmp_path, "limit", STUDIES / "sunspots.toml")
    assert shown.code == 0
    assert "nobody knows this one's" in " ".join(shown.out.split())
    assert f"persistence  {found['baselines']['persistence']:.4g}" in shown.out


def test_another_equation_has_no_limit_that_is_computed(tmp_path: Path) -> None:
    ended = freerun(tmp_path, "limit", STUDIES / "mackey_glass.toml", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["reason"] == (
        "No limit is known for mackey_glass: freerun computes that of a noisy sine."
    )
    assert ended.json["baselines"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([STUDIES / "sine.toml", "--samples", 0], ["--samples", "got 0", "600"]),
        ([STUDIES / "sine.toml", "--samples", 4, "--samples", 601], ["--samples", "got 601"]),
        ([STUDIES / "sunspots.toml", "--samples", 211], ["--samples", "210", "got 211"]),
        (["missing.toml"], ["missing.toml"]),
    ],
)
def test_wrong_input_is_one_message(
    tmp_path: Path, arguments: list[object], words: list[str]
) -> None:
    ended = freerun(tmp_path, "limit", *arguments, "--json")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("freerun: error:") == 1
    assert "Traceback" not in ended.err
    assert all(word in ended.err for word in words)


def test_a_sine_needs_no_torch() -> None:
    """It is the slowest import by far, and the limit should come in seconds."""
    code = (
        "import sys; from search.cli import app; "
        f"app(['limit', {str(STUDIES / 'sine.toml')!r}], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False)
    assert ended.returncode == 0
