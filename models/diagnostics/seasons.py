"""Seasons of a series: periods after which it repeats, told from chance by their lines.

What repeats exactly after p steps has all its power at the multiples of the frequency 1/p, its
*lines*. A stretch of n whole periods has n - 1 frequencies between two lines, and what moves in
some other way (noise, a walk, a trend) has about as much power on either side of a line as at it.
So a season is told from chance by the power at its lines over that between them, near each of them:
the F test of a line for a local background (Thomson 1982, "Spectrum estimation and harmonic
analysis", does so with tapers), its lines taken together by Fisher's method. A slope of the
spectrum, of which autocorrelations are full, does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.diagnostics.outliers import without_outliers
from models.diagnostics.scores import FloatArray
from models.methods.series_properties import LEAST_SEASONS

# At most so many seasons are told.
MOST_SEASONS = 2
# Minus the logarithm of the chance that noise has such lines: of a period of the calendar, of which
# there are few, and of any other one.
CALENDAR_EVIDENCE, MULTIPLE_EVIDENCE, EVIDENCE = 5.5, 9.0, 16.0
# Multiples of a season that may be another one.
MOST_RATIO = 14
# A period is a multiple of the true one where the lines of its own say less.
REST_EVIDENCE = 4.0
# A season has this share of the variance of all that is as fast; and of what others leave of it.
LEAST_SHARE = 0.01
# A background is taken from so many frequencies on each side of a line: all up to the next lines,
# at most the second number, and beyond the next lines where they are fewer than the first.
LEAST_BESIDE, MOST_BESIDE = 8, 16
# The power of rounding at a frequency, in units of the variance, is less.
ROUNDING = 1e-24
# Lines stand out alone where their chance is less than exp(-5).
LIT = 5.0
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
    return lined if lined else _recurring(own, expected)


@dataclass(frozen=True)
class Lines:
    """The lines of a period in a series, and what is between them.

    logs: minus the logarithms of the chances that noise has as much at each line, `[line]`.
    power: beyond the background, the mean over channels, `[line]`; in units of the variance.
    excess: the same of all lines, less where they have less than the background. total: the
    variance of what is as fast as half of the first line, or faster. season: the share of the
    amplitude of each line that is none of the background's, `[line]`, of lines that stand out
    alone.
    """

    period: float
    logs: FloatArray
    power: FloatArray
    excess: float
    total: float
    season: FloatArray

    @property
    def evidence(self) -> float:
        """Minus the logarithm of the chance of the lines."""
        return _together(self.logs)

    def evidence_beside(self, within: float) -> float:
        """The same of the lines that are none of another period, of which this one is a multiple.

        What differs from one period to the next has the same power beside each line of it: these
        lines do not vary on their own, and say together what those of most power say.
        """
        ratio = round(self.period / within)
        place = np.arange(1, len(self.logs) + 1) % ratio
        place = np.minimum(place, ratio - place)
        said = []
        for own in range(1, ratio // 2 + 1):
            weights = self.power[place == own]
            if weights.sum() > 0:
                # What is chosen by its power is 2 in the mean where noise is 1.
                mean = float((weights * self.logs[place == own]).sum() / weights.sum())
                said.append(max(0.0, mean - 1.0))
        return _together(np.array(said))

    @property
    def share(self) -> float:
        """Of the variance that is as fast."""
        return self.excess / self.total if self.total > 0 else 0.0


def _together(logs: FloatArray) -> float:
    """Minus the logarithm of the chance of several logarithms of chances, by Fisher's method.

    Of the first 1, 2, 4, ... of them, whichever say most: few lines have the power of a smooth
    season. The chance is Chernoff's bound for a sum of exponential variables.
    """
    if not len(logs):
        return 0.0
    counts = np.unique([*(2 ** np.arange(int(math.log2(len(logs))) + 1)), len(logs)])
    sums = np.cumsum(logs)[counts - 1]
    bounds = sums - counts - counts * np.log(np.maximum(sums / counts, 1.0))
    return float(np.where(sums > counts, bounds, 0.0).max())


def _lines(values: FloatArray, period: float) -> Lines:
    """The lines of a period of at least 2 steps, which fits into the values three times."""
    count, steps = _whole(len(values), period)
    power = (np.abs(_spectrum(values[:steps], period)) ** 2)[1:] * (2 / steps**2)
    if steps % 2 == 0:
        power[-1] /= 2
    lines = len(power) // count
    at = power[count - 1 : lines * count : count]
    is_line = np.zeros(len(power), dtype=bool)
    is_line[count - 1 :: count] = True
    background, beside = _backgrounds(power[~is_line], count, lines)
    least = np.maximum(1e-12 * power.mean(axis=0), ROUNDING)
    ratios = (at / np.maximum(background, least)).mean(axis=1)
    if lines * count * 2 == steps:
        ratios[-1] /= 2  # the frequency 1/2 has one part, whose power varies more
    # Of F(2, 2m) in closed form; a median tells as much as the mean of half as many.
    logs = beside * np.log1p(ratios / beside)
    beyond = (at - background).mean(axis=1)
    fast = float(power[max(count // 2 - 1, 0) :].mean(axis=1).sum())
    season = np.where(logs > LIT, 1 - 1 / np.sqrt(np.maximum(ratios, 1.0)), 0.0)
    return Lines(period, logs, np.maximum(beyond, 0.0), float(beyond.sum()), fast, season)


def _whole(steps: int, period: float) -> tuple[int, int]:
    """How many whole periods so many steps have, and how many steps these are."""
    count = int(steps / period + 1e-9)
    return count, min(steps, round(count * period))


def _backgrounds(
    between: FloatArray, count: int, lines: int
) -> tuple[FloatArray, FloatArray]:
    """The power of noise at each line `[line, channel]`, and from how many frequencies a side.

    between: power beside the lines `[frequency, channel]`, count - 1 before each of them. The
    geometric mean of the medians of both sides follows a slope of the spectrum, for which both
    have as many frequencies; behind the last one there may be none.
    """
    places = np.arange(1, lines + 1) * (count - 1)
    most = min(max(count - 1, LEAST_BESIDE), MOST_BESIDE)
    medians = np.empty((2, lines, between.shape[1]))
    beside = np.minimum(np.minimum(places, len(between) - places), most)
    beside[beside == 0] = min(most, places[-1])
    for width in np.unique(beside):
        own = np.flatnonzero(beside == width)
        windows = np.lib.stride_tricks.sliding_window_view(between, width, axis=0)
        left = places[own] - width
        right = np.where(places[own] + width <= len(between), places[own], left)
        medians[0, own] = np.median(windows[left], axis=-1)
        medians[1, own] = np.median(windows[right], axis=-1)
    return np.sqrt(medians[0] * medians[1]) / math.log(2), beside.astype(float)


def _spectrum(values: FloatArray, period: float) -> NDArray[np.complex128]:
    """Of values less the line through the means of the first and the last period: what jumps from
    end to end has power at all frequencies."""
    width = max(1, round(period))
    first, last = values[:width].mean(axis=0), values[-width:].mean(axis=0)
    time = np.arange(len(values))[:, np.newaxis] / max(1, len(values) - width)
    return np.fft.rfft(values - (last - first) * time, axis=0)


def _without(values: FloatArray, lines: Lines) -> FloatArray:
    """Values less the lines of a period that stand out, each but for what noise has there.

    All of it would leave holes in the spectrum, between which the next period seems to stand out.
    """
    count, steps = _whole(len(values), lines.period)
    spectrum = _spectrum(values[:steps], lines.period)
    own = np.zeros_like(spectrum)
    at = np.arange(1, len(lines.logs) + 1) * count
    own[at] = spectrum[at] * lines.season[:, np.newaxis]
    season = np.fft.irfft(own, steps, axis=0)
    return np.asarray(values - np.resize(season, values.shape))


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
        others, _ = _of_calendar(_without(values, free), calendar)
        expected = [*(own for own in others if not _is_alike(own.period, free.period)), free]
    strongest = sorted(expected, key=lambda own: -own.excess)[:MOST_SEASONS]
    return tuple(sorted(own.period for own in strongest))


def _of_calendar(values: FloatArray, calendar: Sequence[float]) -> tuple[list[Lines], FloatArray]:
    """The seasons of a calendar, the shortest first, and what they leave."""
    found: list[Lines] = []
    rest = values
    for period in calendar:
        lines = _lines(rest, period)
        if lines.evidence > CALENDAR_EVIDENCE and lines.share > LEAST_SHARE:
            found.append(lines)
            rest = _without(rest, lines)
    # What is once a week has as much power at the lines of a day as beside them.
    if len(found) > 1 and _is_multiple(found[-1].period, found[-2].period):
        whole, ratio = _lines(values, found[-1].period), round(found[-1].period / found[-2].period)
        place = np.arange(1, len(whole.power) + 1) % ratio
        beside = whole.power[np.minimum(place, ratio - place) == 1].mean()
        if whole.power[place == 0].mean() < STANDS_OUT * beside:
            del found[-2]
    return found, rest


def _free(values: FloatArray, within: float | None = None) -> Lines | None:
    """The period whose lines tell most, None where none stand out; the shortest of equals.

    within: a period whose season was taken from the values.
    """
    most = len(values) // LEAST_SEASONS
    periods = _candidates(values)
    if within is not None:
        multiples = [ratio * within for ratio in range(2, MOST_RATIO + 1)]
        apart = [p for p in periods if not _is_beside(len(values), p, within)]
        periods = sorted({*apart, *(p for p in multiples if p <= most)})
    tried = {period: _lines(values, period) for period in periods}

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
                tried[period] = _lines(values, float(period))
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
            lines = _lines(values, float(f"{part:.4g}"))
            if evidence(lines) > 0:
                return lines
    return found


def _with_another(values: FloatArray, first: Lines) -> tuple[float, ...]:
    """A period with a further one: within it, a multiple of it, or apart from it."""
    found = _with_part(first)
    shortest = first if len(found) == 1 else _lines(values, found[0])
    second = _free(_without(values, shortest), shortest.period)
    if second is None or _is_alike(second.period, shortest.period):
        return found
    for ratio in range(1, MOST_RATIO // 3):
        # Half a week beside a day is a week.
        both = ratio * second.period
        if _is_multiple(both, shortest.period) and both <= len(values) // LEAST_SEASONS:
            # All lines of the longer one tell whether the shorter one is a season of its own.
            return _with_part(_lines(values, both))
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
    """Whether so many steps hardly tell a period from a multiple of another one, which it is not."""
    multiple = max(1, round(long / short)) * short
    return long != multiple and abs(steps / long - steps / multiple) < 0.5


def _candidates(values: FloatArray) -> list[float]:
    """Periods that may be: at peaks of the autocorrelation and of the spectrum."""
    most = len(values) // LEAST_SEASONS
    if most < 2:
        return []
    spectrum = _spectrum(values, max(2, most // 4))
    level = np.fft.irfft(spectrum, len(values), axis=0)
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
        before, here, after = power[peak - 1 : peak + 2]
        curvature = before - 2 * here + after
        shift = (before - after) / (2 * curvature) if curvature < 0 else 0.0
        for times in (1, 2, 3):
            period = times * size / (peak + shift)
            whole = max(1, round(period))
            is_whole = abs(len(values) / period - len(values) / whole) < SAME
            yield float(whole)
            if not is_whole:
                yield float(f"{period:.4g}")


def _recurring(values: FloatArray, calendar: Sequence[float]) -> tuple[float, ...]:
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
