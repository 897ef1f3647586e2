"""Columns beside those that are forecast: read, refused with a remedy, kept, and made of times."""

import json
import re
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from search.errors import SeriesError
from search.series import Table, TableSeries
from search.study.study_file import problems, read_study_file

START = datetime(2024, 1, 1)
ROWS, AHEAD = 60, 12
HEADER = "time,load,temperature,holiday,wind"


def hour(step: int) -> str:
    return str(START + timedelta(hours=step))


def lines(rows: int = ROWS, ahead: int = AHEAD, **cells: Any) -> list[str]:
    """The lines of a table; cells: of a column by its row, which differ from the usual ones."""
    made = [HEADER]
    for step in range(rows + ahead):
        row: dict[str, object] = {
            "time": hour(step),
            "load": step % 7 if step < rows else "",
            "temperature": step % 24 - 5.5,
            "holiday": int(step % 24 == 3),
            "wind": step % 5 if step < rows else "",
        }
        row |= {name: own[step] for name, own in cells.items() if step in own}
        made.append(",".join(map(str, row.values())))
    return made


def write(path: Path, made: list[str]) -> Path:
    path.write_text("\n".join(made) + "\n")
    return path


def section(**keys: Any) -> TableSeries:
    own = {"path": "load.csv", "time": "time", "columns": ["load"], "known": ["temperature"]}
    return TableSeries(**{**own, **keys})


def read(folder: Path, made: list[str] | None = None, **keys: Any) -> Table:
    return section(**keys).read_file(write(folder / "load.csv", made or lines()))


def test_rows_behind_the_last_value_are_ahead(tmp_path: Path) -> None:
    table = read(tmp_path, known=["temperature", "holiday"], past=["wind"])
    assert table.columns == ("load",)
    assert table.rows == ROWS
    assert table.times[-1] == hour(ROWS - 1)
    assert table.known_names == ("temperature", "holiday")
    assert table.past is not None
    assert table.past[:6, 0].tolist() == [0, 1, 2, 3, 4, 0]
    ahead = table.known_until(AHEAD)
    assert ahead.shape == (ROWS + AHEAD, 2)
    assert ahead[:, 0].tolist() == [step % 24 - 5.5 for step in range(ROWS + AHEAD)]


def test_what_is_not_known_far_enough_is_refused_by_name_and_time(tmp_path: Path) -> None:
    made = lines(holiday={ROWS + 4: ""})
    table = read(tmp_path, made, known=["temperature", "holiday"])
    assert len(table.known_until(4)) == ROWS + 4
    with pytest.raises(SeriesError, match=f"'holiday' .* no value at '{hour(ROWS + 4)}'.*--future"):
        table.known_until(6)
    with pytest.raises(SeriesError, match=f"'temperature' .* no value at '{hour(ROWS + AHEAD)}'"):
        read(tmp_path, known=["temperature"]).known_until(AHEAD + 1)


def test_later_rows_may_be_in_a_file_of_their_own(tmp_path: Path) -> None:
    whole = read(tmp_path)
    later = write(
        tmp_path / "later.csv",
        ["time,temperature"]
        + [f"{hour(step)},{step % 24 - 5.5}" for step in reversed(range(ROWS, ROWS + AHEAD))],
    )
    path = write(tmp_path / "short.csv", lines(ahead=0))
    table = section().read_file(path, future=later)
    assert np.array_equal(table.known_until(AHEAD), whole.known_until(AHEAD))
    with pytest.raises(SeriesError, match=r"later\.csv, line 2: later rows must come after"):
        section().read_file(tmp_path / "load.csv", future=later)
    with pytest.raises(SeriesError, match="none in \\[series\\] known"):
        section(known=None, calendar=True).read_file(path, future=later)
    lacking = write(tmp_path / "lacking.csv", ["time,other", f"{hour(ROWS)},1"])
    with pytest.raises(SeriesError, match=r"lacking\.csv has no column 'temperature'"):
        section().read_file(path, future=lacking)


def test_a_table_without_times_goes_on_with_its_rows(tmp_path: Path) -> None:
    table = read(tmp_path, time=None)
    assert table.rows == ROWS
    assert table.known_until(AHEAD).shape == (ROWS + AHEAD, 1)


def test_true_and_false_are_one_and_zero(tmp_path: Path) -> None:
    truths = {step: step % 24 == 3 for step in range(ROWS + AHEAD)}
    table = read(tmp_path, lines(holiday=truths), known=["holiday"])
    plain = read(tmp_path, known=["holiday"])
    assert np.array_equal(table.known_until(AHEAD), plain.known_until(AHEAD))


@pytest.mark.parametrize("column", ["temperature", "wind"])
def test_gaps_are_refused_unless_the_file_says_how_to_fill_them(
    tmp_path: Path, column: str
) -> None:
    made = lines(wind={20: "", 21: ""})
    if column == "temperature":
        made = lines(temperature={20: "", 21: ""})
    with pytest.raises(SeriesError, match=f"the column '{column}' must hold .* missing = "):
        read(tmp_path, made, past=["wind"])
    table = read(tmp_path, made, past=["wind"], missing="interpolate")
    whole = read(tmp_path, past=["wind"])
    filled, true = (
        (own.known_until(0) if column == "temperature" else own.past) for own in (table, whole)
    )
    assert filled is not None
    assert true is not None
    assert np.array_equal(np.delete(filled, [20, 21], axis=0), np.delete(true, [20, 21], axis=0))
    step = (true[22] - true[19]) / 3
    assert filled[20:22] == pytest.approx(np.stack([true[19] + step, true[19] + 2 * step]))
    # Only what a free run must not see before its time is kept as filled in.
    assert [run.channel for run in table.filled] == ([1] if column == "wind" else [])


def test_what_lacks_ahead_is_not_filled_in(tmp_path: Path) -> None:
    made = lines(temperature={10: "", 11: "", ROWS + 4: ""})
    table = read(tmp_path, made, missing="interpolate")
    assert len(table.known_until(4)) == ROWS + 4
    assert table.lines_beside() == ["known in advance, also for 4 rows ahead: temperature"]
    assert (
        "2 of 60 values of columns known in advance are filled in by a straight line, at most 2 in "
        "a row" in table.notices
    )
    with pytest.raises(SeriesError, match=f"'temperature' .* no value at '{hour(ROWS + 4)}'"):
        table.known_until(6)
    with pytest.raises(SeriesError, match=r"more than half .* 'temperature' has 25 of 60"):
        read(tmp_path, lines(temperature=dict.fromkeys(range(20, 55), "")), missing="mask")


def test_what_the_past_lacks_is_not_said_to_be_masked(tmp_path: Path) -> None:
    made = lines(ahead=0, wind={20: "", 21: ""})
    beside = "2 of 60 values of columns known in the past are filled in by a straight line"
    table = read(tmp_path, made, known=None, past=["wind"], missing="mask")
    assert any(said.startswith(beside) for said in table.notices)
    assert not any("masked" in said for said in table.notices)
    made = lines(ahead=0, wind={20: "", 21: ""}, load={30: ""})
    table = read(tmp_path, made, known=None, past=["wind"], missing="mask")
    assert any(said.startswith(beside) for said in table.notices)
    assert any(said.startswith("1 of 60 values is masked: ") for said in table.notices)


def test_an_end_that_is_cut_off_is_not_known_in_advance(tmp_path: Path) -> None:
    made = lines(ahead=0, temperature={58: "", 59: ""})
    table = read(tmp_path, made, calendar=["hour"], missing="interpolate")
    assert table.rows == 58
    assert table.lines_beside() == ["known in advance: temperature, hour"]
    made = lines(ahead=0, load={58: "", 59: ""})
    table = read(tmp_path, made, known=None, calendar=["hour"], missing="interpolate")
    assert table.lines_beside() == ["known in advance: hour"]


@pytest.mark.parametrize("duplicates", ["mean", "last"])
def test_later_rows_never_replace_those_of_the_series(tmp_path: Path, duplicates: str) -> None:
    path = write(tmp_path / "load.csv", lines(ahead=0))
    later = write(tmp_path / "later.csv", ["time,temperature", f"{hour(ROWS - 1)},0"])
    with pytest.raises(SeriesError, match=r"later\.csv, line 2: later rows must come after"):
        section(duplicates=duplicates).read_file(path, future=later)


def test_rows_ahead_do_not_change_the_hash(tmp_path: Path) -> None:
    table, longer = read(tmp_path, lines(ahead=0)), read(tmp_path)
    assert longer.known_until(AHEAD).shape == (ROWS + AHEAD, 1)
    assert longer.content_hash == table.content_hash
    assert Table.from_bytes(longer.to_bytes()).content_hash == table.content_hash


def test_the_calendar_is_that_of_the_times(tmp_path: Path) -> None:
    columns = ["hour", "weekday", "day", "month"]
    table = read(tmp_path, lines(ahead=0), known=None, calendar=columns)
    made = table.known_until(40)
    for step in (0, 23, 59, 99):
        time = START + timedelta(hours=step)
        assert made[step].tolist() == [time.hour, time.weekday(), time.day, time.month]
    usual = read(tmp_path, lines(ahead=0), known=None, calendar=True)
    assert usual.known_names == ("hour", "weekday")  # three days of one month


@pytest.mark.parametrize(("days", "month"), [(300, ()), (330, ()), (331, ("month",))])
def test_the_usual_calendar_has_the_month_of_a_year(
    tmp_path: Path, days: int, month: tuple[str, ...]
) -> None:
    rows = [f"{START + timedelta(days=day)},{day % 5}" for day in range(days)]
    path = write(tmp_path / "days.csv", ["time,load", *rows])
    found = section(known=None, calendar=True).read_file(path)
    assert found.known_names == ("weekday", *month)


def test_the_usual_calendar_of_a_later_table_is_the_one_before(tmp_path: Path) -> None:
    earlier = read(tmp_path, lines(ahead=0), known=None, calendar=True)
    path = write(tmp_path / "load.csv", lines(rows=5, ahead=0))
    later = section(known=None, calendar=True).read_file(path, earlier)
    assert later.known_names == ("hour", "weekday")


def test_a_calendar_stands_beside_the_ids_of_a_long_table(tmp_path: Path) -> None:
    rows = [f"{hour(step)},{name},{step % 7}" for name in "ab" for step in range(30)]
    path = write(tmp_path / "long.csv", ["time,id,load", *rows])
    table = section(known=None, id="id", calendar=["hour"]).read_file(path)
    assert table.columns == ("a", "b")
    assert table.known_until(2).shape == (32, 1)


LONG = "time,store,sales,price,visits"


def long_lines(ahead: int = AHEAD, lacking: tuple[str, int] | None = None) -> list[str]:
    """Sales and visits of two stores, each with prices of its own; store a has no row `lacking`."""
    made = [LONG]
    for n, name in enumerate("ab"):
        for step in range(ROWS + ahead):
            sales, visits = (step % (7 + n), step % 5 + 10 * n) if step < ROWS else ("", "")
            price = "" if lacking == (name, step) else step % 3 + 100 * n
            made.append(f"{hour(step)},{name},{sales},{price},{visits}")
    return made


def read_long(folder: Path, made: list[str] | None = None, **keys: Any) -> Table:
    own = {"id": "store", "columns": ["sales"], "known": ["price"], **keys}
    return read(folder, made or long_lines(), **own)


def test_each_series_of_a_long_table_has_columns_of_its_own(tmp_path: Path) -> None:
    table = read_long(tmp_path, past=["visits"], calendar=["hour"])
    assert table.columns == ("a", "b")
    assert (table.rows, table.known_names, table.known_groups) == (ROWS, ("price", "hour"), 2)
    steps = np.arange(ROWS + AHEAD)
    hours = steps % 24
    expected = np.stack([steps % 3, hours, steps % 3 + 100, hours], axis=1)
    assert np.array_equal(table.known_until(AHEAD), expected)
    assert table.past is not None
    past = np.stack([steps % 5, steps % 5 + 10], axis=1)
    assert np.array_equal(table.past, past[:ROWS])
    assert table.all_values.shape == (ROWS, 4)
    assert f"known in advance, also for {AHEAD} rows ahead: price, hour" in table.lines_beside()
    again = Table.from_bytes(table.to_bytes())
    assert again.content_hash == table.content_hash
    assert np.array_equal(again.known_until(AHEAD), expected)
    shuffled = np.random.default_rng(0).permutation(long_lines()[1:]).tolist()
    assert read_long(tmp_path, [LONG, *shuffled], past=["visits"], calendar=["hour"]).known_until(
        AHEAD
    ).tolist() == (expected.tolist())


def test_what_a_series_lacks_is_refused_by_its_id_and_time(tmp_path: Path) -> None:
    table = read_long(tmp_path, long_lines(lacking=("b", ROWS + 4)))
    assert len(table.known_until(4)) == ROWS + 4
    said = f"the column 'price' of 'b' is known in advance, .* no value at '{hour(ROWS + 4)}'"
    with pytest.raises(SeriesError, match=said):
        table.known_until(5)
    with pytest.raises(SeriesError, match=f"'visits' of 'a' .* no value at '{hour(ROWS)}'"):
        read_long(tmp_path, known=["price", "visits"]).known_until(1)
    made = long_lines(lacking=("b", 20))
    with pytest.raises(SeriesError, match=r"the column 'price' must hold .* missing = "):
        read_long(tmp_path, made)
    filled = read_long(tmp_path, made, missing="interpolate").known_until(0)
    assert filled[20].tolist() == [2, 100.5]  # between 101 and 100
    assert np.array_equal(np.delete(filled, 20, 0), np.delete(table.known_until(0), 20, 0))


def test_later_rows_of_a_long_table_have_its_ids(tmp_path: Path) -> None:
    later = ["store,time,price"]
    later += [
        f"{name},{hour(step)},{step % 3 + 100 * n}"
        for step in range(ROWS, ROWS + AHEAD)
        for n, name in enumerate("ab")
    ]
    whole = read_long(tmp_path)
    path = write(tmp_path / "short.csv", long_lines(ahead=0))
    own = section(id="store", columns=["sales"], known=["price"])
    table = own.read_file(path, future=write(tmp_path / "later.csv", later))
    assert np.array_equal(table.known_until(AHEAD), whole.known_until(AHEAD))
    # Of a series that has later rows in its own file, none are asked for in the other one.
    of_b = [line for line in later if not line.startswith("a")]
    ahead_of_b = {line for line in long_lines() if ",b," in line} - set(long_lines(ahead=0))
    uneven = write(
        tmp_path / "uneven.csv", [line for line in long_lines() if line not in ahead_of_b]
    )
    table = own.read_file(uneven, future=write(tmp_path / "of_b.csv", of_b))
    assert np.array_equal(table.known_until(AHEAD), whole.known_until(AHEAD))
    strange = write(tmp_path / "strange.csv", [*later, f"c,{hour(ROWS)},1"])
    rule = r"strange\.csv, line 26: later rows must be of series of .*the store 'c' is none of them"
    with pytest.raises(SeriesError, match=rule):
        own.read_file(path, future=strange)
    again = write(tmp_path / "again.csv", [*later, f"b,{hour(ROWS - 1)},1"])
    with pytest.raises(SeriesError, match=r"again\.csv, line 26: later rows must come after"):
        own.read_file(path, future=again)
    short = write(tmp_path / "one.csv", [line for line in later if not line.startswith("b")])
    said = f"the column 'price' of 'b' .* no value at '{hour(ROWS)}'"
    with pytest.raises(SeriesError, match=said):
        own.read_file(path, future=short).known_until(1)


@pytest.mark.parametrize(
    ("ids", "keys", "expected"),
    [
        ("ab", {"known": None}, 1),
        ("ab", {"known": None, "calendar": ["hour"]}, 2),
        ("a", {}, 2),
        ("ab", {}, 3),
        ("ab", {"known": None, "past": ["visits"]}, 3),
    ],
)
def test_a_newer_format_is_that_of_columns_of_each_series_alone(
    tmp_path: Path, ids: str, keys: dict[str, Any], expected: int
) -> None:
    made = [line for line in long_lines(ahead=0) if line == LONG or line.split(",")[1] in ids]
    assert header_of(read_long(tmp_path, made, **keys))["format"] == expected


def header_of(table: Table) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(zlib.decompress(table.to_bytes()).split(b"\n")[0])
    return header


def test_stored_columns_of_each_series_are_those_of_its_ids(tmp_path: Path) -> None:
    table = read_long(tmp_path)
    header, content = header_of(table), zlib.decompress(table.to_bytes())
    numbers = content[content.find(b"\n") :]
    for ids in (["a"], None):
        changed = {**header, "long": {**header["long"], "ids": ids}}
        if ids is None:
            del changed["long"]
        with pytest.raises(SeriesError, match="stored table"):
            Table.from_bytes(zlib.compress(json.dumps(changed).encode() + numbers))


def test_no_series_of_a_long_table_ends_before_the_others(tmp_path: Path) -> None:
    made = long_lines()
    last = next(row for row, line in enumerate(made) if line.startswith(f"{hour(ROWS - 1)},a"))
    cells = made[last].split(",")
    made[last] = ",".join([*cells[:2], "", *cells[3:]])
    with pytest.raises(SeriesError, match=f"line {last + 1}: the column 'sales' must hold"):
        read_long(tmp_path, made)


def test_a_table_of_one_id_is_as_one_series(tmp_path: Path) -> None:
    made = [line for line in long_lines() if ",b," not in line]
    table = read_long(tmp_path, made, past=["visits"])
    assert (table.known_groups, table.columns) == (1, ("a",))
    with pytest.raises(SeriesError, match="the column 'price' is known in advance"):
        table.known_until(AHEAD + 1)


def test_bytes_hold_all_of_it(tmp_path: Path) -> None:
    table = read(tmp_path, known=["temperature", "holiday"], past=["wind"], calendar=["hour"])
    again = Table.from_bytes(table.to_bytes())
    assert again.content_hash == table.content_hash
    assert again.known_names == table.known_names
    assert np.array_equal(again.known_until(AHEAD), table.known_until(AHEAD))
    assert np.array_equal(again.all_values, table.all_values)
    changed = read(tmp_path, lines(temperature={3: 99}), known=["temperature", "holiday"])
    assert changed.content_hash != table.content_hash


def test_a_table_without_them_is_kept_as_it_was(tmp_path: Path) -> None:
    plain = read(tmp_path, lines(ahead=0), known=None)
    assert b'"format": 1' in plain._content({})  # as earlier versions read it
    assert plain.covariates is None
    keys = section(known=None).model_dump()
    assert not {"known", "past", "calendar"} & keys.keys()


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"known": []}, "known must name at least one column"),
        ({"past": ["wind", "wind"]}, "past must name at least one column, and each once"),
        (
            {"known": ["load"]},
            'known must name columns that have no other role, but "load" is a column to forecast',
        ),
        ({"known": ["time"]}, 'known .* "time" is the time'),
        ({"past": ["temperature"]}, 'past .* "temperature" is in known'),
        ({"id": "temperature"}, 'known .* "temperature" is the id'),
        ({"calendar": ["year"]}, "calendar must be true, or a list of hour, weekday, day, month"),
        ({"calendar": "hours"}, "calendar must be true, or a list"),
        ({"calendar": []}, "calendar must name at least one"),
        ({"calendar": True, "time": None}, "calendar must go with a time column"),
    ],
)
def test_names_that_can_not_be(keys: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError) as refused:
        section(**keys)
    said = " ".join(problems(refused.value))
    assert re.search(rule, said), said


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"known": ["temprature"]}, "no column 'temprature'. Did you mean 'temperature'"),
        ({"past": ["rain"]}, "no column 'rain'"),
        (
            {"known": ["text"]},
            "the column 'text' must hold finite numbers, or true and false alone, but has 'warm'",
        ),
    ],
)
def test_columns_that_a_file_does_not_have(tmp_path: Path, keys: dict[str, Any], rule: str) -> None:
    made = [f"{line},{'text' if n == 0 else 'warm'}" for n, line in enumerate(lines())]
    with pytest.raises(SeriesError, match=rule):
        read(tmp_path, made, **keys)


def test_a_calendar_needs_dates(tmp_path: Path) -> None:
    made = [line.replace(hour(n - 1), str(n - 1)) for n, line in enumerate(lines())]
    with pytest.raises(SeriesError, match="calendar must be made of dates"):
        read(tmp_path, made, calendar=True)
    first_days = [f"{1900 + month // 12}-{month % 12 + 1:02}-01" for month in range(40)]
    rows = [f"{day},{n % 5}" for n, day in enumerate(first_days)]
    path = write(tmp_path / "months.csv", ["time,load", *rows])
    assert section(known=None, calendar=True).read_file(path).known_names == ("weekday", "month")


STUDY = """
name = "load"
[series]
source = "table"
path = "load.csv"
time = "time"
columns = ["load"]
{series}
[task]
train_steps = 30
horizon_steps = 5
[search]
trials = 1
[space]
{space}
"""


def test_what_is_constant_in_the_training_span_is_refused(tmp_path: Path) -> None:
    flat, wind = dict.fromkeys(range(50), 0), dict.fromkeys(range(50), 2)
    write(tmp_path / "load.csv", lines(ahead=0, holiday=flat, wind=wind))
    file = tmp_path / "load.toml"
    for series, name in (('known = ["holiday"]', "holiday"), ('past = ["wind"]', "wind")):
        file.write_text(STUDY.format(series=series, space=""))
        with pytest.raises(SeriesError, match=f"vary in the training span, but '{name}' is"):
            read_study_file(file)


def test_a_column_that_is_constant_in_some_series_alone_tells_of_the_others(
    tmp_path: Path,
) -> None:
    file = tmp_path / "load.toml"
    own = STUDY.replace('columns = ["load"]', 'columns = ["sales"]\nid = "store"')
    file.write_text(own.format(series='known = ["price"]', space=""))
    made = [LONG] + [
        f"{hour(step)},{name},{step % 7},{9 if name == 'a' else step % 3},0"
        for name in "ab"
        for step in range(ROWS)
    ]
    write(tmp_path / "load.csv", made)
    assert "known_columns" in read_study_file(file).definition.space
    file.write_text(own.format(series='known = ["price"]', space="known_inputs = [true]"))
    with pytest.raises(
        Exception,
        match="known_inputs must be false for a long table whose series have known columns of "
        r"their own, since .*, but got \[true\]; remove the key",
    ):
        read_study_file(file)
    file.write_text(own.format(series='known = ["price"]', space=""))
    flat = [LONG] + [
        f"{hour(step)},{name},{step % 7},{n},0"
        for n, name in enumerate("ab")
        for step in range(ROWS)
    ]
    write(tmp_path / "load.csv", flat)
    with pytest.raises(SeriesError, match="'price' is the same number of each series in all of"):
        read_study_file(file)


def test_a_space_names_only_what_the_series_has(tmp_path: Path) -> None:
    write(tmp_path / "load.csv", lines(ahead=0))
    file = tmp_path / "load.toml"
    file.write_text(STUDY.format(series='known = ["temperature"]\npast = ["wind"]', space=""))
    space = read_study_file(file).definition.space
    assert space["known_columns"].to_plain() == ["none", "linear", "curves"]
    assert space["known_lags"].to_plain() == ["none", "steps", "spans"]
    assert space["known_inputs"].to_plain() == [False, True]
    assert space["past_columns"].to_plain() == [False, True]
    file.write_text(STUDY.format(series="", space='known_columns = ["curves"]'))
    with pytest.raises(Exception, match='known_columns must be "none" for a series without'):
        read_study_file(file)
    file.write_text(STUDY.format(series="", space='known_lags = ["steps"]'))
    with pytest.raises(Exception, match="known_lags is sampled where known_columns is"):
        read_study_file(file)
    file.write_text(STUDY.format(series='past = ["wind"]', space="known_inputs = [true]"))
    with pytest.raises(Exception, match="known_inputs must be false for a series without"):
        read_study_file(file)
    file.write_text(STUDY.format(series="", space="past_columns = [true]"))
    with pytest.raises(Exception, match="past_columns must be false for a series without"):
        read_study_file(file)
    file.write_text(STUDY.format(series="", space=""))
    plain = read_study_file(file).definition
    names = {"known_columns", "known_inputs", "known_lags", "past_columns"}
    assert not names & plain.space.keys()
    assert "known_" not in plain.model_dump_json()
