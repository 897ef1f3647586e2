"""Long tables: whatever the order of their rows is, they are the wide table of the same series."""

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.errors import SeriesError
from search.series import FloatArray, Table, read_table

HEAD = "store,day,sales\n"


def read(folder: Path, content: str, *columns: str) -> Table:
    path = folder / "long.csv"
    path.write_text(content)
    return read_table(path, "day", columns or ("sales",), "store")


def long_rows(names: list[str], days: list[str], values: FloatArray) -> list[str]:
    """Lines of a long table of `[day, id, column]`."""
    return [
        ",".join([name, day, *map(repr, values[d, i].tolist())]) + "\n"
        for d, day in enumerate(days)
        for i, name in enumerate(names)
    ]


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    names=st.lists(
        st.text("abz019 ", min_size=1).map(str.strip).filter(bool),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    days=st.integers(2, 8),
    columns=st.integers(1, 3),
    seed=st.integers(0, 999),
)
def test_a_long_table_is_the_wide_one_in_any_order_of_its_rows(
    tmp_path: Path, names: list[str], days: int, columns: int, seed: int
) -> None:
    values = np.random.default_rng(seed).standard_normal((days, len(names), columns))
    labels = [f"2024-01-{day:02}" for day in range(9, 9 + days)]
    value_names = [f"v{number}" for number in range(columns)]
    rows = long_rows(names, labels, values)
    random.Random(seed).shuffle(rows)
    header = ",".join(["store", "day", *value_names]) + "\n"
    found = read(tmp_path, header + "".join(rows), *value_names)
    assert found.times == tuple(labels)
    assert found.long is not None
    assert sorted(found.long.ids) == sorted(names)
    for place, name in enumerate(found.long.ids):
        own = found.values[:, place * columns : (place + 1) * columns]
        np.testing.assert_array_equal(own, values[:, names.index(name)])
    expected = found.long.ids
    if columns > 1:
        expected = tuple(f"{name} {value}" for name in found.long.ids for value in value_names)
    assert found.columns == expected
    assert found.continue_time(1) == [f"2024-01-{9 + days:02}"]


def test_ids_that_are_numbers_stand_by_their_size_and_before_others(tmp_path: Path) -> None:
    content = HEAD + "".join(
        f"{name},{day},{day * number}\n"
        for number, name in enumerate(["b", "10", "9", "-1"], 1)
        for day in (10, 9)
    )
    found = read(tmp_path, content)
    assert found.columns == ("-1", "9", "10", "b")
    assert found.times == ("9", "10")


def test_a_parquet_file_may_be_long(tmp_path: Path) -> None:
    rows = {"store": [2, 1, 1, 2], "day": [1, 2, 1, 2], "sales": [1.0, 2.0, 3.0, 4.0]}
    pl.DataFrame(rows).write_parquet(tmp_path / "long.parquet")
    found = read_table(tmp_path / "long.parquet", "day", ["sales"], "store")
    assert found.columns == ("1", "2")
    np.testing.assert_array_equal(found.values, [[3.0, 1.0], [2.0, 4.0]])


def test_what_a_long_table_was_is_kept_with_its_study(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + "a,1,1\na,2,2\nb,1,3\nb,2,5\n")
    again = Table.from_bytes(found.to_bytes())
    assert again.long == found.long
    assert again.content_hash == found.content_hash
    wide = Table(found.time_column, found.times, found.columns, found.values)
    assert Table.from_bytes(wide.to_bytes()).long is None
    assert wide.content_hash != found.content_hash


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        (
            "a,1,1\na,2,2\nb,1,3\n",
            "'b' has 1 of 2 and none at '2', which 'a' has; write missing",
        ),
        ("a,1,1\na,2,2\na,1,3\n", "line 4: the id 'a' must have each time once, but has '1' here"),
        ("a,1,1\n ,2,2\n", "line 3: the id is empty; fill it in"),
        ("a,1,1\na,x,2\n", "line 3: the time 'x' is no number"),
        ("a,1,1\na,,2\n", "line 3: the time is empty"),
        ("b,9,5\na,4,1\na,2,2\na,9,2\nb,4,3\nb,2,4\n", "line 5: times must have equal steps"),
        ("a,1,1\na,2,2\nb,1,3\nb,2,3\n", "the store 'b' is constant .* leave its rows out"),
        ("a,1,1\nb,1,3\n", "each id must have at least 2 rows, but has 1"),
        ("a,1,1\na,2,x\n", "line 3: the column 'sales' must hold finite numbers"),
    ],
)
def test_a_long_table_that_is_no_set_of_series_is_refused(
    tmp_path: Path, rows: str, rule: str
) -> None:
    with pytest.raises(SeriesError, match=rule):
        read(tmp_path, HEAD + rows)


def test_names_of_channels_that_would_be_equal_are_refused(tmp_path: Path) -> None:
    content = "store,day,c,b c\n" + "".join(
        f"{name},{day},{day},{day**2}\n" for name in ("a", "a b") for day in (1, 2)
    )
    with pytest.raises(SeriesError, match="such as 'a b c'; rename some ids"):
        read(tmp_path, content, "c", "b c")
