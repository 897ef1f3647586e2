"""A study of a table, as a user does it: run, retrain, forecast; and exports that are refused."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from search.analysis.wording import mase_rule
from tests.search.cli.conftest import freerun, refused, table_study_file

Study = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def table_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A folder in which a tiny study of a table was run, and what `run --json` printed."""
    folder = tmp_path_factory.mktemp("table")
    ended = freerun(folder, "run", table_study_file(folder), "--json")
    assert ended.code == 0, ended.err
    return folder, ended.json


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


def test_errors_are_told_in_the_units_of_the_series(table_study: Study) -> None:
    folder, found = table_study
    told = [found["final"]["errors"], found["test"]["errors"]]
    told += [own["errors"][purpose] for own in found["baselines"].values() for purpose in ("test",)]
    for errors in told:
        assert 0 < errors["mae"] <= errors["rmse"] < 1e3
        assert errors["mase"] > 0
    winner = freerun(folder, "status", found["study"], "--json").json["winner"]
    assert winner["errors"] == found["test"]["errors"]
    shown = freerun(folder, "status", found["study"]).out
    assert f"MAE {winner['errors']['mae']:.4g}, RMSE" in shown
    manifest = json.loads((folder / found["export"] / "manifest.json").read_text())
    assert manifest["test"]["errors"] == winner["errors"]
    rule = mase_rule(found["mase_season_steps"])
    readme = (folder / found["export"] / "README.md").read_text()
    assert rule in " ".join(readme.split())
    report = (folder / found["report"]).read_text()
    assert ">MASE</th>" in report
    assert rule in report
    assert rule in freerun(folder, "run", found["study"]).out


def test_mase_is_said_to_be_relative_to_the_season() -> None:
    assert mase_rule(12).endswith("repeat the value of 12 steps before")
    assert mase_rule(1).endswith("repeat the value before, since no season is known")


def test_values_in_other_units_are_told(table_study: Study, tmp_path: Path) -> None:
    folder, found = table_study
    lines = (folder / "spots.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines[1:]]
    foreign = [lines[0], *(f"{year},{1000 * float(value)}" for year, value in cells)]
    (tmp_path / "foreign.csv").write_text("\n".join(foreign) + "\n")
    where = ("--series", "foreign.csv", "--horizon", 3, "-o", "f.csv")
    said = freerun(tmp_path, "forecast", folder / found["export"], *where)
    assert said.code == 2
    assert not (tmp_path / "f.csv").exists()
    assert "standard deviations away" in said.err
    assert "check the units" in said.err


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


def test_exports_and_options_that_are_refused(table_study: Study, tmp_path: Path) -> None:
    folder, found = table_study
    series = folder / "spots.csv"
    good = folder / found["export"]
    refused(tmp_path, ["retrain", "missing", "-o", "out"], "missing")

    damaged = tmp_path / "damaged"
    shutil.copytree(good, damaged)
    weights = damaged / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    refused(tmp_path, ["retrain", "damaged", "-o", "out"], "weights.safetensors")

    newer = tmp_path / "newer"
    shutil.copytree(good, newer)
    manifest = json.loads((newer / "manifest.json").read_text())
    (version,) = (key for key in manifest if "format" in key)
    (newer / "manifest.json").write_text(json.dumps({**manifest, version: 999}))
    refused(tmp_path, ["retrain", "newer", "-o", "out"], "999")

    forecast = ["forecast", good, "--series", series, "-o", "f.csv", "--horizon"]
    refused(tmp_path, [*forecast, 0], "0")
    refused(tmp_path, [*forecast, -4], "-4")
    refused(tmp_path, [*forecast, 5, "--device", "cpu"], "--device must go with --update")
    lines = series.read_text().splitlines()
    (tmp_path / "gap.csv").write_text("\n".join([*lines[:50], *lines[51:]]) + "\n")
    gap = ["forecast", good, "--series", "gap.csv", "-o", "f.csv", "--horizon", 5]
    refused(tmp_path, gap, "1 of 120 rows is missing", "an export has the [series] of its study")
    retrain = ["retrain", good, "--series", series, "-o", "out", "--hold-out"]
    refused(tmp_path, [*retrain, -1], "--hold-out", "-1")
    refused(tmp_path, [*retrain, 119], "119")


def test_what_was_found_in_a_table_is_told(tmp_path: Path) -> None:
    study = table_study_file(tmp_path)
    table = tmp_path / "spots.csv"
    table.write_text(table.read_text().replace(",", ";").replace(".", ","))
    told = freerun(tmp_path, "check", study, "--json").json["notices"]
    assert told == ["cells are separated by semicolons", "numbers have a decimal comma"]
    shown = freerun(tmp_path, "check", study).out
    assert "year 1700 to 1819, a step of 1\n" in shown
    assert "numbers have a decimal comma\n" in shown


def test_a_forecast_has_intervals_a_picture_and_an_update(
    table_study: Study, tmp_path: Path
) -> None:
    folder, found = table_study
    export, before = folder / found["export"], (folder / found["export"] / "manifest.json")
    manifest = before.read_bytes()
    made = freerun(
        tmp_path,
        *("forecast", export, "--series", folder / "spots.csv", "--horizon", 5, "-o", "f.csv"),
        *("--levels", 50, 80, "--picture", "f.png", "--update", "--device", "cpu"),
    )
    assert made.code == 0, made.err
    with (tmp_path / "f.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        ends = [row[f"spots{end}"] for end in ("_low_80", "_low_50", "", "_high_50", "_high_80")]
        assert sorted(map(float, ends)) == list(map(float, ends))
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert "updated on 120 rows: " in made.out
    measured = next(own for own in json.loads(manifest)["intervals"] if own["level"] == 80.0)
    assert f"80 % held {measured['validation']:.0f} % in validation" in made.out
    assert before.read_bytes() == manifest
    assert found["intervals"]["80"]["validation"] == measured["validation"]


def test_levels_are_percent_and_a_far_forecast_is_doubted(
    table_study: Study, tmp_path: Path
) -> None:
    folder, found = table_study
    series = ("--series", folder / "spots.csv")
    command = ["forecast", folder / found["export"], *series, "--horizon", 40, "-o", "f.csv"]
    refused(tmp_path, [*command, "--levels", "0.8"], "percent, such as 80, but got 0.8", "write 80")
    refused(tmp_path, [*command, "--levels", "80;95"], "blanks or commas between them", "'80;95'")
    made = freerun(tmp_path, *command, "--levels", "50,80", "--json")
    assert made.code == 0, made.err
    assert list(made.json["levels"]) == ["50", "80"]
    assert made.json["measured_steps"] == 10
    assert any("goes 40 steps ahead" in warning for warning in made.json["warnings"])
    again = freerun(tmp_path, *command, "--levels", 80, "--force")
    assert again.out.count(", over the first 10 steps") == 1
    assert "freerun: warning: the forecast goes 40 steps ahead" in again.err


def test_an_export_of_an_earlier_version_gives_no_intervals(
    table_study: Study, tmp_path: Path
) -> None:
    from dataclasses import replace

    from search.export import read_export, write_export

    folder, found = table_study
    write_export(replace(read_export(folder / found["export"]), intervals=None), tmp_path / "old")
    given = ("forecast", "old", "--series", folder / "spots.csv", "--horizon", 5, "-o", "f.csv")
    assert freerun(tmp_path, *given).code == 0
    old = "an earlier version of freerun wrote it", "`freerun export`", "`freerun retrain"
    given = ("forecast", "old", *given[2:-1], "again.csv")
    refused(tmp_path, [*given, "--levels", 80], *old)
    refused(
        tmp_path, [*given, "--levels", 120], "from 1 to below 100 percent, such as 80, but got 120"
    )
    refused(tmp_path, [*given, "--picture", "f.gif"], "ends in .png or .html, but got f.gif")
    one_place = [*given[:-1], "f.png", "--picture"]
    refused(tmp_path, [*one_place, "./f.png"], "--output and --picture must name different files")
    (tmp_path / "mine.html").write_text("<html>mine")
    refused(tmp_path, [*given, "--picture", "mine.html"], "mine.html must be new or a page")
    refused(tmp_path, [*given[:-1], "f.xlsx"], "must be written as CSV", "f.xlsx")
    assert {path.name for path in tmp_path.iterdir()} == {"old", "f.csv", "mine.html"}
    refused(tmp_path, [*given, 7], "takes one export folder")
