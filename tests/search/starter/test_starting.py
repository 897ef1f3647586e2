"""A study file for a table: it is valid, says what was found, and is the same each time."""

from pathlib import Path

import numpy as np
import pandas
import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.errors import SeriesError, UsageError
from search.series import Table
from search.series.calendar import calendar_periods, calendar_seasons
from search.starter.names import is_table, study_name
from search.starter.oddities import oddity_lines
from search.starter.spans import default_horizon
from search.starter.starting import Start, start
from search.starter.study_text import study_text
from search.study.study_file import StudyFile, read_study_file


def wave(rows: int, period: float, noise: float = 0.1) -> list[float]:
    time = np.arange(rows)
    values = np.sin(2 * np.pi * time / period) + noise * np.random.default_rng(1).normal(size=rows)
    return [float(f"{10 + value:.4f}") for value in values]


def months(count: int) -> list[str]:
    return [f"{2000 + month // 12}-{month % 12 + 1:02}" for month in range(count)]


def write(folder: Path, columns: dict[str, list[object]], name: str = "sold.csv") -> Path:
    frame = polars.DataFrame(columns)
    frame.write_csv(folder / name)
    return folder / name


def made(found: Start, folder: Path) -> StudyFile:
    path = folder / "made.toml"
    path.write_text(study_text(found, "made.toml"), encoding="utf-8")
    return read_study_file(path)


@pytest.mark.parametrize("name", ["value", "time"])
@pytest.mark.parametrize("key", ["known", "past"])
def test_a_column_beside_may_have_any_name(tmp_path: Path, name: str, key: str) -> None:
    noise = np.random.default_rng(0).normal(size=120).tolist()
    path = write(tmp_path, {"month": [*months(120)], "sold": [*wave(120, 12)], name: noise})
    found = start(path, tmp_path, said={"time": "month", key: [name]})
    assert found.roles.values == ("sold",)
    definition, _ = made(found, tmp_path)
    assert getattr(definition.series, key) == (name,)


def test_rows_ahead_of_each_series_are_none_of_its_values(tmp_path: Path) -> None:
    """Of prices that go on for longer than the sales, in a table with the ids below each other."""
    rows, ahead = 48, 60
    sold = [*wave(rows, 12), *[None] * ahead]
    price = np.random.default_rng(0).integers(1, 9, 2 * (rows + ahead)).tolist()
    columns = {
        "shop": ["a"] * (rows + ahead) + ["b"] * (rows + ahead),
        "month": [*months(rows + ahead)] * 2,
        "sold": [*sold, *sold],
        "price": price,
    }
    found = start(write(tmp_path, columns), tmp_path, said={"known": ["price"]})
    assert (found.roles.id, found.roles.values) == ("shop", ("sold",))
    assert found.table.rows == rows
    assert found.table.known_until(ahead)[:, 1].tolist() == price[rows + ahead :]
    assert f"known in advance, also for {ahead} rows ahead: price" in "\n".join(found.lines())


def test_a_series_of_months(tmp_path: Path) -> None:
    path = write(tmp_path, {"month": [*months(120)], "sold": [*wave(120, 12)]})
    found = start(path, tmp_path)
    assert (found.name, found.periods, found.task.horizon_steps) == ("sold", (12.0,), 12)
    said = "\n".join(found.lines())
    assert "month: 2000-01 to 2009-12, a step of 1 month" in said
    assert "period    12 steps" in said
    assert "12 steps, a period; --horizon N names another" in said
    definition, table = made(found, tmp_path)
    assert definition.series.period == (12.0,)
    assert table is not None
    assert table.content_hash == found.table.content_hash
    task = definition.task
    assert task.train_steps + task.validation_steps + task.test_steps == 120
    assert task.validation == "expanding"
    text = study_text(found, "made.toml")
    assert "# 2009-01 to 2009-12: once, by the winner" in text
    assert study_text(start(path, tmp_path), "made.toml") == text


def test_a_long_table_read_from_another_folder(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "shop": [*["n"] * 90, *["s"] * 90],
        "month": [*months(90), *months(90)],
        "sold": [*wave(90, 12), *wave(90, 12, noise=0.2)],
    }
    (tmp_path / "studies").mkdir()
    found = start(write(tmp_path, columns), tmp_path / "studies", horizon_steps=5)
    definition, table = made(found, tmp_path / "studies")
    assert table is not None
    assert table.columns == ("n", "s")
    assert definition.task.horizon_steps == 5
    assert found.to_plain()["ids"] == ["n", "s"]


_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1, max_size=30
).filter(lambda name: name.strip() == name)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=_NAMES.filter(lambda name: name != "month"))
def test_a_column_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, {"month": [*months(60)], name: [*wave(60, 12)]})
    definition, _ = made(start(path, tmp_path), tmp_path)
    assert definition.series.channels == (name,)


@pytest.mark.parametrize("rows", [8, 12, 20, 35])
def test_short_tables(tmp_path: Path, rows: int) -> None:
    columns: dict[str, list[object]] = {"t": [*range(rows)], "v": [*wave(rows, 5)]}
    definition, _ = made(start(write(tmp_path, columns), tmp_path), tmp_path)
    assert definition.task.horizon_steps >= 1


def test_what_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"month": [*months(60)], "sold": [*wave(60, 12)]})
    with pytest.raises(UsageError, match="horizon must be at least 1 step, but got 0"):
        start(path, tmp_path, horizon_steps=0)
    with pytest.raises(UsageError, match="give more rows or a shorter horizon"):
        start(path, tmp_path, horizon_steps=40)
    text = [*map(str, wave(59, 12)), "many"]
    table = write(tmp_path, {"month": [*months(60)], "sold": [*text]})
    with pytest.raises(SeriesError, match=r"line 61.*many"):
        start(table, tmp_path, columns=["sold"])


def test_a_table_too_short_for_its_horizon_is_told_the_rule(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"t": [*range(24)], "v": [*wave(24, 5)]}
    with pytest.raises(UsageError, match=r"at least 20 rows for training, as many as the horizon"):
        start(write(tmp_path, columns), tmp_path, horizon_steps=20)
    assert start(tmp_path / "sold.csv", tmp_path, horizon_steps=7).task.train_steps == 7
    with pytest.raises(UsageError, match=r"at least 8 rows .*24 rows less 8 .* and 11 .* leave 5"):
        start(tmp_path / "sold.csv", tmp_path, horizon_steps=8)


def test_gaps_are_filled_in_and_said(tmp_path: Path) -> None:
    gap = [label for label in months(61) if label != "2001-03"]
    found = start(write(tmp_path, {"month": [*gap], "sold": [*wave(60, 12)]}), tmp_path)
    assert found.table.rows == 61
    assert found.sections["series"]["missing"] == "interpolate"
    assert any("1 of 61 values is filled in" in note for note in found.notes)
    assert found.lines()[0].endswith(": 60 rows of the file, 61 steps of time")
    assert found.to_plain()["file_rows"] == 60
    assert 'missing = "interpolate"' in study_text(found, "made.toml")


def test_gaps_are_masked_where_that_is_said(tmp_path: Path) -> None:
    gap = [label for label in months(61) if label != "2001-03"]
    path = write(tmp_path, {"month": [*gap], "sold": [*wave(60, 12)]})
    found = start(path, tmp_path, said={"missing": "mask"})
    assert found.table.is_masked
    assert any("1 of 61 values is masked: no training and no score" in n for n in found.notes)
    assert 'missing = "mask"' in study_text(found, "made.toml")


def test_a_horizon_that_nobody_named() -> None:
    assert default_horizon(144, (12.0,)) == 24
    assert default_horizon(96, (12.0,)) == 12
    assert default_horizon(60, (12.0,)) == 6
    assert default_horizon(4032, (48.0, 336.0)) == 672
    assert default_horizon(5, ()) == 1


def test_names_of_studies() -> None:
    assert study_name(Path("a/My sales (1).csv")) == "My-sales-1"
    assert study_name(Path("x.csv.gz")) == "x"
    assert study_name(Path("é.parquet")) == "e"
    assert study_name(Path("Größe 2024.csv")) == "Grosse-2024"
    # As macOS and Linux write the same name.
    assert study_name(Path("Gro\u0308ße 2024.csv")) == "Grosse-2024"
    assert study_name(Path("Åre smörgås.csv.gz")) == "Are-smorgas"
    assert study_name(Path("销售.csv")) == "series"
    assert is_table(Path("x.CSV"))
    assert is_table(Path("x.csv.gz"))
    assert not is_table(Path("x.toml"))
    assert not is_table(Path("x.gz"))


def hourly(values: list[float]) -> Table:
    times = [f"2024-01-{1 + hour // 24:02} {hour % 24:02}:00" for hour in range(len(values))]
    return Table("time", tuple(times), ("x",), np.array(values)[:, np.newaxis])


def every(step: str, rows: int) -> Table:
    times = pandas.date_range("2020-01-01", periods=rows, freq=step)
    return Table("time", tuple(map(str, times)), ("x",), np.zeros((rows, 1)))


@pytest.mark.parametrize(
    ("step", "seasons"),
    [
        ("min", (60, 1440, 10_080)),
        ("15min", (4, 96, 672)),
        ("h", (24, 168)),
        ("D", (7, 365.25)),
        ("7D", (52.1786,)),
        ("MS", (12,)),
        ("QS", (4,)),
        ("YS", ()),
        ("B", (5,)),
    ],
)
def test_the_seasons_of_a_calendar_are_in_its_steps(step: str, seasons: tuple[float, ...]) -> None:
    assert calendar_seasons(every(step, 30).interval) == seasons


def test_rows_that_are_numbered_have_no_calendar() -> None:
    numbers = Table("t", tuple(map(str, range(40))), ("x",), np.zeros((40, 1)))
    assert calendar_seasons(numbers.interval) == ()
    assert calendar_periods(every("h", 30).interval) == [24, 168, 8760]


@pytest.mark.parametrize("horizon_steps", [None, 24, 48, 60])
@pytest.mark.parametrize(("seed", "step"), [(0, 100), (2, 100), (0, 40), (1, 40)])
def test_hours_of_a_load_have_a_day_and_a_week_whatever_the_horizon(
    tmp_path: Path, seed: int, step: int, horizon_steps: int | None
) -> None:
    time = np.arange(90 * 24)
    load = 500 + 120 * np.sin(2 * np.pi * time / 24) + step * ((time // 24) % 7 < 5)
    load = load + np.random.default_rng(seed).normal(0, 25, len(time))
    hours = pandas.date_range("2024-01-01", periods=len(time), freq="h")
    path = write(tmp_path, {"time": [*map(str, hours)], "load": load.tolist()})
    assert start(path, tmp_path, horizon_steps=horizon_steps).periods == (24.0, 168.0)


def test_a_column_that_is_nearly_constant_is_told() -> None:
    rare = np.zeros(300)
    rare[7] = 1.0
    table = hourly(rare.tolist())
    assert list(oddity_lines(table)) == ["'x' is 0 in all but 1 of its 300 rows: nearly constant"]
