"""The lines of a period: the frequencies at which a series that repeats after it has its power.

What repeats exactly after p steps has all its power at the multiples of the frequency 1/p. A
stretch of n whole periods has n - 1 frequencies between two of these lines, and what moves in some
other way (noise, a walk, a trend) has about as much power on either side of a line as at it. So a
period is told from chance by the power at its lines over that between them, near each of them: the
F test of a line for a local background (Thomson 1982, "Spectrum estimation and harmonic analysis",
does so with tapers), its lines taken together by Fisher's method. A slope of the spectrum, of which
autocorrelations are full, does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.diagnostics.scores import FloatArray

# A background is taken from so many frequencies on each side of a line: all up to the next lines,
# at most the second number, and beyond the next lines where they are fewer than the first.
LEAST_BESIDE, MOST_BESIDE = 8, 16
# The power of rounding at a frequency, in units of the variance, is less.
ROUNDING = 1e-24
# Lines stand out alone where their chance is less than exp(-5).
LIT = 5.0


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
        place = self.places(ratio)
        said = []
        for own in range(1, ratio // 2 + 1):
            weights = self.power[place == own]
            if weights.sum() > 0:
                # What is chosen by its power is 2 in the mean where noise is 1.
                mean = float((weights * self.logs[place == own]).sum() / weights.sum())
                said.append(max(0.0, mean - 1.0))
        return _together(np.array(said))

    def places(self, ratio: int) -> NDArray[np.intp]:
        """How many lines each is from the nearest of a period so many times shorter, `[line]`."""
        place = np.arange(1, len(self.logs) + 1) % ratio
        return np.minimum(place, ratio - place)

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
    return float(max(0.0, bounds.max()))


def lines_of(values: FloatArray, period: float) -> Lines:
    """The lines of a period of at least 2 steps, which fits into the values three times."""
    count, steps = _whole(len(values), period)
    spectrum = np.fft.rfft(levelled(values[:steps], period), axis=0)
    power = (np.abs(spectrum) ** 2)[1:] * (2 / steps**2)
    if steps % 2 == 0:
        # The frequency 1/2 has one part, and half the power of others under noise. Beside their
        # background it is as large by less chance than theirs, for erfc(sqrt(x)) < exp(-x).
        power[-1] /= 2
    lines = len(power) // count
    at = power[count - 1 : lines * count : count]
    is_line = np.zeros(len(power), dtype=bool)
    is_line[count - 1 :: count] = True
    background, beside = _backgrounds(power[~is_line], count, lines)
    least = np.maximum(1e-12 * power.mean(axis=0), ROUNDING)
    ratios = (at / np.maximum(background, least)).mean(axis=1)
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


def _backgrounds(between: FloatArray, count: int, lines: int) -> tuple[FloatArray, FloatArray]:
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


def levelled(values: FloatArray, period: float) -> FloatArray:
    """Values less the line through the means of the first and the last period.

    What jumps from end to end has power at all frequencies.
    """
    width = max(1, round(period))
    first, last = values[:width].mean(axis=0), values[-width:].mean(axis=0)
    time = np.arange(len(values))[:, np.newaxis] / max(1, len(values) - width)
    return np.asarray(values - (last - first) * time)


def without_lines(values: FloatArray, lines: Lines) -> FloatArray:
    """Values less the lines of a period that stand out, each but for what noise has there.

    All of it would leave holes in the spectrum, between which the next period seems to stand out.
    """
    count, steps = _whole(len(values), lines.period)
    spectrum = np.fft.rfft(levelled(values[:steps], lines.period), axis=0)
    own = np.zeros_like(spectrum)
    at = np.arange(1, len(lines.logs) + 1) * count
    own[at] = spectrum[at] * lines.season[:, np.newaxis]
    season = np.fft.irfft(own, steps, axis=0)
    return np.asarray(values - np.resize(season, values.shape))
