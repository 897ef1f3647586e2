"""Periods of the calendar, which a short or noisy record shows a step beside where they are."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from search.series import FloatArray
from search.series.intervals import BusinessInterval, ClockInterval, Interval, MonthInterval

_DAY = timedelta(days=1)
_CYCLES = (timedelta(minutes=1), timedelta(hours=1), _DAY, 7 * _DAY, 365 * _DAY)
# A period is taken for one of the calendar that is so near, where the series repeats nearly as well
# after that one: the tides, 25 hours apart, do not repeat after a day.
_NEAR, _AS_GOOD = 0.06, 0.9
# A found period of several cycles is taken for one, where the series repeats half as well after it:
# what else moves from day to day can make three days look a little better than one.
_OF_MULTIPLE = 0.5


def calendar_periods(interval: Interval) -> list[int]:
    """The cycles of the calendar in whole steps: 24 and 168 of hours, 7 and 365 of days."""
    if isinstance(interval, MonthInterval):
        return [12 // interval.months] if 12 % interval.months == 0 and interval.months < 12 else []
    if isinstance(interval, BusinessInterval):
        return [5] if interval.step == _DAY else []
    if not isinstance(interval, ClockInterval):
        return []
    step = interval.step
    whole = [cycle // step for cycle in _CYCLES[:-1] if cycle % step == timedelta(0)]
    year = round(_CYCLES[-1] / step)
    return [steps for steps in (*whole, year) if steps > 1]


def on_the_calendar(
    periods: Sequence[float], values: FloatArray, interval: Interval
) -> tuple[float, ...]:
    """Return periods, in steps, with those of the calendar in place of what is next to them.

    values: `[time, channel]`, in which the periods were found.
    """
    known = calendar_periods(interval)
    settled: list[float] = []
    for period in periods:
        near = [own for own in known if abs(own - period) <= _NEAR * own]
        good = [own for own in near if _repeats(values, own) >= _AS_GOOD * _repeats(values, period)]
        parts = [own for own in known if period % own == 0 and own < period]
        parts = [o for o in parts if _repeats(values, o) >= _OF_MULTIPLE * _repeats(values, period)]
        own = float(good[0]) if good else float(parts[0]) if parts else period
        # Two days are no cycle beside the day.
        is_multiple = any(day in known and own % day == 0 for day in settled)
        if own not in settled and (own in known or not is_multiple):
            settled.append(own)
    return tuple(sorted(settled))


def _repeats(values: FloatArray, period: float) -> float:
    """How well changes repeat after a period and after two: the smaller correlation."""
    changes = np.diff(values, axis=0)
    lags = [lag for lag in (round(period), round(2 * period)) if lag < len(changes) - 1]
    return min((_correlation(changes, lag) for lag in lags), default=0.0)


def _correlation(changes: FloatArray, lag: int) -> float:
    centred = changes - changes.mean(axis=0)
    power = (centred**2).mean(axis=0)
    varies = power > 0
    if not varies.any():
        return 0.0
    return float(((centred[lag:] * centred[:-lag]).mean(axis=0)[varies] / power[varies]).mean())
