"""The labels of a time axis: some rows on whole steps, as many as there is room for."""

import re
from collections.abc import Sequence

from matplotlib.axes import Axes

from search.series.calendar import calendar_periods
from search.series.intervals import Interval

_MOST_LABELS, _FEWEST_LABELS = 7, 2
# Characters of eight points in an inch, and the room between two labels, in characters.
_CHARACTERS_PER_INCH, _ROOM = 11.6, 2
_ROUND = [base * int(10**power) for power in range(8) for base in (1, 2, 5)]
# A step of the calendar is taken that is at most so many times as long as the labels need.
_MOST_COARSER = 4.0
_ZONE = r"(Z|[+-][0-9:]+)?$"
_MIDNIGHT = re.compile(r"[T ]00:00(:00(\.0+)?)?" + _ZONE)
_SECONDS = re.compile(r"(?<=[T ]\d\d:\d\d):00(\.0+)?(?=" + _ZONE + ")")


def label_times(
    axes: Axes, times: Sequence[str], interval: Interval, rows: range, inches: float
) -> None:
    """Label an axis of rows with their times; times: of all rows; inches: the axis' length."""
    places, labels = time_labels(times, interval, rows, round(inches * _CHARACTERS_PER_INCH))
    axes.set_xticks(places, labels)


def time_labels(
    times: Sequence[str], interval: Interval, rows: range, characters: int
) -> tuple[list[int], list[str]]:
    """The rows to label, on whole steps from the first row of all, and their labels.

    characters: how many fit beside each other; a label more is shown only where all are that short.
    """
    places, labels = [], []
    for most in range(_MOST_LABELS, _FEWEST_LABELS - 1, -1):
        step = _whole_step(len(rows) / most, interval)
        places = list(range(rows.start + (-rows.start) % step, rows.stop, step))
        labels = _shortened([times[place] for place in places])
        if sum(len(label) + _ROOM for label in labels) <= characters:
            break
    return places, labels


def _shortened(labels: Sequence[str]) -> list[str]:
    """Times without a time of day where it is midnight in all, else without seconds of zero."""
    for needless in (_MIDNIGHT, _SECONDS):
        if all(needless.search(label) for label in labels):
            return [needless.sub("", label) for label in labels]
    return list(labels)


def _whole_step(least: float, interval: Interval) -> int:
    """The smallest whole number of steps that is no smaller: of dates, of days, weeks or years."""
    plain = min(step for step in _ROUND if step >= least)
    if cycles := calendar_periods(interval):
        steps = [1, 2, 3, 6, *(own * ten for own in cycles for ten in _ROUND)]
        own = min(step for step in steps if step >= least)
        # Steps of seven seconds have no cycle but the year.
        return own if own <= _MOST_COARSER * least else plain
    return plain
