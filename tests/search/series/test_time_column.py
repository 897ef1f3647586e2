from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import SeriesError
from search.series.time_column import TimeLabelError, read_interval


@pytest.mark.parametrize(
    ("labels", "interval", "following"),
    [
        (["1700", "1701", "1702"], "1", ["1703", "1704"]),
        (["-2", "0", "2"], "2", ["4", "6"]),
        (["098", "099"], "1", ["100", "101"]),
        (["0.1", "0.2", "0.3"], "0.1", ["0.4", "0.5"]),
        (["0.5", "1.0"], "0.5", ["1.5", "2.0"]),
        (["0.25", "0.5", "0.75"], "0.25", ["1.0", "1.25"]),
        (["0.8", "0.9", "1"], "0.1", ["1.1", "1.2"]),
        (["0.33", "0.67", "1.00", "1.33"], "0.333333", ["1.66", "2.00"]),
        (["1e3", "2e3"], "1000", ["3000", "4000"]),
        (["2024-01-30", "2024-01-31"], "1 day", ["2024-02-01", "2024-02-02"]),
        (["2024-02-22", "2024-02-29"], "7 days", ["2024-03-07", "2024-03-14"]),
        (["2024/12/30", "2024/12/31"], "1 day", ["2025/01/01", "2025/01/02"]),
        (["2023-11", "2023-12"], "1 month", ["2024-01", "2024-02"]),
        (["2023-10-01", "2024-01-01"], "3 months", ["2024-04-01", "2024-07-01"]),
        (["2023-12-31", "2024-01-31", "2024-02-29"], "1 month", ["2024-03-31", "2024-04-30"]),
        (["2022-07-01", "2023-07-01"], "1 year", ["2024-07-01", "2025-07-01"]),
        (["2020-02-29", "2021-02-28"], "1 year", ["2022-02-28", "2023-02-28"]),
        (["2024-01-01 00:00", "2024-01-01 01:30"], "90 minutes", ["2024-01-01 03:00"]),
        (["2024-01-01 23:00", "2024-01-02 00:00"], "1 hour", ["2024-01-02 01:00"]),
        (["2024-01-01T00:00:00Z", "2024-01-01T00:00:30Z"], "30 seconds", ["2024-01-01T00:01:00Z"]),
        (
            ["2024-01-01 00:00:00.000+01:00", "2024-01-01 00:00:00.250+01:00"],
            "0:00:00.250000",
            ["2024-01-01 00:00:00.500+01:00"],
        ),
        (
            ["2024-01-01 00:00:00.000000000", "2024-01-02 00:00:00.000000000"],
            "1 day",
            ["2024-01-03 00:00:00.000000000"],
        ),
    ],
)
def test_a_column_continues_in_its_own_format(
    labels: list[str], interval: str, following: list[str]
) -> None:
    column = read_interval(labels)
    assert str(column) == interval
    assert column.continue_time(len(following)) == following
    assert column.continue_time(0) == []


@pytest.mark.parametrize(
    ("labels", "row", "words"),
    [
        (["1", "2", "4"], 2, "from '2' to '4' there are 2, where most steps are 1"),
        (["1", "2", "2"], 2, "'2' comes after '2'"),
        (["1", "2", "1.5"], 2, "'1.5' comes after '2'"),
        (["1", "3", "4", "5"], 1, "from '1' to '3'"),
        (["1", "", "3"], 1, "empty"),
        (["1", "2", "three"], 2, "'three' is no number"),
        (["1", "2", "nan"], 2, "'nan' is no number"),
        (["1", "2", "1_0"], 2, "'1_0' is no number"),
        (["0.1", "0.2", "0.4"], 2, "from '0.2' to '0.4'"),
        (["noon", "2"], 0, "neither a number nor a date"),
        (["31.01.2024", "01.02.2024", "30/02/2024"], 2, "is not written like the first"),
        (["2024-01-01", "2024-01-02", "2024-01-04"], 2, "there are 2, where most steps are 1 day"),
        (["2024-01-01", "2024-01-02", "2024-01-02 12:00"], 2, "not written like the first"),
        (
            ["2024-01-01 00:00", "2024-01-02 00:00", "2024-01-02 05:00"],
            1,
            "it is 1 day, where most steps are 5 hours",
        ),
        (["2024-01", "2024-02", "2024-04", "2024-05"], 2, "there are 2, where most steps are 1 mo"),
        (["2024-01-01", "2024-01-02 00:00"], 1, "not written like the first"),
        (["2024-01-01 00:00Z", "2024-01-01 02:00"], 1, "not written like the first"),
        (["2024-02-28", "2024-02-30"], 1, "not in the calendar"),
        (["2024-01-01 00:00:00.0000001", "2024-01-01 00:00:01.0000001"], 0, "finer"),
        (["2024-01-02", "2024-01-01"], 1, "comes after"),
    ],
)
def test_the_first_offending_row_is_named(labels: list[str], row: int, words: str) -> None:
    with pytest.raises(TimeLabelError) as raised:
        read_interval(labels)
    assert raised.value.row == row
    assert words in raised.value.rule


@pytest.mark.parametrize("labels", [["9998", "9999"], ["9998-01-01", "9999-01-01"]])
def test_only_the_calendar_ends(labels: list[str]) -> None:
    interval = read_interval(labels)
    if "-" not in labels[0]:
        assert interval.continue_time(2) == ["10000", "10001"]
        return
    with pytest.raises(SeriesError, match="year 9999"):
        interval.continue_time(2)


@pytest.mark.parametrize("step", [timedelta(days=400), timedelta(hours=5)])
def test_the_calendar_ends_for_durations_too(step: timedelta) -> None:
    last = datetime(9999, 12, 31)
    interval = read_interval([(last - step).isoformat(sep=" "), last.isoformat(sep=" ")])
    with pytest.raises(SeriesError, match="forecast fewer steps"):
        interval.continue_time(100)


@settings(deadline=None, max_examples=100)
@given(
    start=st.integers(-(10**6), 10**6),
    step=st.integers(1, 10**5),
    decimals=st.integers(0, 6),
    rows=st.integers(2, 30),
    ahead=st.integers(1, 10),
)
def test_equal_numbers_continue_themselves(
    start: int, step: int, decimals: int, rows: int, ahead: int
) -> None:
    labels = [_decimal(start + step * row, decimals) for row in range(rows + ahead)]
    assert read_interval(labels[:rows]).continue_time(ahead) == labels[rows:]


def _decimal(units: int, decimals: int) -> str:
    digits = f"{abs(units):0{decimals + 1}d}"
    sign = "-" if units < 0 else ""
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    return sign + whole + ("." + fraction if fraction else "")


@settings(deadline=None, max_examples=100)
@given(
    start=st.dates(date(1600, 1, 1), date(2400, 1, 1)),
    days=st.integers(1, 27),
    rows=st.integers(2, 30),
    ahead=st.integers(1, 10),
)
def test_equal_days_continue_themselves(start: date, days: int, rows: int, ahead: int) -> None:
    labels = [str(start + timedelta(days=days * row)) for row in range(rows + ahead)]
    assert read_interval(labels[:rows]).continue_time(ahead) == labels[rows:]


@settings(deadline=None, max_examples=100)
@given(
    first=st.integers(1600 * 12, 2400 * 12),
    day=st.integers(1, 28),
    months=st.integers(1, 24),
    rows=st.integers(2, 30),
    ahead=st.integers(1, 10),
)
def test_equal_months_continue_themselves(
    first: int, day: int, months: int, rows: int, ahead: int
) -> None:
    numbers = [first + months * row for row in range(rows + ahead)]
    labels = [f"{number // 12:04d}-{number % 12 + 1:02d}-{day:02d}" for number in numbers]
    assert read_interval(labels[:rows]).continue_time(ahead) == labels[rows:]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(alphabet="0123456789.-+:T Ze/_", max_size=25), min_size=2, max_size=5))
def test_any_text_is_an_interval_or_a_problem_in_a_row(labels: list[str]) -> None:
    rows: list[int] = []
    try:
        following = read_interval(labels).continue_time(1)
    except TimeLabelError as problem:
        rows.append(problem.row)
    else:
        assert len(following) == 1
    assert all(0 <= row < len(labels) for row in rows)
