"""Wrong input of any kind: one clear message, exit code 2, nothing half-written."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.search.cli.conftest import STUDIES, freerun, refused, table_study_file

SMOKE = (STUDIES / "smoke.toml").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("trials = 6", "trails = 6"), ("trails", "trials")),
        (("trials = 6", 'trials = "6"'), ("trials",)),
        (("trials = 6", "trials = 0"), ("trials", "0")),
        (("seed = 0", "seed = "), ("not TOML",)),
        (("noise_std = 0.1", "noise_std = nan"), ("noise_std",)),
        (("noise_std = 0.1", "noise_std = inf"), ("noise_std",)),
        (("layers = [1, 2]", "layers = []"), ("layers",)),
        (("layers = [1, 2]", "learning_rate = {low = 0.1, high = 0.01}"), ("low", "high", "0.1")),
        (("layers = [1, 2]", 'cell = "gruu"'), ("cell",)),
        (('name = "smoke"', 'name = "../smoke"'), ("name", "../smoke")),
    ],
)
def test_study_files(tmp_path: Path, change: tuple[str, str], words: Sequence[str]) -> None:
    assert change[0] in SMOKE
    text = SMOKE.replace(*change)
    if change[1].startswith("cell"):
        text = text.replace('cell = ["rnn", "gru", "lstm", "lru"]\n', "")
    (tmp_path / "bad.toml").write_text(text)
    refused(tmp_path, ["run", "bad.toml"], "bad.toml", *words)


def test_a_missing_study_file(tmp_path: Path) -> None:
    refused(tmp_path, ["run", "missing.toml"], "missing.toml")
    refused(tmp_path, ["check", "missing.toml"], "missing.toml")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////no/such/folder/x.db",
        "nonsense",
        "mysql://u@h/d",
        "postgresql://u:pw@127.0.0.1:1/d",
    ],
)
def test_storage_urls(tmp_path: Path, url: str) -> None:
    ended = refused(tmp_path, ["run", STUDIES / "smoke.toml", "--storage", url])
    assert "pw" not in ended.err.replace("password", "")


def test_commands_on_a_storage_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path, ["status", "smoke"], "freerun.db")
    refused(tmp_path, ["list"], "freerun.db")


def test_a_file_that_is_mistyped(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("t,x\n1,2\n2,3\n")
    (tmp_path / "in").mkdir()
    like = "Did you mean 'shop.csv'?"
    refused(tmp_path / "in", ["run", "../shop.cvs"], "there is no file ../shop.cvs", like)
    refused(tmp_path, ["run", "shop.cvs"], "there is no file 'shop.cvs'", "no storage", like)
    refused(tmp_path, ["run", "shpo.csv"], "shpo.csv must be a table, but does not exist", like)
    both = ("there is no file 'nofile', and no stored study", "there is no storage at")
    refused(tmp_path, ["run", "nofile"], *both)
    made = freerun(tmp_path, "run", STUDIES / "smoke.toml", "--workers", 0, "--fork", "v1.2")
    assert made.code == 0, made.err
    refused(tmp_path, ["run", "shop.cvs"], "no study of that name in", like)
    assert freerun(tmp_path, "run", "v1.2", "--workers", 0).code == 0


def test_an_unknown_study_or_trial(tmp_path: Path) -> None:
    made = freerun(tmp_path, "run", STUDIES / "smoke.toml", "--workers", 0)
    assert made.code == 0, made.err
    refused(tmp_path, ["status", "smok"], "smok", "smoke")
    refused(tmp_path, ["run", "smok"], "smok", "smoke")
    refused(tmp_path, ["export", "smoke", "--trial", 99, "-o", "out"], "99")
    refused(tmp_path, ["report", "nothing", "-o", "out.html"], "nothing")


@pytest.mark.parametrize(
    "option",
    [
        ("--trials", "0"),
        ("--trials", "-3"),
        ("--minutes", "0"),
        ("--minutes", "nan"),
        ("--workers", "-1"),
        ("--device", "warp"),
        ("--fork", "../other"),
    ],
)
def test_values_of_options(tmp_path: Path, option: tuple[str, str]) -> None:
    refused(tmp_path, ["run", STUDIES / "smoke.toml", *option], option[1])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["fly"], "fly"),
        (["run"], "STUDY"),
        (["run", "x.toml", "--fast"], "--fast"),
        (["list", "more"], "more"),
        (["run", "x.toml", "--trials", "many"], "--trials must be a whole number, but got 'many'"),
        (["run", "x.toml", "--minutes", "2,5"], "--minutes must be a number, but got '2,5'"),
        (["init", "x.csv", "--horizon", "2.5"], "--horizon must be a whole number, but got '2.5'"),
    ],
)
def test_what_is_no_command_option_or_number(
    tmp_path: Path, arguments: list[str], word: str
) -> None:
    ended = refused(tmp_path, arguments, word)
    assert "--help`." in ended.err


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (["1,0.5", "2,x", "3,0.1"], "x"),
        (["1,0.5", "2,nan", "3,0.1"], "nan"),
        (["1,0.5", "2,0.7", "4,0.1"], "4"),
        (["1,0.5", "2,0.7", "2,0.1"], "2"),
        (["1,0.5", "2,0.5", "3,0.5"], "spots"),
        (["1,0.5", "2,0.7", "3,0.1"], "70"),
    ],
    ids=["text", "NaN", "gap", "duplicate time", "constant", "too short"],
)
def test_tables(tmp_path: Path, rows: list[str], word: str) -> None:
    path = table_study_file(tmp_path)
    (tmp_path / "spots.csv").write_text("year,spots\n" + "\n".join(rows) + "\n")
    refused(tmp_path, ["run", path], word)
