"""Files as people have them: each is read right, or refused with a remedy that works."""

import gzip
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from search.cli.table_options import as_options
from search.errors import SeriesError
from search.series import Table, TableSeries

Content = str | bytes | Callable[[], bytes]


@dataclass(frozen=True)
class Odd:
    """A file, the keys of [series], and the table that it is.

    following: the labels after its last row. notice: words of one of its notices.
    """

    name: str
    content: Content
    values: Any
    times: list[str]
    following: list[str]
    keys: Mapping[str, Any] = field(default_factory=dict)
    file: str = "table.csv"
    notice: str = ""


@dataclass(frozen=True)
class Refused:
    """A file that is refused: words of the message, and the keys that it names as the remedy."""

    name: str
    content: Content
    words: str
    remedy: Mapping[str, Any]
    values: Any
    following: list[str]
    keys: Mapping[str, Any] = field(default_factory=dict)
    file: str = "table.csv"


def read(folder: Path, case: Odd | Refused, **more: Any) -> Table:
    path = folder / case.file
    content = case.content() if callable(case.content) else case.content
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    keys = {"time": "t", "columns": ["x"], **case.keys, **more}
    raw = {"path": path.name, **{key: value for key, value in keys.items() if value != "none"}}
    return TableSeries.model_validate(raw).read(folder)


def parquet(**columns: Any) -> bytes:
    content = io.BytesIO()
    pl.DataFrame(columns).write_parquet(content)
    return content.getvalue()


def pandas_parquet(metadata: str, **columns: Any) -> bytes:
    content = io.BytesIO()
    pl.DataFrame(columns).write_parquet(content, metadata={"pandas": metadata})
    return content.getvalue()


def in_berlin() -> bytes:
    hours = [datetime(2024, 3, 30, 23) + timedelta(hours=h) for h in range(4)]
    times = pl.Series(hours).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    return parquet(t=times, x=[1.0, 2.0, 4.0, 3.0])


def days_in_berlin() -> bytes:
    days = [datetime(2024, 3, 29) + timedelta(days=d) for d in range(4)]
    return parquet(t=pl.Series(days).dt.replace_time_zone("Europe/Berlin"), x=[1.0, 2.0, 4.0, 3.0])


def column(*values: float) -> list[list[float]]:
    return [[value] for value in values]


ABC = column(1, 2.5, 4)
YEARS = ["2001", "2002", "2003"]
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]


def lines(*rows: str, head: str = "t,x") -> str:
    return "\n".join([head, *rows]) + "\n"


def sampled(labels: list[str]) -> str:
    """Values 1, 2, 4, 1, 2, 4, ... at some times."""
    return lines(*(f"{label},{(1, 2, 4)[row % 3]}" for row, label in enumerate(labels)))


def cycle(rows: int) -> list[list[float]]:
    return column(*((1, 2, 4)[row % 3] for row in range(rows)))


RIGHT = [
    Odd("semicolons and a decimal comma", lines("2001;1", "2002;2,5", "2003;4", head="t;x"), ABC,
        YEARS, ["2004"], notice="decimal comma"),
    Odd("tabs", lines("2001\t1", "2002\t2.5", "2003\t4", head="t\tx"), ABC, YEARS, ["2004"],
        notice="tabs"),
    Odd("vertical bars", lines("2001|1", "2002|2.5", "2003|4", head="t|x"), ABC, YEARS, ["2004"],
        notice="vertical bars"),
    Odd("Excel's line that names the separator", "sep=;\n" + lines("2001;1", "2002;2,5", "2003;4",
        head="t;x"), ABC, YEARS, ["2004"]),
    Odd("quoted decimal commas between commas", lines('2001,"1,0"', '2002,"2,5"', '2003,"4"'), ABC,
        YEARS, ["2004"], notice="decimal comma"),
    Odd("thousands with commas", lines('2001,"1,000"', '2002,"2,500.5"', '2003,"1,004,000"'),
        column(1000, 2500.5, 1004000), YEARS, ["2004"], notice="between thousands"),
    Odd("thousands with dots", lines("2001;1.000", "2002;2.500,5", "2003;1.004.000", head="t;x"),
        column(1000, 2500.5, 1004000), YEARS, ["2004"], notice="between thousands"),
    Odd("thousands with blanks", lines("2001;1\u202f000,5", "2002;2 500,5", "2003;4\xa0000",
        head="t;x"), column(1000.5, 2500.5, 4000), YEARS, ["2004"]),
    Odd("thousands with apostrophes", lines("2001,1'000.5", "2002,2'500", "2003,4000"),
        column(1000.5, 2500, 4000), YEARS, ["2004"]),
    Odd("a byte order mark", b"\xef\xbb\xbf" + lines("2001,1", "2002,2.5", "2003,4").encode(), ABC,
        YEARS, ["2004"]),
    Odd("UTF-16 with a mark", lines("2001,1", "2002,2.5", "2003,4").encode("utf-16"), ABC, YEARS,
        ["2004"], notice="UTF-16"),
    Odd("UTF-16 without a mark", lines("2001\t1", "2002\t2.5", "2003\t4", head="t\tx").encode(
        "utf-16-le"), ABC, YEARS, ["2004"], notice="UTF-16"),
    Odd("Windows-1252", lines("2001;1", "2002;2,5", "2003;4", head="Jahr;Größe").encode("cp1252"),
        ABC, YEARS, ["2004"], {"time": "Jahr", "columns": ["Größe"]}, notice="Windows-1252"),
    Odd("ISO 8859-1", lines("2001,1,\x81", "2002,2.5,é", "2003,4,", head="t,x,note").encode(
        "latin-1"), ABC, YEARS, ["2004"], notice="ISO 8859-1"),
    Odd("quoted and padded names", lines("2001, 1", "2002, 2.5", "2003, 4", head='" t ", "x "'),
        ABC, YEARS, ["2004"]),
    Odd("an index of pandas without a name", lines("0,2001,1", "1,2002,2.5", "2,2003,4",
        head=",t,x"), ABC, YEARS, ["2004"]),
    Odd("times in an index without a name", lines("2024-01-01,1", "2024-01-02,2.5", "2024-01-03,4",
        head=",x"), ABC, DAYS, ["2024-01-04"], {"time": "index"}),
    Odd("years as names of columns", lines("a,1,2", "b,2.5,3", "c,4,5", head="place,2023,2024"),
        ABC, ["1", "2", "3"], ["4"], {"time": "none", "columns": ["2023"]}),
    Odd("years as names beside an index", lines("2001,1", "2002,2.5", "2003,4", head=",2023"), ABC,
        YEARS, ["2004"], {"time": "index", "columns": ["2023"]}),
    Odd("row names of R", lines('"1",2001,1', '"2",2002,2.5', '"3",2003,4', head='"t","x"'), ABC,
        YEARS, ["2004"]),
    Odd("a separator at the end of lines", lines("2001;1;", "2002;2,5;", "2003;4;", head="t;x"),
        ABC, YEARS, ["2004"]),
    Odd("blank rows of a spreadsheet", lines(",", "2001,1", "2002,2.5", "2003,4", ",", ","), ABC,
        YEARS, ["2004"]),
    Odd("gzip", gzip.compress(lines("2001,1", "2002,2.5", "2003,4").encode()), ABC, YEARS, ["2004"],
        file="table.csv.gz"),
    Odd("gzip in two members, named as plain text", gzip.compress(b"t,x\n2001,1\n") + gzip.compress(
        b"2002,2.5\n2003,4\n"), ABC, YEARS, ["2004"]),
    Odd("Parquet with dates", lambda: parquet(
        t=[date(2024, 1, d) for d in (1, 2, 3)], x=[1.0, 2.5, 4.0]), ABC, DAYS,
        ["2024-01-04"], file="table.parquet"),
    Odd("Parquet without its suffix", lambda: parquet(t=[1, 2, 3], x=[1.0, 2.5, 4.0]), ABC,
        ["1", "2", "3"], ["4"], file="table"),
    Odd("Parquet with an index of pandas", lambda: pandas_parquet(
        '{"index_columns": ["__index_level_0__"]}', x=[1.0, 2.5, 4.0],
        __index_level_0__=[date(2024, 1, d) for d in (1, 2, 3)]), ABC, DAYS, ["2024-01-04"],
        {"time": "index"}),
    Odd("Parquet with a range of pandas", lambda: pandas_parquet('{"index_columns": [{"kind": '
        '"range", "name": "k", "start": 5, "stop": 11, "step": 2}]}', x=[1.0, 2.5, 4.0]), ABC,
        ["5", "7", "9"], ["11"], {"time": "k"}),
    Odd("Parquet with a time zone", in_berlin, column(1, 2, 4, 3),
        ["2024-03-31 00:00:00.000000+01:00", "2024-03-31 01:00:00.000000+01:00",
         "2024-03-31 03:00:00.000000+02:00", "2024-03-31 04:00:00.000000+02:00"],
        ["2024-03-31 05:00:00.000000+02:00"]),
    Odd("Parquet with days of a time zone", days_in_berlin, column(1, 2, 4, 3),
        ["2024-03-29 00:00:00.000000+01:00", "2024-03-30 00:00:00.000000+01:00",
         "2024-03-31 00:00:00.000000+01:00", "2024-04-01 00:00:00.000000+02:00"],
        ["2024-04-02 00:00:00.000000+02:00"]),
    Odd("an offset that changes with daylight saving", lines("2024-03-31T01:00+01:00,1",
        "2024-03-31T03:00+02:00,2.5", "2024-03-31T04:00+02:00,4"), ABC,
        ["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00", "2024-03-31T04:00+02:00"],
        ["2024-03-31T05:00+02:00"]),
    Odd("an hour that is there twice in autumn", lines("2024-10-27T02:00+02:00,1",
        "2024-10-27T02:00+01:00,2.5", "2024-10-27T03:00+01:00,4"), ABC,
        ["2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00", "2024-10-27T03:00+01:00"],
        ["2024-10-27T04:00+01:00"]),
    Odd("local days over daylight saving", lines("2024-03-30T00:00+01:00,1",
        "2024-03-31T00:00+01:00,2.5", "2024-04-01T00:00+02:00,4"), ABC,
        ["2024-03-30T00:00+01:00", "2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00"],
        ["2024-04-02T00:00+02:00"]),
    Odd("days first, told by a 13th", sampled([f"{d:02}/02/2024" for d in range(1, 15)]), cycle(14),
        [f"{d:02}/02/2024" for d in range(1, 15)], ["15/02/2024"], notice="%d/%m/%Y"),
    Odd("months first, told by a 13th", sampled([f"2/{d}/2024 0:00" for d in range(1, 15)]),
        cycle(14), [f"2/{d}/2024 0:00" for d in range(1, 15)], ["2/15/2024 0:00"]),
    Odd("days first, told by equal steps", sampled(
        [f"0{d}/02/2024 {h:02}:00" for d in (1, 2) for h in range(24)]), cycle(48),
        [f"0{d}/02/2024 {h:02}:00" for d in (1, 2) for h in range(24)], ["03/02/2024 00:00"]),
    Odd("dots are days first", lines("1.2.2024;1", "2.2.2024;2,5", "3.2.2024;4", head="t;x"), ABC,
        ["1.2.2024", "2.2.2024", "3.2.2024"], ["4.2.2024"]),
    Odd("half days", lines("1/31/2024 11:30 PM,1", "2/1/2024 12:00 AM,2.5", "2/1/2024 12:30 AM,4"),
        ABC, ["1/31/2024 11:30 PM", "2/1/2024 12:00 AM", "2/1/2024 12:30 AM"],
        ["2/1/2024 1:00 AM"]),
    Odd("two digits of a year", lines("30.12.99;1", "31.12.99;2,5", "01.01.00;4", head="t;x"), ABC,
        ["30.12.99", "31.12.99", "01.01.00"], ["02.01.00"]),
    Odd("names of months", lines("Nov-2023,1", "Dec-2023,2.5", "Jan-2024,4"), ABC,
        ["Nov-2023", "Dec-2023", "Jan-2024"], ["Feb-2024"]),
    Odd("names of months in capitals", lines("30DEC2023,1", "31DEC2023,2.5", "01JAN2024,4"), ABC,
        ["30DEC2023", "31DEC2023", "01JAN2024"], ["02JAN2024"]),
    Odd("whole names of months", lines(
        '"April 30, 2024",1', '"May 1, 2024",2.5', '"May 2, 2024",4'), ABC,
        ["April 30, 2024", "May 1, 2024", "May 2, 2024"], ["May 3, 2024"]),
    Odd("days by their digits", lines("20240130,1", "20240131,2.5", "20240201,4"), ABC,
        ["20240130", "20240131", "20240201"], ["20240202"], notice="by their digits"),
    Odd("months by their digits", lines("202311,1", "202312,2.5", "202401,4"), ABC,
        ["202311", "202312", "202401"], ["202402"]),
    Odd("hours by their digits", lines("2024013122,1", "2024013123,2.5", "2024020100,4"), ABC,
        ["2024013122", "2024013123", "2024020100"], ["2024020101"]),
    Odd("seconds since 1970", lines("1704067200,1", "1704070800,2.5", "1704074400,4"), ABC,
        ["1704067200", "1704070800", "1704074400"], ["1704078000"], notice="seconds since 1970"),
    Odd("milliseconds since 1970, by months", lines("1704067200000,1", "1706745600000,2.5",
        "1709251200000,4"), ABC, ["1704067200000", "1706745600000", "1709251200000"],
        ["1711929600000"], notice="milliseconds since 1970"),
    Odd("months of a statistics office", lines("2023M11,1", "2023M12,2.5", "2024M01,4"), ABC,
        ["2023M11", "2023M12", "2024M01"], ["2024M02"]),
    Odd("quarters", lines("2020Q3,1", "2020Q4,2.5", "2021Q1,4"), ABC,
        ["2020Q3", "2020Q4", "2021Q1"], ["2021Q2", "2021Q3"]),
    Odd("quarters with the year last", lines("Q3 2020,1", "Q4 2020,2.5", "Q1 2021,4"), ABC,
        ["Q3 2020", "Q4 2020", "Q1 2021"], ["Q2 2021"]),
    Odd("weeks", lines("2020-W52,1", "2020-W53,2.5", "2021-W01,4"), ABC,
        ["2020-W52", "2020-W53", "2021-W01"], ["2021-W02"]),
    Odd("last days of quarters", lines("2023-06-30,1", "2023-09-30,2.5", "2023-12-31,4"), ABC,
        ["2023-06-30", "2023-09-30", "2023-12-31"], ["2024-03-31"]),
    Odd("business days", sampled(["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]),
        cycle(4), ["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"],
        ["2024-01-10", "2024-01-11", "2024-01-12", "2024-01-15"], notice="business days"),
    Odd("no time column", lines("1", "2.5", "4", head="x"), ABC, ["1", "2", "3"], ["4", "5"],
        {"time": "none"}, notice="rows are numbered"),
    Odd("rows in no order", lines("2003,4", "2001,1", "2002,2.5"), ABC, YEARS, ["2004"],
        notice="sorted by time, since line 3"),
    Odd("a long table without times", lines("a,1", "b,3", "a,2", "b,5", head="id,x"),
        [[1, 3], [2, 5]], ["1", "2"], ["3"], {"time": "none", "id": "id"}),
    Odd("a comma in a quoted note", lines(
        '2001,"a, b",1', "2002,c,2.5", "2003,d,4", head="t,note,x"), ABC, YEARS, ["2004"]),
]  # fmt: skip

REFUSED = [
    Refused("a missing value", lines("2001,1", "2002,NA", "2003,4"),
            r"line 3: the column 'x' .* 'NA', which stands for no value \(1 of 3 .*missing = "
            '"interpolate"', {"missing": "interpolate"}, column(1, 2.5, 4), ["2004"]),
    Refused("a missing value to mask", lines("2001,1", "2002,NA", "2003,4", "2004,5"),
            r"or missing = \"mask\" in \[series\] to have it filled in or left out",
            {"missing": "mask"}, column(1, 2.5, 4, 5), ["2005"]),
    Refused("a gap to mask, with an end that is left out",
            lines(*(f"{t},{(1, 2, 4)[t % 3]}" for t in range(30) if t not in (5, 6)), "30,-"),
            r"2 of 31 rows are missing; write missing", {"missing": "mask"},
            [[(1, 2, 4)[t % 3] if t not in (5, 6) else 2] for t in range(30)], ["30"]),
    Refused("a gap", sampled(["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05"]),
            r"line 4: times must have equal steps.*'2024-01-02' to '2024-01-04' there are 2, where "
            r"most steps are 1 day: 1 of 5 rows is missing; write missing",
            {"missing": "interpolate"}, column(1, 2, 3, 4, 1), ["2024-01-06"]),
    Refused("a gap that a season fills in", lines(
            *(f"{t},{(1, 2, 4)[t % 3]}" for t in range(30) if t not in (5, 22, 23, 24, 25))),
            'missing = "seasonal"', {"missing": "seasonal", "period": 3.0}, cycle(30), ["30"]),
    Refused("a gap that nobody need fill in", lines("2001,1", "2002,2", "2005,4", "2006,3"),
            "leave out time", {"time": "none"}, column(1, 2, 4, 3), ["5"]),
    Refused("a business day that is missing", sampled(
            ["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09", "2024-01-11", "2024-01-12"]),
            "1 business day: 1 of 7", {"missing": "interpolate"}, column(1, 2, 4, 1, 1.5, 2, 4),
            ["2024-01-15"]),
    Refused("equal times", lines("2001,1", "2002,2", "2002,3", "2003,4"),
            r"line 4: the time '2002' is there twice, also in line 3; write duplicates = \"mean\"",
            {"duplicates": "mean"}, ABC, ["2004"]),
    Refused("equal times, of which the last counts", lines("2001,1", "2002,2", "2002,2.5",
            "2003,4"), 'duplicates = "last"', {"duplicates": "last"}, ABC, ["2004"]),
    Refused("a long table", lines("a,1,1", "b,1,3", "a,2,2", "b,2,5", head="shop,t,x"),
            r"line 3: the time '1' is there twice, also in line 2, and 2 times are in 4 rows: the "
            r'rows are several series .* write id = "shop"', {"id": "shop"}, [[1, 3], [2, 5]],
            ["3"]),
    Refused("a long table of which one id lacks a time", lines("a,1,1", "a,2,2", "a,3,4", "b,1,3",
            "b,3,5", head="id,t,x"),
            r"'b' has 2 of 3 and none at '2', which 'a' has; write missing",
            {"missing": "interpolate"}, [[1, 3], [2, 4], [4, 5]], ["4"], {"id": "id"}),
    Refused("days or months first", lines("01/02/2024,1", "02/02/2024,2.5", "03/02/2024,4"),
            r'line 2: .*2 ways.*time_format = "%d/%m/%Y" \(2024-02-01\) or time_format = '
            r'"%m/%d/%Y" \(2024-01-02\)', {"time_format": "%m/%d/%Y"}, ABC, ["04/02/2024"]),
    Refused("days or months first, days", lines("01/02/2024,1", "02/02/2024,2.5", "03/02/2024,4"),
            '"%d/%m/%Y"', {"time_format": "%d/%m/%Y"}, ABC, ["04/02/2024"]),
    Refused("decimals or thousands", lines("2001;1,000", "2002;2,500", "2003;4,000", head="t;x"),
            r"line 2: .*','.* before decimals or between thousands.*decimal = ", {"decimal": ","},
            ABC, ["2004"]),
    Refused("decimals or thousands, thousands", lines('2001,"1,000"', '2002,"2,500"', '2003,"4"'),
            "decimal = ", {"decimal": "."}, column(1000, 2500, 4), ["2004"]),
    Refused("a way to write times that nobody knows", lines("2024 d 1 h 22,1", "2024 d 1 h 23,2.5",
            "2024 d 2 h 00,4"), r"line 2: .*neither a number nor a date.*time_format",
            {"time_format": "2024 d %d h %H"}, ABC, []),
    Refused("times that are uneven", lines("2024-01-01 00:00:03,1", "2024-01-01 00:05:01,2.5",
            "2024-01-01 00:10:02,4"), "resample the table to equal steps, or leave out time",
            {"time": "none"}, ABC, ["4"]),
    Refused("a separator that is not known", lines("2001#1", "2002#2.5", "2003#4", head="t#x"),
            r"no column 't'.*one column, 't#x': name its separator", {"separator": "#"}, ABC,
            ["2004"]),
]  # fmt: skip


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.name)
def test_an_odd_file_is_read_right(tmp_path: Path, case: Odd) -> None:
    table = read(tmp_path, case)
    np.testing.assert_array_equal(table.values, case.values)
    assert list(table.times) == case.times
    assert table.continue_time(len(case.following)) == case.following
    assert any(case.notice in notice for notice in [*table.notices, ""])
    assert not case.notice or any(case.notice in notice for notice in table.notices)
    # What is kept with a study is the same table, without its file.
    kept = Table.from_bytes(table.to_bytes())
    assert kept.content_hash == table.content_hash
    assert kept.continue_time(len(case.following)) == case.following
    assert kept.positions == table.positions


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_an_odd_file_is_refused_with_a_remedy_that_works(tmp_path: Path, case: Refused) -> None:
    with pytest.raises(SeriesError, match=case.words) as raised:
        read(tmp_path, case)
    assert "\n" not in str(raised.value)
    if not case.following:
        return
    table = read(tmp_path, case, **case.remedy)
    np.testing.assert_allclose(table.values, case.values)
    assert table.continue_time(len(case.following)) == case.following
    kept = Table.from_bytes(table.to_bytes())
    assert kept.continue_time(len(case.following)) == case.following
    assert kept.filled == table.filled
    assert kept.is_masked == table.is_masked == (case.remedy.get("missing") == "mask")
    np.testing.assert_array_equal(kept.observed, table.observed)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_the_remedy_is_an_option_where_there_is_no_study_file(
    tmp_path: Path, case: Refused
) -> None:
    with pytest.raises(SeriesError) as raised:
        read(tmp_path, case)
    said = as_options(str(raised.value))
    assert "[series]" not in said
    assert not re.search(r"[a-z_]+ = ", said)
    # The words name one of several remedies at least.
    key = next(iter(case.remedy))
    no_time = case.remedy[key] == "none"
    assert ("--no-time" if no_time else f"--{key.replace('_', '-')}") in said


def _workbook() -> bytes:
    """A blank row, a header, and three rows with dates as Excel has them: days since 1899-12-30."""
    name = "http://schemas.openxmlformats.org"
    rows = '<row r="2"><c r="A2" t="inlineStr"><is><t>t</t></is></c>'
    rows += '<c r="B2" t="inlineStr"><is><t>x</t></is></c></row>'
    for row, (day, value) in enumerate([(45292, 1), (45293, 2.5), (45294, 4)], 3):
        rows += f'<row r="{row}"><c r="A{row}" s="1"><v>{day}</v></c>'
        rows += f'<c r="B{row}"><v>{value}</v></c></row>'
    main = f'xmlns="{name}/spreadsheetml/2006/main"'
    relations = f'<Relationships xmlns="{name}/package/2006/relationships">'
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{name}/package/2006/content-types"><Default '
        'Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/><Override '
        f'PartName="/xl/worksheets/s.xml" ContentType="{kinds}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{relations}<Relationship Id="r1" Type="{name}/officeDocument/2006/'
        'relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{name}/officeDocument/2006/relationships">'
        '<sheets><sheet name="one" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{relations}<Relationship Id="r1" Type="{name}/'
        'officeDocument/2006/relationships/worksheet" Target="worksheets/s.xml"/><Relationship '
        f'Id="r2" Type="{name}/officeDocument/2006/relationships/styles" Target="styles.xml"/>'
        "</Relationships>",
        "xl/styles.xml": f'<styleSheet {main}><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="14"/></cellXfs></styleSheet>',
        "xl/worksheets/s.xml": f"<worksheet {main}><sheetData>{rows}</sheetData></worksheet>",
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for part, text in parts.items():
            archive.writestr(part, text)
    return content.getvalue()


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("table.csv", "t,x\n1,2\n2,3\n")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_zip(), "is a ZIP archive; unpack it"),
        (gzip.compress(b"t,x\n1,2\n2,3\n", mtime=0)[:-9], "is damaged: .*; compress it again"),
        (gzip.compress(bytes(2**20), mtime=0) * 257, "at most 256 MiB when unpacked"),
        (b"PAR1 and no more", "can't be read as Parquet"),
        (b"\xff\xfet,\0x\n", "begins as UTF-16 text, but is not"),
        (bytes(range(256)), "is no text, and no Parquet or Excel file"),
        (b"2001,1\n2002,2\n2003,4\n", r"no header, but data \(2001, 1\): write one with"),
        (b"2024-01-01,\n2024-01-02,2\n", "must begin with the names of its columns"),
        (b"Nov 2023;$1,234.50\nDec 2023;$2.00\n", "Its first line is no header, but data"),
        (b"0.5\n0.7\n", "Its first line is no header, but data"),
        (b"t,x\n2001,1 EUR\n2002,2 EUR\n", "has '1 EUR'; write numbers without .*: remove 'EUR'"),
        ("t,x\n2001,1 €\n2002,2 €\n".encode(), "write numbers without a unit"),
        (b"t,x\n2001,1\n2002,2,5\n2003,3,5\n", "numbers with commas need quotes"),
        (b"t;x\n2001;1.5\n2002;2,5\n2003;3.5\n", "other cells have the decimal sign '.'"),
        (b"Sales\nt,x\n2001,1\n2002,2\n", r"1 cell as the header has \('Sales'\), .* titles above"),
        (b"t,x\n2001-01-01 00:00:00,1\n2001-01-01 00:00:01,2\n2031-01-01 00:00:00,3\n",
         "at least half of the times must be there, .* '2001-01-01 00:00:01' to '2031"),
        (b"t,x\n2001,1\n2002,?\n2003,..\n2004,\n2005,2\n", r"'\?', which .* \(3 of 5 values"),
        (b"t,x\n31/12/2024,1\n12/31/2024,2\n", "line 3: .*'12/31/2024' is not written like the fi"),
        (b"t,x\n1,1\n2,2\n3,3\n" + b"9" * 6000 + b",4\n", "of more than 1,000,000,000,000,000"),
        (b"t,x\n2023-Mai,1\n2023-Jun,2\n", "neither a number nor a date .*time_format"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_named_with_what_to_do(
    tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(SeriesError, match=words) as raised:
        read(tmp_path, Odd("", content, None, [], []))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_a_workbook_is_its_first_sheet(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel", reason="the extra `excel` is not installed")
    table = read(tmp_path, Odd("", _workbook(), None, [], [], file="table.xlsx"))
    np.testing.assert_array_equal(table.values, ABC)
    assert table.times == ("2024-01-01 00:00:00", "2024-01-02 00:00:00", "2024-01-03 00:00:00")
    assert table.continue_time(1) == ["2024-01-04 00:00:00"]
    with pytest.raises(SeriesError, match=r"table.xlsx has no column 'y'. It has: t, x"):
        read(tmp_path, Odd("", _workbook(), None, [], [], {"columns": ["y"]}, "table.xlsx"))
    damaged = _workbook()[:-200]
    with pytest.raises(SeriesError, match=r"is damaged|can't be read"):
        read(tmp_path, Odd("", damaged, None, [], [], file="table.xlsx"))


def test_zstandard_is_unpacked(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard", reason="the extra `zstd` is not installed")
    content = zstandard.ZstdCompressor().compress(b"t,x\n2001,1\n2002,2.5\n2003,4\n")
    table = read(tmp_path, Odd("", content, None, [], [], file="table.csv.zst"))
    np.testing.assert_array_equal(table.values, ABC)
    with pytest.raises(SeriesError, match="is damaged"):
        read(tmp_path, Odd("", content[:-4], None, [], [], file="table.csv.zst"))
    bomb = zstandard.ZstdCompressor().compress(bytes(257 * 2**20))
    with pytest.raises(SeriesError, match="at most 256 MiB when unpacked"):
        read(tmp_path, Odd("", bomb, None, [], []))


@pytest.mark.parametrize(
    ("labels", "is_clock"),
    [
        (["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00"], True),
        (["2024-10-27T01:00Z", "2024-10-27T02:00Z", "2024-10-27T02:00Z"], False),
        (["2024-10-26", "2024-10-27", "2024-10-27", "2024-10-28"], False),
    ],
)
def test_a_clock_that_was_set_back_is_a_reason_for_equal_times(
    tmp_path: Path, labels: list[str], is_clock: bool
) -> None:
    rows = "".join(f"{label},{row % 3}\n" for row, label in enumerate(labels))
    (tmp_path / "table.csv").write_text(f"t,x\n{rows}")
    with pytest.raises(SeriesError, match="is there twice") as raised:
        TableSeries(path="table.csv", time="t", columns=("x",)).read(tmp_path)
    advice = "or if a clock was set back there, give times with their offset from UTC"
    assert (advice in as_options(str(raised.value))) == is_clock
