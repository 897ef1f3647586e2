"""What a command imports before it knows that it will need it: torch alone takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

from tests.search.cli.conftest import REPOSITORY, STUDIES, freerun_anew

# Runs commands after each other, and prints what of some modules each had imported at its end.
PROGRAM = """
import json, sys
from search.cli import main

watched, commands = json.loads(sys.argv[1])
for command in commands:
    sys.argv = ["freerun", *command]
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    loaded = [name for name in watched if name in sys.modules]
    print(json.dumps([code, loaded]), file=sys.stderr)
"""


def imports(folder: Path, watched: list[str], *commands: list[str]) -> list[tuple[int, list[str]]]:
    """Each command's exit code, and which modules were loaded by it or by those before it."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([watched, commands])],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in ended.stderr.splitlines() if line.startswith("[")]
    assert len(lines) == len(commands), ended.stderr
    return [(code, loaded) for code, loaded in map(json.loads, lines)]


def test_what_a_user_got_wrong_is_told_without_slow_imports(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[search]\ntrails = 6\n")
    slow = ["torch", "optuna", "polars", "plotly", "matplotlib"]
    wrong: list[list[str]] = [
        ["fly"],
        ["run", "wrong.toml", "--fast"],
        ["run", "missing.toml"],
        ["check", "missing.toml"],
        ["check", "wrong.toml"],
        ["run", "wrong.toml"],
        ["run", str(STUDIES / "smoke.toml"), "--trials", "0"],
        ["run", str(STUDIES / "smoke.toml"), "--storage", "nonsense"],
        ["run", str(STUDIES / "smoke.toml"), "--storage", "sqlite:////no/such/folder/x.db"],
        ["list"],
        ["status", "smoke"],
    ]
    assert imports(tmp_path, slow, ["--help"], *wrong) == [(0, []), *([(2, [])] * len(wrong))]


def test_looking_at_a_storage_needs_no_torch(tmp_path: Path) -> None:
    smoke = str(STUDIES / "smoke.toml")
    looks = [["run", smoke, "--workers", "0"], ["list"], ["status", "smoke"], ["status", "smok"]]
    assert imports(tmp_path, ["torch"], *looks) == [(0, []), (0, []), (0, []), (2, [])]


def test_help_shows_every_command_with_an_example(tmp_path: Path) -> None:
    shown = freerun_anew(tmp_path, "--help")
    assert shown.code == 0
    assert shown.err == ""
    for command in ("run", "work", "status", "retrain", "forecast"):
        assert f"\n  {command} " in shown.out
