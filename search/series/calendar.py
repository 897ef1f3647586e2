"""Periods of the calendar in the steps of a time column."""

from datetime import timedelta

from search.series.intervals import BusinessInterval, ClockInterval, Interval, MonthInterval

_DAY = timedelta(days=1)
_CYCLES = (timedelta(minutes=1), timedelta(hours=1), _DAY, 7 * _DAY)
_YEAR_DAYS = 365.25


def calendar_periods(interval: Interval) -> list[int]:
    """The cycles of the calendar in whole steps: 24 and 168 of hours, 7 and 365 of days."""
    if isinstance(interval, MonthInterval):
        return [12 // interval.months] if 12 % interval.months == 0 and interval.months < 12 else []
    if isinstance(interval, BusinessInterval):
        return [5] if interval.step == _DAY else []
    if not isinstance(interval, ClockInterval):
        return []
    cycles = [*_whole_cycles(interval.step), round(365 * _DAY / interval.step)]
    return [steps for steps in cycles if steps > 1]


def calendar_seasons(interval: Interval) -> tuple[float, ...]:
    """The periods that a series may be expected to have, in steps: 24 and 168 of hours, 7 and
    365.25 of days, 52.18 of weeks, 12 of months; of steps below a day not the year."""
    if isinstance(interval, ClockInterval):
        step = interval.step
        year = [_YEAR_DAYS * _DAY / step] if step >= _DAY else []
        cycles = [*_whole_cycles(step), *year]
        return tuple(round(float(period), 4) for period in cycles if period >= 2)
    if isinstance(interval, BusinessInterval):
        days, step = (1, 5), interval.step
        return tuple(count * (_DAY / step) for count in days if count * _DAY >= 2 * step)
    return tuple(map(float, calendar_periods(interval)))


def _whole_cycles(step: timedelta) -> list[int]:
    """Minute, hour, day and week in steps, of those that are whole numbers of them."""
    return [cycle // step for cycle in _CYCLES if cycle % step == timedelta(0)]
