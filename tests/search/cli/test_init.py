"""From a table to a study file and a forecast, as a newcomer gives the commands."""

import json
import math
import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from PIL import Image

from search.cli.starting import TableRun
from search.cli.table_options import as_options, table_keys
from search.errors import UsageError
from search.starter.starting import start
from search.starter.study_text import study_text
from search.study.study_file import read_study_file
from tests.search.cli.conftest import STUDIES, freerun, refused

PERIOD, ROWS, HORIZON = 8, 72, 4


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in which the table sold.csv was run, with the smallest budget."""
    with TemporaryDirectory() as made:
        path = Path(made)
        write_table(path)
        budget = ("--trials", 2, "--workers", 1, "--minutes", 30)
        ended = freerun(path, "run", "sold.csv", "--horizon", HORIZON, *budget, "--json")
        assert ended.code == 0, ended.err
        assert "sold.csv: 72 rows" in ended.err
        assert "period    8 steps" in ended.err
        (path / "ended.json").write_text(ended.out)
        yield path


def write_table(folder: Path, rows: int = ROWS) -> Path:
    lines = [f"{row},{10 + math.sin(row * math.tau / PERIOD):.3f}" for row in range(rows)]
    (folder / "sold.csv").write_text("row,sold\n" + "\n".join(lines) + "\n")
    return folder / "sold.csv"


def test_a_table_ends_in_a_forecast_and_its_picture(folder: Path) -> None:
    found = json.loads((folder / "ended.json").read_text())
    assert found["study"] == "sold"
    assert found["warnings"] == []
    lines = (folder / found["forecast"]).read_text().splitlines()
    assert lines[0] == "row,sold,sold_low_80,sold_high_80"
    assert [line.split(",")[0] for line in lines[1:]] == ["72", "73", "74", "75"]
    for name in ("picture", "series_picture"):
        with Image.open(folder / found[name]) as picture:
            assert picture.width == 900
    definition, _ = read_study_file(folder / found["study_file"])
    assert definition.task.horizon_steps == HORIZON
    assert (folder / found["export"] / "manifest.json").exists()


def test_a_gap_in_which_free_runs_start_stops_nothing(tmp_path: Path) -> None:
    """Validation and intervals start runs within it, from which the first values are missing."""
    days = [date(2024, 1, 1) + timedelta(day) for day in range(ROWS) if not 55 <= day < 60]
    lines = [f"{day},{10 + math.sin(day.toordinal() * math.tau / PERIOD):.3f}" for day in days]
    (tmp_path / "gap.csv").write_text("day,sold\n" + "\n".join(lines) + "\n")
    budget = ("--trials", 2, "--workers", 1, "--minutes", 30)
    ended = freerun(tmp_path, "run", "gap.csv", "--horizon", HORIZON, *budget, "--json")
    assert ended.code == 0, ended.err
    assert "5 of 72 values are filled in" in ended.err
    assert ended.json["intervals"]["80"]["validation"] > 0
    assert (tmp_path / "results/gap/forecast.csv").exists()


def test_the_same_command_goes_on_and_another_horizon_is_another_study(folder: Path) -> None:
    again = freerun(folder, "run", "sold.csv", "--horizon", HORIZON, "--trials", 2, "--workers", 1)
    assert again.code == 0, again.err
    assert "forecast: results/sold/forecast.csv" in again.out
    refused(folder, ["run", "sold.csv", "--horizon", 3], "says something else", "--fork NEW_NAME")
    other = freerun(folder, "run", "sold.csv", "--horizon", 3, "--fork", "three", "--workers", 0)
    assert other.code == 0, other.err
    assert read_study_file(folder / "results/three/three.toml").definition.name == "three"


def test_a_study_file_in_which_other_periods_were_found_goes_on(tmp_path: Path) -> None:
    """As one of an earlier version, of which nothing but the period is found differently."""
    table, results = write_table(tmp_path), tmp_path / "results"
    results.mkdir()
    for found in ([5.0], [8.0, 24.0], []):
        begun = start(table, results, name="sold", horizon_steps=HORIZON, found_before=found)
        (results / "sold.toml").write_text(study_text(begun, "sold.toml"))
        run = TableRun.of(table, results, None, HORIZON, [], {})
        assert list(run.start.periods) == found
    with pytest.raises(UsageError, match="says something else"):
        TableRun.of(table, results, None, HORIZON - 1, [], {})
    with pytest.raises(UsageError, match="says something else"):
        TableRun.of(table, results, None, HORIZON, [], {"period": 8})


@pytest.mark.parametrize("content", [b"[series\n", b"series = 3\n", b"\xff", None])
def test_what_is_no_study_file_stays(tmp_path: Path, content: bytes | None) -> None:
    """None: a pipe, which nobody writes to."""
    table, results = write_table(tmp_path), tmp_path / "results"
    results.mkdir()
    if content is None:
        os.mkfifo(results / "sold.toml")
    else:
        (results / "sold.toml").write_bytes(content)
    with pytest.raises(UsageError, match="says something else"):
        TableRun.of(table, results, None, HORIZON, [], {})


def test_a_forecast_over_data_is_refused(folder: Path) -> None:
    export = "results/sold/export"
    command = ["forecast", export, "--series", "sold.csv", "--horizon", 3, "-o"]
    before = (folder / "sold.csv").read_bytes()
    refused(folder, [*command, "sold.csv", "--force"], "must be another file than sold.csv")
    (folder / "truth.csv").write_text("row,sold\n72,1\n")
    refused(folder, [*command, "truth.csv"], "truth.csv is already there", "--force")
    refused(folder, [*command, "freerun.db", "--force"], "must be new or a forecast")
    refused(folder, [*command, f"{export}/forecast.csv"], "must be outside of", export)
    assert freerun(folder, *command, "truth.csv", "--force").code == 0
    assert (folder / "sold.csv").read_bytes() == before
    retrain = ["retrain", export, "--series", "sold.csv", "-o"]
    refused(folder, [*retrain, export], "must be another file than", export)


def test_a_report_over_data_is_refused(folder: Path) -> None:
    refused(folder, ["report", "sold", "-o", "sold.csv"], "sold.csv must be new or a report")
    refused(folder, ["report", "sold", "-o", "freerun.db"], "freerun.db must be new or a report")
    (folder / "mine").mkdir()
    (folder / "mine" / "report.html").write_text("<p>mine</p>")
    refused(folder, ["run", "sold", "-o", "mine"], "report.html must be new or a report")
    refused(folder, ["run", "sold", "-o", "sold.csv"], "must be a folder, but sold.csv is a file")
    (folder / "other" / "export").mkdir(parents=True)
    (folder / "other" / "export" / "mine.txt").write_text("mine")
    refused(folder, ["run", "sold", "-o", "other"], "holds other files, such as mine.txt")


def test_init_writes_a_study_file_that_is_valid(tmp_path: Path) -> None:
    write_table(tmp_path)
    made = freerun(tmp_path, "init", "sold.csv")
    assert made.code == 0, made.err
    assert "next: freerun run sold.toml" in made.out
    checked = freerun(tmp_path, "check", "sold.toml", "--picture", "sold.png", "--json")
    assert checked.code == 0, checked.err
    spans = checked.json["spans"]
    assert spans["unused"] is None
    assert spans["training"]["rows"][0] == 1
    assert spans["test"] == {"rows": [65, 72], "times": ["64", "71"]}
    assert spans["test_training"]["rows"] == [1, 64]
    with Image.open(tmp_path / "sold.png") as picture:
        assert picture.format == "PNG"
    refused(tmp_path, ["init", "sold.csv"], "sold.toml is already there", "--force")
    assert freerun(tmp_path, "init", "sold.csv", "--force", "--horizon", 5).code == 0
    assert read_study_file(tmp_path / "sold.toml").definition.task.horizon_steps == 5
    refused(tmp_path, ["init", "sold.csv", "-o", "sold.csv", "--force"], "another file than")
    wrong = ["init", "sold.csv", "-o", "new.csv"]
    refused(tmp_path, wrong, "a study file, which ends in .toml, but got new.csv", "-o new.toml")
    refused(tmp_path, ["init", "sold.csv", "--horizon", 60], "shorter horizon")
    command = ["check", "sold.toml", "--picture"]
    refused(tmp_path, [*command, "sold.csv"], "--picture must end in .png")
    (tmp_path / "mine.png").write_bytes(b"\x89PNG mine")
    refused(tmp_path, [*command, "mine.png"], "a picture that freerun made")


def test_rows_that_no_span_has_are_told(tmp_path: Path) -> None:
    write_table(tmp_path)
    (tmp_path / "part.toml").write_text(
        'name = "part"\n[series]\nsource = "table"\npath = "sold.csv"\ntime = "row"\n'
        'columns = ["sold"]\n[task]\ntrain_steps = 40\nhorizon_steps = 5\n'
    )
    said = freerun(tmp_path, "check", "part.toml")
    assert said.code == 0, said.err
    assert "unused      rows 1 to 22 (0 to 21), which the study leaves out" in said.out
    assert "training    rows 23 to 62 (22 to 61)" in said.out
    assert "trained on rows 23 to 67" in said.out


def test_a_table_in_place_of_a_study_file(tmp_path: Path) -> None:
    write_table(tmp_path)
    for command in ("check", "limit"):
        refused(tmp_path, [command, "sold.csv"], "freerun init sold.csv", "--horizon N")
    smoke = STUDIES / "smoke.toml"
    refused(tmp_path, ["run", smoke, "--horizon", 4], "--horizon and --column must go with a table")
    refused(tmp_path, ["check", smoke, "--picture", "a.png"], "--picture must go with a table")
    refused(tmp_path, ["run", "missing.csv"], "missing.csv must be a table, but does not exist")
    refused(tmp_path, ["run", "sold.csv", "--column", "gone"], "'gone' is no column")
    foreign = tmp_path / "results" / "sold"
    foreign.mkdir(parents=True)
    (foreign / "forecast.csv").write_text("row,sold\n1,2\n")
    refused(tmp_path, ["run", "sold.csv", "--horizon", 4], "forecast.csv must be new or a forecast")


SALES = [
    # What is wrong with the file; its lines; the option that the message names, and what it says.
    (
        "gaps",
        ["row,sold", *(f"{row},{row % 5 + 1}" for row in range(80) if row not in (8, 9))],
        ["--missing", "seasonal", "--period", "5"],
        {"missing": "seasonal", "period": (5.0,)},
    ),
    (
        "days",
        ["when,sold", *(f"{day:02}/02/2024,{day % 5 + 1}" for day in range(1, 13))],
        ["--time-format", "%d/%m/%Y"],
        {"time_format": "%d/%m/%Y", "time": "when"},
    ),
    (
        "twice",
        ["day,sold", *(f"2024-01-{day:02},{day % 5 + 1}" for day in (*range(1, 31), 30))],
        ["--duplicates", "mean"],
        {"duplicates": "mean", "time": "day"},
    ),
    (
        "signs",
        ["row;sold", *(f"{row};{row % 5 + 1},{100 + row}" for row in range(80))],
        ["--decimal", ","],
        {"decimal": ","},
    ),
    (
        "hashes",
        ["row#sold", *(f"{row}#{row % 5 + 1}" for row in range(80))],
        ["--separator", "#"],
        {"separator": "#", "time": "row"},
    ),
    (
        "shops",
        ["shop,row,sold", *(f"{s},{row},{row % 5 + s}" for s in (1, 2) for row in range(80))],
        ["--id", "shop", "--time", "row"],
        {"id": "shop", "time": "row"},
    ),
    (
        "uneven",
        ["row,sold", *(f"{row**2},{row % 5 + 1}" for row in range(80))],
        ["--no-time", "--column", "sold"],
        {"time": None},
    ),
]


@pytest.mark.parametrize(("name", "lines", "options", "keys"), SALES, ids=[s[0] for s in SALES])
def test_what_helps_a_table_is_an_option(
    tmp_path: Path, name: str, lines: list[str], options: list[str], keys: dict[str, object]
) -> None:
    (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    made = freerun(tmp_path, "init", f"{name}.csv", *options)
    assert made.code == 0, made.err
    series = read_study_file(tmp_path / f"{name}.toml").definition.series
    assert {key: getattr(series, key) for key in keys} == keys


def test_what_a_study_file_would_say_of_columns_beside_is_said_of_options() -> None:
    for message, words in (
        (
            "calendar = true must have a column that varies; leave calendar out, or name its "
            "columns",
            "--calendar must have a column that varies; leave --calendar out",
        ),
        (
            "calendar must be made of dates; leave calendar out, or write how they are written in "
            '[series], for example time_format = "seconds"',
            "--calendar must be made of dates; leave --calendar out, or write how they are "
            "written, for example --time-format seconds",
        ),
        (
            'missing = "seasonal" must know the season; write the period in [series], or take '
            'missing = "interpolate"; the rows look like period = 7',
            "--missing seasonal must know the season; name it with --period, or take --missing "
            "interpolate; the rows look like --period 7",
        ),
        (
            'write decimal = "," in [series] where it stands before decimals',
            "give --decimal , where it stands before decimals",
        ),
    ):
        assert as_options(message) == words
    keys = table_keys(time=None, no_time=False, period=[168.0, 24.0, 24.0])
    assert keys == {"period": [24, 168]}


def test_messages_name_no_option_that_the_command_lacks(tmp_path: Path) -> None:
    rows = [f"{row},{row % 5 + row / 50},{int(row % 3 == 0)}" for row in range(80)]
    (tmp_path / "load.csv").write_text("t,load,open\n" + "\n".join(rows) + "\n")
    known = ["--column", "load", "--known", "open", "--horizon", 8]
    # Without any later row no horizon works; what does is named.
    message = refused(tmp_path, ["run", "load.csv", *known], "'open' is known up to '79' only").err
    assert "shorter --horizon" not in message
    assert "freerun forecast results/load/export --series load.csv --future LATER.csv" in message
    (tmp_path / "few.csv").write_text("t,load,open\n" + "\n".join([*rows, "80,,1"]) + "\n")
    message = refused(tmp_path, ["run", "few.csv", *known], "'open' is known in advance").err
    assert "--future" not in message
    assert "or take a shorter --horizon" in message
    rows = [f"{row},{row % 5 + row / 50},{int(row > 70)}" for row in range(80)]
    (tmp_path / "load.csv").write_text("t,load,open\n" + "\n".join(rows) + "\n")
    for command in ("init", "run"):
        message = refused(tmp_path, [command, "load.csv", *known], "vary in the training").err
        assert "train_steps" not in message
        assert "leave it out of --known, or take a shorter --horizon" in message
    both = ["init", "load.csv", "--column", "load", "--known", "load"]
    refused(tmp_path, both, "'load' is known in advance, too; name it once")
    refused(tmp_path, ["run", "load.csv", "--fork", "two words"], "name must be a file name")


def test_a_horizon_that_nobody_named_goes_as_far_as_known_columns(tmp_path: Path) -> None:
    rows = [f"{row},{row % 12 + row / 50},{row % 5}" for row in range(144)]
    later = [f"{row},,{row % 5}" for row in range(144, 153)]
    (tmp_path / "load.csv").write_text("\n".join(["t,load,open", *rows, *later]) + "\n")
    told = freerun(tmp_path, "init", "load.csv", "--known", "open")
    assert "horizon   9 steps, as far as the known columns go (two periods would be 24)" in told.out
    run = ["run", "load.csv", "--known", "open", "--workers", 0]
    assert freerun(tmp_path, *run).code == 0
    # Where they go further, or are in no file yet, it follows the period.
    (tmp_path / "load.csv").write_text("\n".join(["t,load,open", *rows]) + "\n")
    told = freerun(tmp_path, "init", "load.csv", "--known", "open", "--force")
    assert "horizon   24 steps, two periods;" in told.out


def test_a_period_that_is_too_long_is_told(tmp_path: Path) -> None:
    rows = [f"{row},{row % 12 + row / 50}" for row in range(144)]
    (tmp_path / "load.csv").write_text("\n".join(["t,load", *rows]) + "\n")
    init = ["init", "load.csv", "--force", "--period"]
    refused(tmp_path, [*init, 144], "period must be shorter than the table, which has 144 rows")
    told = freerun(tmp_path, *init, 60).out
    assert "period    60 steps" in told
    assert "the period of 60 steps is seen 1.4 times by the first training" in told
    assert "note" not in freerun(tmp_path, *init, 12).out


def test_the_minutes_of_a_search_are_not_rounded_off(tmp_path: Path) -> None:
    rows = [f"{row},{row % 12 + row / 50}" for row in range(144)]
    (tmp_path / "load.csv").write_text("\n".join(["t,load", *rows]) + "\n")
    assert freerun(tmp_path, "init", "load.csv").code == 0
    study = tmp_path / "load.toml"
    text = study.read_text().replace("trials = 2000", "trials = 1000000")
    for minutes, said in (("2.5", "2.5 minutes"), ("1.02", "1 minute"), ("9.97", "10 minutes")):
        study.write_text(text.replace("minutes = 2.5", f"minutes = {minutes}"))
        told = freerun(tmp_path, "check", "load.toml")
        assert f"the search takes about {said} with" in told.out, told.out


def test_the_head_of_a_study_file_names_it(tmp_path: Path) -> None:
    rows = [f"{row},{row % 12 + row / 50}" for row in range(144)]
    (tmp_path / "load.csv").write_text("\n".join(["t,load", *rows]) + "\n")
    run = ["run", "load.csv", "--minutes", 0.5, "--workers", 0]
    assert freerun(tmp_path, *run).code == 0
    study_file = tmp_path / "results" / "load" / "load.toml"
    command = next(
        line for line in study_file.read_text().splitlines() if line.startswith("#   freerun run")
    )
    again = freerun(tmp_path, *command.removeprefix("#   freerun ").split()[:2], "--workers", 0)
    assert again.code == 0
    # Comments may change; what is run may not.
    text = study_file.read_text()
    study_file.write_text(text.replace("# Made by", "# Looked at, and made by"))
    assert freerun(tmp_path, *run).code == 0
    study_file.write_text(text.replace("seed = 0", "seed = 1"))
    refused(tmp_path, run, "says something else than is made of load.csv now")


def test_messages_name_the_option(tmp_path: Path) -> None:
    days = [f"{day:02}/02/2024,{day % 5 + 1}" for day in range(1, 13)]
    (tmp_path / "days.csv").write_text("date,sold\n" + "\n".join(days) + "\n")
    for command in (["init", "days.csv"], ["run", "days.csv", "--horizon", 2]):
        words = "--time-format %d/%m/%Y (2024-02-01) or --time-format %m/%d/%Y (2024-01-02)"
        refused(tmp_path, command, words)
    wrong = ["init", "days.csv", "--time-format"]
    refused(tmp_path, [*wrong, "day"], "--time-format must be a pattern")
    refused(tmp_path, [*wrong, "%d.%m.%Y"], "line 2", "is not written as %d.%m.%Y")
    refused(tmp_path, [*wrong, "%d/%m/%Y", "--no-time"], "--no-time must not go with --time-format")
    run = ["run", "days.csv", "--horizon", 2, "--time-format", "%d/%m/%Y", "--workers", 0]
    made = freerun(tmp_path, *run)
    assert made.code == 0, made.err
    smoke = STUDIES / "smoke.toml"
    refused(tmp_path, ["run", smoke, "--decimal", ","], "--column and --decimal must go with a tab")
