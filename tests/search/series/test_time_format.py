"""Times are written as they were read, whatever the format is."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import SeriesError
from search.series.time_column import TimeLabelError, read_interval, read_times
from search.series.time_format import PatternError, TimePattern, patterns_of

# All but %q, %3f and the flags are those of Python.
PATTERNS = [
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%d-%b-%Y %H:%M",
    "%B %d, %Y %H:%M",
    "%Y%m%d%H%M",
    "%d%b%y %H:%M",
    "%d.%m.%Y %H:%M:%S.%f",
]


@settings(deadline=None, max_examples=150)
@given(
    pattern=st.sampled_from(PATTERNS),
    start=st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1)),
    hours=st.integers(1, 60),
    rows=st.integers(30, 60),
    ahead=st.integers(1, 5),
)
def test_a_column_goes_on_as_strftime_would_write_it(
    pattern: str, start: datetime, hours: int, rows: int, ahead: int
) -> None:
    start = start.replace(minute=30, second=0, microsecond=0)
    instants = [start + timedelta(hours=hours * row) for row in range(rows + ahead)]
    labels = [instant.strftime(pattern) for instant in instants]
    told = read_times(labels[:rows], pattern)
    assert list(told.locals) == instants[:rows]
    assert read_interval(labels[:rows], pattern).continue_time(ahead) == labels[rows:]
    try:
        found = read_times(labels[:rows])
    except TimeLabelError:  # a day and a month that nothing tells apart
        with pytest.raises(TimeLabelError, match=r"can be read in 2 ways.*time_format"):
            read_times(labels[:rows])
        return
    assert list(found.locals) == instants[:rows]
    assert read_interval(labels[:rows], found.name).continue_time(ahead) == labels[rows:]


@pytest.mark.parametrize(
    ("labels", "following"),
    [
        (["9/30/2024", "10/1/2024"], "10/2/2024"),
        (["9:00, 30.9.2024", "10:00, 30.9.2024"], None),
        (["30.9.2024 9:00", "30.9.2024 10:00"], "30.9.2024 11:00"),
        (["31 dec 2024", "1 jan 2025"], "2 Jan 2025"),
        (["31 December 2024", "1 January 2025"], "2 January 2025"),
        (["2024-DEC", "2025-JAN"], "2025-FEB"),
        (["1/2/24 11:00 am", "13/2/24 11:00 am"], "25/2/24 11:00 am"),
        (["2020q4", "2021q1"], "2021q2"),
        (["2020:1", "2020:2"], "2020:3"),
        (["2020.01", "2020.02", "2020.12"], None),
        (["2020.11", "2020.12", "2021.01"], "2021.02"),
        (["01.01.2024 00:00:00.250", "01.01.2024 00:00:00.500"], "01.01.2024 00:00:00.750"),
        (["30/12/2024 23:00 +01:00", "31/12/2024 00:00 +01:00"], "31/12/2024 01:00 +01:00"),
    ],
)
def test_labels_go_on_in_their_own_style(labels: list[str], following: str | None) -> None:
    if following is None:
        with pytest.raises(TimeLabelError):
            read_interval(labels)
        return
    assert read_interval(labels).continue_time(1) == [following]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("%d.%m", "must have a year"),
        ("%d %Y", "a day without a month"),
        ("%Y %Q", "has %Q; there may be %Y"),
        ("%Y %Y", "has %Y twice"),
        ("%Y %y", "two years"),
        ("%I:%M %d.%m.%Y", "%I and %p together"),
        ("day", "must have a year"),
    ],
)
def test_a_pattern_that_is_no_date_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(PatternError, match=words):
        TimePattern(pattern)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="0123456789.-/: ,TQWMJanDecPMapz+", max_size=24))
def test_any_label_has_patterns_that_read_it_or_none(label: str) -> None:
    for pattern in patterns_of(label):
        assert pattern.read(label).local.year >= 1


@pytest.mark.parametrize(
    ("labels", "zone", "following"),
    [
        (["2024-10-26 00:00+02:00", "2024-10-27 00:00+02:00"], "Europe/Berlin",
         ["2024-10-28 00:00+01:00"]),
        (["2024-10-27 01:00+02:00", "2024-10-27 02:00+02:00"], "Europe/Berlin",
         ["2024-10-27 02:00+01:00", "2024-10-27 03:00+01:00"]),
        (["2024-10-27 01:00+02:00", "2024-10-27 02:00+02:00"], None, ["2024-10-27 03:00+02:00"]),
        (["2024-10-01 00:00+02:00", "2024-11-01 00:00+01:00"], "Europe/Berlin",
         ["2024-12-01 00:00+01:00"]),
    ],
)  # fmt: skip
def test_a_time_zone_that_is_known_changes_its_offset(
    labels: list[str], zone: str | None, following: list[str]
) -> None:
    assert read_interval(labels, zone=zone).continue_time(len(following)) == following


def test_a_time_zone_that_nobody_knows_is_named() -> None:
    interval = read_interval(["2024-10-26 00:00+02:00", "2024-10-27 00:00+02:00"], zone="Moon/Base")
    with pytest.raises(SeriesError, match=r"'Moon/Base' .* install the package tzdata"):
        interval.continue_time(1)


def test_numbers_that_are_even_by_rounding_are_no_instants() -> None:
    labels = ["1700000000", "1700000333", "1700000667", "1700001000"]
    assert read_interval(labels).continue_time(1) == ["1700001333"]
    assert read_times(labels).written is None


def test_an_earlier_table_tells_a_day_from_a_month() -> None:
    labels = ["01/02/2024", "02/02/2024"]
    with pytest.raises(TimeLabelError, match="2 ways"):
        read_times(labels)
    assert read_times(labels, like="%d/%m/%Y").locals[0] == datetime(2024, 2, 1)
    assert read_times(labels, like="%m/%d/%Y").locals[0] == datetime(2024, 1, 2)
