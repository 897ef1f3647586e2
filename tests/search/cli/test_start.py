"""What a command imports before it knows that it will need it: torch alone takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from search.cli import app
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


# Imported by what trains, stores, reads tables or draws.
SLOW = ["torch", "optuna", "polars", "plotly", "matplotlib"]
HEAD = 'name = "x"\n[series]\nsource = "sine"\n[task]\ntrain_steps = 600\nhorizon_steps = 400\n'
# What is wrong in a section, from misspelt names to domains that do not fit together.
MISTAKES = {
    "unknown-parameter": "[space]\nhidden_unit = 8",
    "unknown-cell": '[space]\ncell = "gruu"',
    "unknown-forcing": '[space]\nforcing = ["spares"]',
    "out-of-bounds": "[space]\nlearning_rate = 1000",
    "empty-range": "[space]\nlearning_rate = { low = 1, high = 0.1 }",
    "in-vain": "[space]\nprofessor_weight = 0.5",
    "too-long": "[space]\nwarm_up_steps = 600",
    "too-long-for-a-closed-form": '[space]\ncell = "ar"\nar_order = 400',
    "too-many-monomials": '[space]\ncell = "nvar"\nnvar_delays = 40\ndegree = 3',
    "too-many-rungs": "[search]\nrungs = 10",
    "unknown-preset": "[presets]\nlsmt = 5",
    "closed-preset": "[presets]\nlstm = 5\n[space]\nlayers = 1",
    "unknown-section": '[serie]\nsource = "sine"',
}


def test_what_is_wrong_in_a_study_file_is_told_without_slow_imports(tmp_path: Path) -> None:
    for name, section in MISTAKES.items():
        (tmp_path / f"{name}.toml").write_text(HEAD + section + "\n")
    (tmp_path / "unknown-source.toml").write_text(HEAD.replace('"sine"', '"sin"'))
    commands = [["check", path.name] for path in tmp_path.iterdir()]
    assert imports(tmp_path, SLOW, *commands) == [(2, [])] * (len(MISTAKES) + 1)


def test_what_can_be_searched_is_listed_without_slow_imports(tmp_path: Path) -> None:
    looks = [["methods"], ["methods", "gru"], ["methods", "--json"], ["check", "--presets"]]
    assert imports(tmp_path, SLOW, *looks, ["methods", "gruu"]) == [(0, [])] * 4 + [(2, [])]


def test_what_a_user_got_wrong_is_told_without_slow_imports(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[search]\ntrails = 6\n")
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
    assert imports(tmp_path, SLOW, ["--help"], *wrong) == [(0, []), *([(2, [])] * len(wrong))]


def test_a_check_needs_no_torch_and_no_database(tmp_path: Path) -> None:
    files = ("sine", "report", "sunspots", "smoke-methods")
    checks = [["check", str(STUDIES / f"{name}.toml")] for name in files]
    slow = ["torch", "numba", "sqlalchemy", "alembic", "plotly", "matplotlib"]
    assert imports(tmp_path, slow, ["--help"], *checks) == [(0, [])] * (1 + len(files))


def test_a_forecast_needs_no_database(tmp_path: Path) -> None:
    table, export = STUDIES / "sunspots.csv", REPOSITORY / "tests/data/0.1.0/export-table"
    made = ["forecast", str(export), "--series", str(table), "--horizon", "4", "-o", "f.csv"]
    slow = ["sqlalchemy", "alembic", "plotly", "matplotlib", "polars"]
    assert imports(tmp_path, slow, made) == [(0, [])]


def test_looking_at_a_storage_needs_no_torch(tmp_path: Path) -> None:
    smoke = str(STUDIES / "smoke.toml")
    looks = [["run", smoke, "--workers", "0"], ["list"], ["status", "smoke"], ["status", "smok"]]
    assert imports(tmp_path, ["torch", "numba", "polars", "plotly"], *looks) == [
        (0, []),
        (0, []),
        (0, []),
        (2, []),
    ]


def test_a_worker_starts_without_what_draws_pictures() -> None:
    drawing = ["matplotlib", "plotly"]
    program = f"import sys, search.cli.working; print([n for n in {drawing} if n in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert ended.stdout.strip() == "[]"


def test_help_shows_every_command_with_an_example(tmp_path: Path) -> None:
    shown = freerun_anew(tmp_path, "--help")
    assert shown.code == 0
    assert shown.err == ""
    for command in ("run", "work", "status", "retrain", "forecast"):
        assert f"\n  {command} " in shown.out


def test_all_commands_but_the_dashboard_take_json_as_the_readme_says() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    options = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in group.commands.items()
    }
    assert [name for name, own in options.items() if "--json" not in own] == ["dashboard"]
    readme = (REPOSITORY / "README.md").read_text()
    assert "All commands but `dashboard` take `--json`." in readme
