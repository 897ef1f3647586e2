"""Which column is what, of tables as people have them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from search.errors import SeriesError
from search.starter.columns import columns_of, roles_of

DAYS = [f"2024-01-{day:02}" for day in range(1, 29)]
VARIED = [str((7 * row) % 11 + 0.5) for row in range(28)]
ROWS = [str(row) for row in range(28)]
Table = dict[str, Sequence[str]]
PATH = Path("table.csv")


@pytest.mark.parametrize(
    ("columns", "time", "id_column", "values"),
    [
        ({"day": DAYS, "sold": VARIED}, "day", None, ["sold"]),
        ({"sold": VARIED, "when": DAYS}, "when", None, ["sold"]),
        ({"": ROWS, "ds": DAYS, "y": VARIED}, "ds", None, ["y"]),
        ({"year": [str(1990 + r) for r in range(28)], "spots": VARIED}, "year", None, ["spots"]),
        ({"t": ROWS, "index": [str(9 + r) for r in range(28)], "x": VARIED}, "t", None, ["x"]),
        ({"day": DAYS, "a": VARIED, "b": VARIED[::-1]}, "day", None, ["a", "b"]),
        ({"day": DAYS, "a": VARIED, "same": ["3"] * 28, "why": ["x"] * 28}, "day", None, ["a"]),
        ({"unique_id": ["H1"] * 28, "ds": DAYS, "y": VARIED}, "ds", None, ["y"]),
        (
            {"day": DAYS * 2, "shop": ["n"] * 28 + ["s"] * 28, "y": VARIED * 2},
            *("day", "shop", ["y"]),
        ),
        (
            {"id": [str(1 + r // 28) for r in range(56)], "t": ROWS * 2, "y": VARIED * 2},
            *("t", "id", ["y"]),
        ),
        # Without a time, rows are numbered.
        ({"a": VARIED, "b": VARIED[::-1]}, None, None, ["a", "b"]),
        # What lacks is filled in or masked; a column is not left out for it.
        ({"day": DAYS, "a": ["", "NA", *VARIED[2:]], "b": VARIED}, "day", None, ["a", "b"]),
        ({"day": DAYS, "a": ["oops", "?!", *VARIED[2:]], "b": VARIED}, "day", None, ["b"]),
        ({"day": DAYS, "a": ["", *["3"] * 27], "b": VARIED}, "day", None, ["b"]),
        # What a reader of tables may read, or refuses with the place.
        ({"day": DAYS, "y": ["1,5", "", *VARIED[2:]]}, "day", None, ["y"]),
    ],
)
def test_roles(columns: Table, time: str | None, id_column: str | None, values: list[str]) -> None:
    found = roles_of(PATH, columns)
    assert (found.time, found.id, list(found.values)) == (time, id_column, values)
    assert {*found.values, *found.left_out, *({time, id_column} - {None})} == set(columns)


@pytest.mark.parametrize(
    ("name", "is_id"),
    [
        *((name, True) for name in ("id", "store_id", "StoreID", "storeid", "Item Nbr", "sensor2")),
        *((name, False) for name in ("humidity", "Width", "wind_grid", "residual", "validValue")),
    ],
)
def test_an_id_of_numbers_has_a_word_for_it_in_its_name(name: str, is_id: bool) -> None:
    codes = [str(1 + row // 28) for row in range(56)]
    found = roles_of(PATH, {"day": DAYS * 2, name: codes, "y": VARIED * 2})
    assert found.id == (name if is_id else None)


@pytest.mark.parametrize("other", ["humidity", "sensor", "sky"])
def test_an_hour_that_comes_back_makes_no_series(other: str) -> None:
    """At the end of summer time, where times have no offset."""
    hours = [f"2024-10-{day:02} {hour:02}:00" for day in (26, 27) for hour in range(24)]
    hours.insert(hours.index("2024-10-27 02:00"), "2024-10-27 02:00")
    cells = [
        ("sun" if row % 2 else "rain") if other == "sky" else VARIED[row % 28] for row in range(49)
    ]
    assert roles_of(PATH, {"time": hours, "temp": VARIED + VARIED[:21], other: cells}).id is None


def test_columns_that_are_asked_for_win() -> None:
    table: Table = {"day": DAYS, "a": VARIED, "n": ROWS, "b": VARIED}
    assert roles_of(PATH, table).left_out == {"n": "counts the rows"}
    assert roles_of(PATH, table, ["n", "b"]).values == ("n", "b")
    with pytest.raises(SeriesError, match="'c' is no column; there are a, n, b"):
        roles_of(PATH, table, ["c"])
    with pytest.raises(SeriesError, match="'day' is the time, too; name it once"):
        roles_of(PATH, table, ["day"])
    with pytest.raises(SeriesError, match="no other role, but 'b' is known in advance, too"):
        roles_of(PATH, table, ["a", "b"], {"known": ["b"]})
    with pytest.raises(SeriesError, match="'n' is known only in the past, too"):
        roles_of(PATH, table, ["n"], {"past": ["n"]})


def test_all_columns_of_numbers_may_not_be_known() -> None:
    with pytest.raises(SeriesError, match="but has none: 'y' is known in advance"):
        roles_of(PATH, {"day": DAYS, "y": VARIED}, (), {"known": ["y"]})


def test_a_counter_with_gaps_is_told() -> None:
    """What is left of an index after rows were dropped: nothing tells whether it is the time."""
    dropped = [str(row) for row in range(30) if row not in (4, 20)]
    found = roles_of(PATH, {"index": dropped, "y": VARIED})
    assert (found.time, found.values) == (None, ("y",))
    assert found.left_out == {"index": "may be the time"}
    assert found.notes == (
        "'index' counts the rows, with 2 numbers missing, but the rows are numbered without a gap; "
        "name it as the time if it is one",
    )
    assert roles_of(PATH, {"index": dropped, "y": VARIED}, (), {"time": None}).notes == ()
    assert roles_of(PATH, {"index": dropped, "y": VARIED}, (), {"time": "index"}).notes == ()
    backwards = roles_of(PATH, {"year": dropped[::-1], "y": VARIED})
    assert backwards.left_out == {"year": "may be the time"}
    asked = roles_of(PATH, {"index": dropped, "y": VARIED}, ["y"])
    assert (asked.values, asked.notes) == (("y",), found.notes)
    # The only column may be what is counted, and so may a column beside a time.
    alone = roles_of(PATH, {"visitors": dropped})
    assert (alone.values, len(alone.notes)) == (("visitors",), 1)
    dated = roles_of(PATH, {"day": DAYS, "visitors": dropped})
    assert (dated.values, dated.notes) == (("visitors",), ())
    # A sum that grows by different amounts counts nothing.
    total = [str(row * (row + 1) // 2) for row in range(1, 29)]
    assert roles_of(PATH, {"total": total, "y": VARIED}).values == ("total", "y")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["$1,234.00", "$-5.10"], "is numbers with a unit ('$1,234.00'): remove '$'"),
        (["12.5%", "-3 %"], "is numbers with a unit ('12.5%'): remove '%'"),
        (["1.2 EUR", "1.234,5 EUR"], "is numbers with a unit ('1.2 EUR'): remove 'EUR'"),
        (["EUR 1", "EUR 2"], "is numbers with a unit ('EUR 1'): remove 'EUR'"),
        (["", "3 km/h"], "is numbers with a unit ('3 km/h'): remove 'km/h'"),
        (["True", "False"], "is true or false ('True'): write 1 and 0"),
        (["H1", "H2"], "is text ('H1')"),
        (["closed for the holidays", "open"], "is text ('closed for the holid')"),
    ],
)
def test_what_is_no_number_is_shown_with_what_to_remove(cells: list[str], reason: str) -> None:
    table: Table = {"day": DAYS, "y": VARIED, "price": cells * 14}
    assert roles_of(PATH, table).left_out == {"price": reason}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"day": DAYS, "why": ["x"] * 28},
            "must have a column of numbers to forecast beside the time 'day', .* 'why' is text",
        ),
        (
            {"day": DAYS * 4, "a": list("nnss") * 28, "b": list("opop") * 28, "y": VARIED * 4},
            "one column that tells its series apart, but none of a, b does alone",
        ),
        # Rows whose dates nobody can read would be forecast in the order of the file.
        ({"day": [*DAYS[:27], "Total"], "y": VARIED}, "in each row, but row 28 of 28 has 'Total'"),
        ({"day": ["", *DAYS[1:]], "y": VARIED}, "row 1 of 28 has an empty cell; correct it"),
        ({"day": [*DAYS[:9], "n/a 2024", *DAYS[10:]], "n": ROWS, "y": VARIED}, "'day' .* row 10"),
        # Without it, a forecast would be of another column than its user wants.
        (
            {"day": DAYS, "a": [*VARIED[:7], "oops", *VARIED[8:]], "b": VARIED},
            "the column 'a' must hold a number in each row, but row 8 of 28 has 'oops'; correct",
        ),
        (
            {"n": ROWS * 10, "a": [*(VARIED * 10)[:-2], "n.a.x", "x"], "b": VARIED * 10},
            r"row 279 of 280 has 'n.a.x' \(2 such cells\); .* name the columns to forecast without",
        ),
    ],
)
def test_what_can_not_be_told_is_refused(columns: Table, words: str) -> None:
    with pytest.raises(SeriesError, match=words):
        roles_of(PATH, columns)


@pytest.mark.parametrize(("separator", "own"), [(";", ","), (",", ";"), ("|", "\t")])
def test_a_separator_that_divides_nothing_is_named(
    tmp_path: Path, separator: str, own: str
) -> None:
    path = tmp_path / "load.csv"
    rows = "".join(f"{row}{own}{row % 5}\n" for row in range(9))
    path.write_text(f"time{own}load\n{rows}")
    with pytest.raises(SeriesError, match=r"load.csv must have cells that the separator .*'time"):
        columns_of(path, separator)
    assert list(columns_of(path, own)) == ["time", "load"]


def test_all_columns_of_a_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('day,"sold, in t",why\n2024-01-01,1.5,x\n2024-01-02,2.5,\n')
    assert columns_of(path)["sold, in t"] == ["1.5", "2.5"]
    path.write_text("day,sold\n")
    with pytest.raises(SeriesError, match="at least 2 rows"):
        columns_of(path)
    with pytest.raises(SeriesError, match="does not exist"):
        columns_of(tmp_path / "missing.csv")
