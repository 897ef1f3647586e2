"""Seasons of a series: periods whose lines stand out of the spectrum, one beside the other.

Periods that are tried come from a calendar, and from peaks of the autocorrelation and of the
spectrum, as in AutoPeriod (Vlachos, Yu & Castelli 2005, "On periodicity detection and structural
periodic similarity"); the lines decide. What the first season leaves shows the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from models.diagnostics.lines import (
    ROUNDING,
    Lines,
    levelled,
    lines_of,
    without_lines,
)
from models.diagnostics.outliers import without_outliers
from models.diagnostics.scores import FloatArray
from models.methods.series_properties import LEAST_SEASONS

# At most so many seasons are told.
MOST_SEASONS = 2
# Minus the logarithm of the chance that noise has such lines: of a period of the calendar, of which
# there are few, and of any other one.
CALENDAR_EVIDENCE, MULTIPLE_EVIDENCE, EVIDENCE = 5.5, 9.0, 16.0
# A multiple of a season, both of the calendar, has this much besides, where days that differ from
# each other count once.
BESIDE_EVIDENCE = 2.0
# The line of most power is one of these of its period.
HARMONICS = (1, 2, 3)
# Multiples of a season that may be another one.
MOST_RATIO = 14
# A period is a multiple of the true one where the lines of its own say less.
REST_EVIDENCE = 4.0
# A season has this share of the variance of all that is as fast; and of what others leave of it.
LEAST_SHARE = 0.01
# Peaks of the autocorrelation and of the spectrum that are looked at, and how far from the best.
PEAKS, SPECTRAL_PEAKS, REFINED, NEARBY, MOST_NEARBY = 12, 6, 3, 0.03, 8
# Frequencies that are nearer than this share of what can be told apart are the same.
SAME = 0.25
# Only longer periods than this may be broken numbers of steps where a multiple was found.
LEAST_BROKEN = 8
# Periods that are as close as this are one.
ALIKE = 0.1
# A season within a longer one, a third of it at most, has so many times as much power in a line as
# the others, and this share of the power of all. One of the calendar, which is expected, has so
# many times as much as the lines next to its own.
DENSER, PART_SHARE, STANDS_OUT = 10.0, 0.3, 2.0
# A period that is none of the calendar has so many times the power of those that are.
STRONGER = 2.0
# A season that is no multiple of another one has this share of the variance that it leaves.
APART_SHARE = 0.1
# Periods that are none of the calendar are looked for in the last rows, for the sake of time.
MOST_STEPS = 20_000
# Values far off are a season's where there are so many of them in each period.
SPIKED = 0.75
# A peak of the autocorrelation is at least this many standard deviations of that of white noise.
PEAK_SIGMAS = 4.0
# The smallest lag whose autocorrelation is at least this share of the best is the period.
NEAR_BEST = 0.8


def seasons_of(values: FloatArray, calendar: Sequence[float] = ()) -> tuple[float, ...]:
    """At most two seasons of a series `[time, channel]`, in steps, the shorter one first.

    calendar: periods in steps that are expected, such as 24 and 168 of hours: they are found by
    less, and stand for what is next to them. A season is seen three times at least. Of several
    channels, it is one of their mean, each in units of its own noise.

    Lines are sharp where a period is constant. Where none is found, the period is that of a peak of
    the autocorrelation of first differences that recurs at twice its lag: cycles of changing
    lengths. Few values far off their neighbours neither hide a season nor make one.
    """
    found = _seasons(values, calendar)
    calm = without_outliers(values)
    if calm is values:
        return found
    again = _seasons(calm, calendar)
    # Values far off that are there once in each period are the season.
    far = int((calm != values).any(axis=1).sum())
    is_theirs = bool(found) and far < SPIKED * len(values) / max(found)
    return again if is_theirs or len(again) >= len(found) else found


def _seasons(values: FloatArray, calendar: Sequence[float]) -> tuple[float, ...]:
    varies = np.ptp(values, axis=0) > 0
    if not varies.any():
        return ()
    # In units of each channel, so that none decides by its own.
    own = values[:, varies]
    own = (own - own.mean(axis=0)) / own.std(axis=0)
    expected = sorted(p for p in calendar if p >= 2 and LEAST_SEASONS * p <= len(own))
    lined = _lined(own, expected)
    return lined if lined else _recurring(own)


def _lined(values: FloatArray, calendar: Sequence[float]) -> tuple[float, ...]:
    """Seasons whose lines stand out."""
    expected, rest = _of_calendar(values, calendar)
    if not expected:
        free = _free(values[-MOST_STEPS:])
        return () if free is None else _with_another(values[-MOST_STEPS:], free)
    # None is stronger than what has most of the variance.
    is_open = sum(own.share for own in expected) * (1 + STRONGER) < 1
    free = _free(rest[-MOST_STEPS:]) if is_open else None
    if free is not None and free.excess > STRONGER * sum(own.excess for own in expected):
        # Beside its lines, those of the calendar may have had some of its power.
        others, _ = _of_calendar(without_lines(values, free), calendar)
        expected = [*(own for own in others if not _is_alike(own.period, free.period)), free]
    strongest = sorted(expected, key=lambda own: -own.excess)[:MOST_SEASONS]
    return tuple(sorted(own.period for own in strongest))


def _of_calendar(values: FloatArray, calendar: Sequence[float]) -> tuple[list[Lines], FloatArray]:
    """The seasons of a calendar, the shortest first, and what they leave."""
    found: list[Lines] = []
    rest = values
    for period in calendar:
        lines = lines_of(rest, period)
        parts = [own.period for own in found if _is_multiple(period, own.period)]
        is_one = not parts or lines.evidence_beside(max(parts)) > BESIDE_EVIDENCE
        if is_one and lines.evidence > CALENDAR_EVIDENCE and lines.share > LEAST_SHARE:
            found.append(lines)
            rest = without_lines(rest, lines)
    # What is once a week has as much power at the lines of a day as beside them.
    if len(found) > 1 and _is_multiple(found[-1].period, found[-2].period):
        whole = lines_of(values, found[-1].period)
        place = whole.places(round(whole.period / found[-2].period))
        if whole.power[place == 0].mean() < STANDS_OUT * whole.power[place == 1].mean():
            del found[-2]
    return found, rest


def _free(values: FloatArray, within: float | None = None) -> Lines | None:
    """The period whose lines tell most, None where none stand out; no multiple of the true one.

    within: a period whose season was taken from the values.
    """
    most = len(values) // LEAST_SEASONS
    periods = _candidates(values)
    if within is not None:
        multiples = [ratio * within for ratio in range(2, MOST_RATIO + 1)]
        apart = [p for p in periods if not _is_beside(len(values), p, within)]
        periods = sorted({*apart, *(p for p in multiples if p <= most)})
    tried = {period: lines_of(values, period) for period in periods}

    def evidence(own: Lines) -> float:
        """Zero where that is not enough."""
        is_enough = own.evidence > EVIDENCE
        if within is not None and _is_multiple(own.period, within):
            is_enough = own.evidence_beside(within) > MULTIPLE_EVIDENCE
        return own.evidence if is_enough and own.share > LEAST_SHARE else 0.0

    best = sorted(tried.values(), key=evidence)[-REFINED:]
    for about in [round(own.period) for own in best if evidence(own) > 0]:
        reach = min(MOST_NEARBY, max(1, round(NEARBY * about)))
        for period in range(max(2, about - reach), min(most, about + reach) + 1):
            if period not in tried and (
                within is None or not _is_beside(len(values), period, within)
            ):
                tried[period] = lines_of(values, float(period))
    found = max(tried.values(), key=evidence, default=None)
    if found is None or not evidence(found) > 0:
        return None
    for ratio in range(min(int(found.period / 2), MOST_RATIO), 1, -1):
        part = found.period / ratio
        if abs(len(values) / part - len(values) / round(part)) < SAME:
            part = float(round(part))
        if (part == round(part) or part >= LEAST_BROKEN) and (
            found.evidence_beside(found.period / ratio) < REST_EVIDENCE
        ):
            lines = lines_of(values, float(f"{part:.4g}"))
            if evidence(lines) > 0:
                return lines
    return found


def _with_another(values: FloatArray, first: Lines) -> tuple[float, ...]:
    """A period with a further one: within it, a multiple of it, or apart from it."""
    found = _with_part(first)
    shortest = first if len(found) == 1 else lines_of(values, found[0])
    second = _free(without_lines(values, shortest), shortest.period)
    if second is None or _is_alike(second.period, shortest.period):
        return found
    for ratio in HARMONICS:
        # Half a week beside a day is a week.
        both = ratio * second.period
        if _is_multiple(both, shortest.period) and both <= len(values) // LEAST_SEASONS:
            # All lines of the longer one tell whether the shorter one is a season of its own.
            return _with_part(lines_of(values, both))
    if second.share < APART_SHARE:
        return found
    return tuple(sorted((shortest.period, second.period)))


def _with_part(whole: Lines) -> tuple[float, ...]:
    """A period, and the one within it that has most of its power in each of its lines, if any."""
    numbers = np.arange(1, len(whole.power) + 1)
    parts = []
    for ratio in range(3, len(numbers) + 1):
        inner = numbers % ratio == 0
        power, others = whole.power[inner], whole.power[~inner]
        density = power.mean() / max(others.mean(), 1e-300)
        if (
            whole.period % ratio == 0
            and power.sum() > PART_SHARE * whole.power.sum()
            and density > DENSER
        ):
            parts.append((density, whole.period / ratio))
    return (max(parts)[1], whole.period) if parts else (whole.period,)


def _is_alike(one: float, other: float) -> bool:
    return abs(one - other) <= ALIKE * max(one, other)


def _is_multiple(long: float, short: float) -> bool:
    ratio = long / short
    return ratio > 1.5 and abs(ratio - round(ratio)) < 1e-6


def _is_beside(steps: int, long: float, short: float) -> bool:
    """Whether so many steps hardly tell a period from a multiple of another, which it is not."""
    multiple = max(1, round(long / short)) * short
    return long != multiple and abs(steps / long - steps / multiple) < 0.5


def _candidates(values: FloatArray) -> list[float]:
    """Periods that may be: at peaks of the autocorrelation and of the spectrum."""
    most = len(values) // LEAST_SEASONS
    if most < 2:
        return []
    level = levelled(values, max(2, most // 4))
    changes = np.diff(values, axis=0)
    tried: set[float] = set()
    for own in (level, changes):
        for about in _peaks(own, most):
            tried.update(float(p) for p in (about - 1, about, about + 1))
        tried.update(_spectral(own))
    return sorted(own for own in tried if 2 <= own <= most)


def _peaks(values: FloatArray, most: int) -> list[int]:
    """The lags of the highest peaks of the autocorrelation."""
    correlation = autocorrelation(values, most + 2)
    lags = np.arange(2, most + 1)
    is_peak = (correlation[lags - 1] < correlation[lags]) & (
        correlation[lags] >= correlation[lags + 1]
    )
    peaks = lags[is_peak]
    return [int(lag) for lag in peaks[np.argsort(-correlation[peaks], kind="stable")][:PEAKS]]


def _spectral(values: FloatArray) -> Iterator[float]:
    """The periods of the highest peaks of the spectrum, and twice and three times them."""
    size = 4 << (len(values) - 1).bit_length()
    power = (np.abs(np.fft.rfft(values - values.mean(axis=0), size, axis=0)) ** 2).mean(axis=1)
    at = np.arange(1, len(power) - 1)
    peaks = at[(power[at - 1] < power[at]) & (power[at] >= power[at + 1])]
    for peak in peaks[np.argsort(-power[peaks], kind="stable")][:SPECTRAL_PEAKS]:
        for times in HARMONICS:
            period = times * size / (peak + peak_shift(power, peak))
            whole = max(1, round(period))
            is_whole = abs(len(values) / period - len(values) / whole) < SAME
            yield float(whole)
            if not is_whole:
                yield float(f"{period:.4g}")


def peak_shift(values: FloatArray, peak: int) -> float:
    """Where the parabola through a peak and its neighbours is highest, from -0.5 to 0.5."""
    before, at, after = values[peak - 1 : peak + 2]
    curvature = before - 2 * at + after
    return float((before - after) / (2 * curvature)) if curvature < 0 else 0.0


def _recurring(values: FloatArray) -> tuple[float, ...]:
    """The lag of the autocorrelation of changes that recurs at twice itself, none for chance."""
    steps = len(values)
    most = steps // LEAST_SEASONS
    if most < 2 or 2 * most + 2 > steps - 1:
        return ()
    changes = np.diff(values, axis=0)
    changes = changes[:, changes.var(axis=0) > ROUNDING]
    if not changes.shape[1]:
        return ()
    correlation = autocorrelation(changes, 2 * most + 2)
    scores = {
        lag: min(correlation[lag], correlation[2 * lag - 1 : 2 * lag + 2].max())
        for lag in range(2, most)
        if correlation[lag - 1] < correlation[lag] >= correlation[lag + 1]
    }
    # Of fewer pairs, the longer twice the lag is.
    scores = {
        lag: score
        for lag, score in scores.items()
        if score > PEAK_SIGMAS / math.sqrt(steps - 2 * lag)
    }
    if not scores:
        return ()
    best = max(scores.values())
    return (float(min(lag for lag, score in scores.items() if score >= NEAR_BEST * best)),)


def autocorrelation(values: FloatArray, lags: int) -> FloatArray:
    """The mean over channels of the autocorrelation at lags below `lags`."""
    steps = len(values)
    centred = values - values.mean(axis=0)
    size = 1 << (2 * steps - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2
    products = np.fft.irfft(spectrum, axis=0)[:lags]
    of_lag = products / np.arange(steps, steps - lags, -1)[:, np.newaxis]
    power = of_lag[0]
    varies = power > 0
    correlation: FloatArray = np.zeros(lags)
    if varies.any():
        correlation = (of_lag[:, varies] / power[varies]).mean(axis=1)
    return correlation
