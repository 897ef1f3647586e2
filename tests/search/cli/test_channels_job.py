"""Studies of several columns and of long tables, as a user runs them."""

import csv
import random
from pathlib import Path
from typing import Any

import pytest

from tests.search.cli.conftest import STUDIES, freerun, refused

Study = tuple[Path, dict[str, Any]]
NAMES = ("a", "b", "c")
DAYS = 120


def value(day: int, name: str) -> float:
    place = NAMES.index(name)
    return 10.0**place * ((day * 37 + 3 * place) % 11 + 0.5 * (day % 7))


def write_wide(folder: Path, days: int = DAYS) -> Path:
    lines = [",".join(["day", *NAMES])]
    lines += [",".join([str(day), *(str(value(day, n)) for n in NAMES)]) for day in range(days)]
    path = folder / "wide.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_long(folder: Path, names: tuple[str, ...] = NAMES, file: str = "long.csv") -> Path:
    lines = [f"{name},{day},{value(day, name[0])}" for day in range(DAYS) for name in names]
    random.Random(0).shuffle(lines)
    path = folder / file
    path.write_text("\n".join(["store,day,sales", *lines]) + "\n")
    return path


def study_file(folder: Path, name: str, series: str) -> Path:
    head, rest = (STUDIES / "smoke.toml").read_text().split("[series]")
    path = folder / f"{name}.toml"
    for old, new in (
        ("trials = 6", "trials = 2"),
        ("finalists = 2", "finalists = 1"),
        ("rungs = 2", "rungs = 1"),
        ('cell = ["rnn", "gru", "lstm", "lru"]', 'cell = "rnn"'),
    ):
        assert old in rest
        rest = rest.replace(old, new)
    path.write_text(
        head.replace('"smoke"', f'"{name}"')
        + f'[series]\nsource = "table"\npath = "{name}.csv"\ntime = "day"\n{series}\n'
        + "[task]\ntrain_steps = 70\nhorizon_steps = 10\nvalidation_steps = 20\n"
        + "start_points = 2\ntest_horizon_steps = 10\n[search]"
        + rest.split("[search]")[1]
        + 'channels = "independent"\n'
    )
    return path


def run_study(folder: Path, name: str, series: str) -> Study:
    ended = freerun(folder, "run", study_file(folder, name, series), "--json")
    assert ended.code == 0, ended.err
    return folder, ended.json


@pytest.fixture(scope="module")
def wide_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("wide")
    write_wide(folder)
    return run_study(folder, "wide", f"columns = {list(NAMES)}".replace("'", '"'))


@pytest.fixture(scope="module")
def long_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("long")
    write_long(folder)
    return run_study(folder, "long", 'columns = ["sales"]\nid = "store"')


def rows_of(path: Path) -> list[list[str]]:
    with path.open() as lines:
        return list(csv.reader(lines))


def forecast(study: Study, out: Path, subject: int | str, series: Path) -> list[list[str]]:
    """The forecast of a trial by number, or of a baseline by name."""
    folder, _ = study
    chosen = ("--trial", subject) if isinstance(subject, int) else ("--baseline", subject)
    name = next(path.stem for path in folder.glob("*.toml"))
    made = freerun(folder, "export", name, *chosen, "-o", out / "export", "--json")
    assert made.code == 0, made.err
    made = freerun(out, "retrain", "export", "--series", series, "-o", "again", "--json")
    assert made.code == 0, made.err
    made = freerun(
        out, "forecast", "again", "--series", series, "--horizon", 4, "-o", out / "f.csv"
    )
    assert made.code == 0, made.err
    return rows_of(out / "f.csv")


def test_three_columns_run_retrain_and_forecast(wide_study: Study, tmp_path: Path) -> None:
    folder, found = wide_study
    export = folder / found["export"]
    assert freerun(tmp_path, "retrain", export, "-o", "again", "--json").json["reproduced"] is True
    series = folder / "wide.csv"
    made = freerun(tmp_path, "forecast", export, "--series", series, "--horizon", 5, "-o", "f.csv")
    assert made.code == 0, made.err
    rows = rows_of(tmp_path / "f.csv")
    assert rows[0] == ["day", *NAMES]
    assert [row[0] for row in rows[1:]] == [str(day) for day in range(DAYS, DAYS + 5)]
    # In the units of each column.
    for place in range(3):
        assert all(abs(float(row[1 + place])) < 30 * 10**place for row in rows[1:])


def test_a_long_table_is_the_wide_one(wide_study: Study, long_study: Study, tmp_path: Path) -> None:
    _, wide = wide_study
    _, long = long_study
    assert long["test"]["score"] == wide["test"]["score"]
    one, other = tmp_path / "wide", tmp_path / "long"
    one.mkdir()
    other.mkdir()
    rows = forecast(wide_study, one, "ridge-ar", wide_study[0] / "wide.csv")
    by_id = forecast(long_study, other, "ridge-ar", long_study[0] / "long.csv")
    assert by_id[0] == ["store", "day", "sales"]
    expected = [[n, row[0], row[1 + p]] for p, n in enumerate(NAMES) for row in rows[1:]]
    assert by_id[1:] == expected


def test_a_trial_of_independent_channels_is_exported_and_forecasts(
    wide_study: Study, tmp_path: Path
) -> None:
    rows = forecast(wide_study, tmp_path, 0, wide_study[0] / "wide.csv")
    assert rows[0] == ["day", *NAMES]
    assert len(rows) == 5


def test_check_says_columns_ids_and_rows(wide_study: Study, long_study: Study) -> None:
    folder, _ = wide_study
    checked = freerun(folder, "check", "wide.toml")
    assert "table, 120 rows" in checked.out
    assert "3 columns: a, b, c" in checked.out
    folder, _ = long_study
    checked = freerun(folder, "check", "long.toml")
    assert "3 series by store: a, b, c; 1 column: sales" in checked.out
    plain = freerun(folder, "check", "long.toml", "--json").json
    assert (plain["rows"], plain["channels"], plain["ids"]) == (DAYS, [*NAMES], [*NAMES])


def test_the_report_has_a_table_and_a_panel_for_each_channel(
    wide_study: Study, tmp_path: Path
) -> None:
    folder, _ = wide_study
    page = tmp_path / "report.html"
    made = freerun(folder, "report", "wide", "-o", page)
    assert made.code == 0, made.err
    text = page.read_text()
    assert "Scores by channel" in text
    assert "by channel</h3>" in text
    assert "3 columns: a, b, c" in text


def test_limit_says_what_baselines_reach(wide_study: Study) -> None:
    folder, _ = wide_study
    assert freerun(folder, "limit", "wide.toml", "--json").json["baselines"]["ridge-ar"] > 0


def test_another_set_of_ids_can_be_trained_on_but_not_forecast(
    long_study: Study, tmp_path: Path
) -> None:
    folder, found = long_study
    export, other = folder / found["export"], write_long(tmp_path, ("a", "b2"), "other.csv")
    command = ["forecast", export, "--series", other, "--horizon", 3, "-o", "f.csv"]
    refused(tmp_path, command, "has 'b2', lacks 'b' and 1 more", "retrain")
    made = freerun(tmp_path, "retrain", export, "--series", other, "-o", "again", "--json")
    assert made.code == 0, made.err
    command[1] = "again"
    made = freerun(tmp_path, *command)
    assert made.code == 0, made.err
    assert [row[0] for row in rows_of(tmp_path / "f.csv")[1:]] == ["a"] * 3 + ["b2"] * 3


def test_ids_of_unequal_length_are_refused(tmp_path: Path) -> None:
    path = write_long(tmp_path)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("b,7,")]
    path.write_text("\n".join(lines) + "\n")
    file = study_file(tmp_path, "long", 'columns = ["sales"]\nid = "store"')
    words = "'b' has 119 of 120 and none at '7'", 'missing = "interpolate"'
    refused(tmp_path, ["check", file], *words)


def test_a_long_table_without_its_id_is_refused_with_the_remedy(tmp_path: Path) -> None:
    write_long(tmp_path)
    file = study_file(tmp_path, "long", 'columns = ["sales"]')
    refused(tmp_path, ["check", file], "line", 'write id = "store" in [series]')


def test_columns_of_different_units_have_no_mean_of_mae(
    wide_study: Study, long_study: Study
) -> None:
    _, wide = wide_study
    test = wide["test"]
    assert (test["errors"]["mae"], test["errors"]["rmse"]) == (None, None)
    assert test["errors"]["mase"] > 0
    assert set(test["channels"]) == set(NAMES)
    assert all(0 < own["mae"] <= own["rmse"] for own in test["channels"].values())
    _, long = long_study
    assert long["test"]["errors"]["mae"] > 0
    assert long["test"]["channels"] == {}


def test_the_report_has_the_errors_of_each_column(wide_study: Study) -> None:
    folder, found = wide_study
    page = (folder / found["report"]).read_text(encoding="utf-8")
    by_column = page.split("<h2>Scores by channel</h2>")[1].split("</table>")[0]
    assert [f">{name}</th>" in by_column for name in ("NMSE", "MAE", "RMSE", "MASE")] == [True] * 4
    assert "–" not in by_column
