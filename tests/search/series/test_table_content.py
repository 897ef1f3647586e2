import json
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from search.errors import SeriesError
from search.series import MAX_TABLE_BYTES, Table

TABLE = Table("year", ("1", "2", "3"), ("a",), np.array([[1.0], [2.0], [4.0]]))


def test_a_table_knows_its_rows_and_what_comes_next() -> None:
    assert TABLE.rows == 3
    assert str(TABLE.interval) == "1"
    assert TABLE.continue_time(2) == ["4", "5"]


def test_its_values_are_its_own_and_can_not_be_written() -> None:
    values = np.array([[1.0], [2.0]])
    table = Table("t", ("1", "2"), ("a",), values)
    values[0] = 9
    assert table.values[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        table.values[0] = 9


@settings(deadline=None, max_examples=50)
@given(
    values=st_numpy.arrays(
        np.float64,
        st.tuples(st.integers(2, 20), st.integers(1, 3)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    ),
    time_column=st.text(max_size=10),
)
def test_bytes_bring_back_every_bit(values: np.ndarray, time_column: str) -> None:
    times = tuple(f"{row:03d}" for row in range(len(values)))
    columns = tuple(f"Spalte ü{channel}" for channel in range(values.shape[1]))
    table = Table(time_column, times, columns, values)
    again = Table.from_bytes(table.to_bytes())
    assert (again.time_column, again.times, again.columns) == (time_column, times, columns)
    assert again.values.tobytes() == table.values.tobytes()
    assert again.content_hash == table.content_hash
    assert again.to_bytes() == table.to_bytes()


@pytest.mark.parametrize(
    "other",
    [
        Table("jahr", ("1", "2", "3"), ("a",), TABLE.values),
        Table("year", ("1", "2", "4"), ("a",), TABLE.values),
        Table("year", ("1", "2", "3"), ("b",), TABLE.values),
        Table("year", ("1", "2", "3"), ("a",), np.nextafter(TABLE.values, 9)),
    ],
)
def test_any_difference_changes_the_hash(other: Table) -> None:
    assert other.content_hash != TABLE.content_hash


def test_the_hash_does_not_depend_on_the_layout_of_the_values() -> None:
    fortran = Table("t", ("1", "2"), ("a", "b"), np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]))
    plain = Table("t", ("1", "2"), ("a", "b"), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert fortran.content_hash == plain.content_hash


def test_a_table_too_large_to_keep_is_refused_with_its_size() -> None:
    channels = MAX_TABLE_BYTES // 8 // 1000
    noise = np.random.default_rng(0).standard_normal((1100, channels))
    table = Table("t", ("1",) * 1100, ("a",) * channels, noise)
    with pytest.raises(
        SeriesError, match=r"at most 16 MiB .* 1100 rows are .* MiB; give fewer rows"
    ):
        table.to_bytes()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no zlib",
        TABLE.to_bytes()[:-5],
        zlib.compress(b"no json\n"),
        zlib.compress(b"{}\n"),
        zlib.compress(b"[]\n"),
        zlib.compress(b'{"format": 1, "time_column": "t", "columns": ["a"], "times": 3}\n'),
        zlib.compress(zlib.decompress(TABLE.to_bytes())[:-3]),
        zlib.compress(zlib.decompress(TABLE.to_bytes())[:-8]),
    ],
)
def test_damaged_bytes_are_refused(damaged: bytes) -> None:
    with pytest.raises(SeriesError, match="stored table is damaged"):
        Table.from_bytes(damaged)


def test_bytes_of_a_newer_format_are_refused_with_the_remedy() -> None:
    newer = zlib.compress(json.dumps({"format": 4}).encode() + b"\n")
    with pytest.raises(SeriesError, match=r"format 4.*update freerun"):
        Table.from_bytes(newer)
