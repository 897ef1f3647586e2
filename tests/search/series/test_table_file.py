from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.errors import SeriesError
from search.series import Table, read_table

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_csv(content: str | bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_csv


def read(path: Path, *columns: str) -> Table:
    return read_table(path, "year", columns or ("spots",))


def test_columns_are_found_by_name_and_labels_kept_as_written(write: Write) -> None:
    path = write("note,spots,year\nx,5,1700\ny,11.5,1701\nz,-1e-3,1702\n")
    table = read(path)
    assert table.time_column == "year"
    assert table.columns == ("spots",)
    assert table.times == ("1700", "1701", "1702")
    np.testing.assert_array_equal(table.values, [[5.0], [11.5], [-0.001]])


def test_several_value_columns_are_channels_in_the_order_asked_for(write: Write) -> None:
    table = read(write("year,a,b\n1,2,3\n2,4,6\n"), "b", "a")
    np.testing.assert_array_equal(table.values, [[3, 2], [6, 4]])


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfyear,spots\r\n1,5\r\n2,6\r\n",
        b'"year","spots"\n"1","5"\n"2","6"\n',
        b"year, spots\n1, 5\n2, 6\n",
        b"year,spots\n1,5\n\n2,6\n\n",
        b"\nyear,spots\n1,5\n2,6",
    ],
)
def test_usual_variants_of_csv_are_read(write: Write, content: bytes) -> None:
    np.testing.assert_array_equal(read(write(content)).values, [[5.0], [6.0]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", r"no column 'year'.*empty"),
        ("year,spot\n1,2\n2,3\n", r"no column 'spots'. Did you mean 'spot'\? It has: year, spot"),
        ("year,spots,spots\n1,2,3\n2,3,4\n", r"two columns 'spots'; rename"),
        ("year,spots\n", r"at least 2 rows of data, but has 0"),
        ("year,spots\n1,2\n", r"at least 2 rows of data, but has 1"),
        ("year,spots\n1,2\n2,many\n3,4\n", r"line 3: .*'spots' must hold finite.*'many'"),
        (
            "year,spots\n1,2\n2,nan\n3,4\n",
            r"line 3: .*'nan', which stands for no value .*; fill it in, or",
        ),
        ("year,spots\n1,2\n2,NA\n3,4\n", r"line 3: .*'NA'"),
        ("year,spots\n1,2\n2,-inf\n3,4\n", r"line 3: .*'-inf'"),
        ("year,spots\n1,2\n2,1e999\n3,4\n", r"line 3: .*'1e999'"),
        ("year,spots\n1,2\n2,1_0\n3,4\n", r"line 3: .*'1_0'"),
        ("year,spots\n1,2\n2,\n3,4\n", r"line 3: .*an empty cell"),
        ("year,spots\n1,7\n2,7\n3,7.0\n", r"'spots' is constant \(7 in every row\)"),
        ("year,spots\n1,2\n2,3\n4,4\n", r"line 4: times must have equal steps"),
        ("year,spots\n1,2\n2,3\n2,4\n", r"line 4: the time '2' is there twice"),
        ("year,spots\n1,2\n,3\n3,4\n", r"line 3: the time is empty"),
        ("year,spots\n1,2\n2,3,4\n", r"line 3: every line must have 2 cells.*has 3"),
        ("year,spots\n1,2\n2\n", r"line 3: every line must have 2 cells.*has 1"),
        ('year,spots\n1,2\n2,"3\n', r"line 3: not CSV .*correct the quotes"),
        (b"year,spots\n1,2\n2,\0\n", r"is no text, and no Parquet or Excel file; save it"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_remedy(
    write: Write, content: str | bytes, words: str
) -> None:
    path = write(content)
    with pytest.raises(SeriesError, match=words) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_lines_count_blank_lines_and_quoted_line_breaks(write: Write) -> None:
    path = write('year,note,spots\n\n1,"two\nlines",2\n2,x,3\n3,x,?\n')
    with pytest.raises(SeriesError, match=r"line 6: .*'\?'"):
        read(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"none\.csv must be a table, but .* name a CSV"):
        read(tmp_path / "none.csv")
    with pytest.raises(SeriesError, match="is a folder"):
        read(tmp_path)


def test_parquet_gives_the_same_table_as_csv(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "table.parquet"
    pl.DataFrame({"year": [1700, 1701, 1702], "spots": [5.0, 11.5, 0.1 + 0.2]}).write_parquet(path)
    csv = write(f"year,spots\n1700,5\n1701,11.5\n1702,{0.1 + 0.2!r}\n")
    assert read(path).content_hash == read(csv).content_hash


@pytest.mark.parametrize(
    ("times", "following"),
    [
        ([date(2024, 1, 30), date(2024, 1, 31)], "2024-02-01"),
        ([datetime(2024, 1, 1, 5), datetime(2024, 1, 1, 6)], "2024-01-01 07:00:00.000000"),
        ([1, 2], "3"),
        (["2024-01", "2024-02"], "2024-03"),
    ],
)
def test_parquet_times_may_be_dates(tmp_path: Path, times: list[object], following: str) -> None:
    path = tmp_path / "table.PARQUET"
    pl.DataFrame({"year": times, "spots": [1, 2]}).write_parquet(path)
    assert read(path).continue_time(1) == [following]


def test_parquet_problems_name_the_row(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pl.DataFrame({"year": [1, 2, 3], "spots": [1.0, None, 3.0]}).write_parquet(path)
    with pytest.raises(SeriesError, match=r"row 2: .*an empty cell"):
        read(path)
    with pytest.raises(SeriesError, match=r"no column 'spot'. Did you mean 'spots'\?"):
        read(path, "spot")
    path.write_bytes(b"PAR1 this is not Parquet")
    with pytest.raises(SeriesError, match="can't be read as Parquet"):
        read(path)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(alphabet='year,spots\n\r"0123456789.-nai;\0', max_size=60))
def test_any_text_is_a_table_or_a_series_error(write: Write, rows: str) -> None:
    path = write("year,spots\n" + rows)
    try:
        table = read(path)
    except SeriesError:
        return
    assert np.isfinite(table.values).all()
    assert table.rows >= 2


def test_times_of_a_stored_table_that_are_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("year,spots\n1900,1\n1901,2\n1902,3\n")
    damaged = replace(
        read_table(path, "year", ("spots",)), times=("1900", "19" + "x" * 5000, "1902")
    )
    with pytest.raises(SeriesError, match="the table's times can't be read") as refusal:
        _ = damaged.interval
    assert len(str(refusal.value)) < 1000
