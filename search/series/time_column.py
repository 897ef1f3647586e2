"""The time column of a table: numbers or dates at equal steps."""

from collections.abc import Sequence

from search.series.calendar_time import is_date, read_calendar_time
from search.series.even_steps import Interval, TimeLabelError
from search.series.numbered_time import is_number, read_numbered_time


def read_interval(labels: Sequence[str]) -> Interval:
    """Return the interval of a time column of at least two labels, in the order of the file.

    Raises TimeLabelError for the first label that is no number or date, is written differently from
    the first, repeats, goes back, or breaks the equal step.
    """
    for row, label in enumerate(labels):
        if not label.strip():
            raise TimeLabelError(row, "the time is empty; fill it in, or remove the row")
    if is_number(labels[0]):
        return read_numbered_time(labels)
    if is_date(labels[0]):
        return read_calendar_time(labels)
    raise TimeLabelError(
        0,
        f"the time '{labels[0]}' is neither a number nor a date; "
        "write times as 1, 2, 3 or as 2024-01-31 or as 2024-01-31 18:00:00",
    )
