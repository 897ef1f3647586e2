"""What a training span tells of its series: periods, and the symmetries that it may have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.diagnostics.outliers import without_outliers
from models.diagnostics.scores import FloatArray
from models.diagnostics.seasons import autocorrelation, peak_shift, seasons_of
from models.methods.series_properties import LEAST_SEASONS, SeriesProperties

# A wave explains this share of the variance, and by that much more than a straight line; a wave
# that was seen for several periods needs less, where it is above the noise of an AR(1) process.
WAVE_SHARE, WAVE_GAIN, SEEN_WAVE_SHARE = 0.5, 0.15, 0.2
# What AR(1) noise has such a wave by chance at most.
RED_LEVEL = 0.01
# Tests of symmetry have a level of 5 %. Critical value of |t|: Kiefer & Vogelsang (2005), "A new
# asymptotic theory for heteroskedasticity-autocorrelation robust tests", table 1, Bartlett's
# kernel, b = 1.
CRITICAL = 4.771

# Sinusoids that are tried have at least this many cycles in the record: slower ones look
# like a trend.
LEAST_CYCLES = 0.25
# From this many cycles on, the sinusoid may have an offset of its own. In a shorter record offset
# and frequency can't be distinguished, so the wave is taken to lie around zero.
OFFSET_CYCLES = 1.5
# Trial frequencies per cycle in the record; the peak is then refined by a parabola.
GRID_PER_CYCLE = 32
# Verdicts ask for the frequency of one horizon again and again: what depends on its length alone is
# kept, up to this length, which takes 3 MB.
MOST_KEPT_STEPS = 4096
# Below this many steps a sinusoid with an offset fits almost anything.
LEAST_STEPS = 8


def properties_of(
    spans: Sequence[FloatArray],
    periods: Sequence[float] | None = None,
    calendar: Sequence[float] = (),
) -> SeriesProperties:
    """The properties of a series from the training spans `[time, channel]` of its realisations.

    periods: those that are known; None to look for them. calendar: those that are expected. Of
    several realisations, the periods are those of the first, with waves at their median; a symmetry
    is refused where most refuse it. Of several channels, a season is one of the mean of their
    spectra, each over its own noise, a wave one of their summed power in units of each channel's
    variance, a symmetry is refused where most channels refuse it, and the series is above zero
    where all of them are.
    """
    first = spans[0]
    found = tuple(periods) if periods is not None else _periods(spans, calendar)
    lag = max(1, round(found[0] / 8)) if found else 1

    def mostly(tests: list[bool]) -> bool:
        return 2 * sum(tests) >= len(tests)

    return SeriesProperties(
        train_steps=len(first),
        periods=found,
        is_sign_symmetric=mostly([is_symmetric(span) for span in spans]),
        is_positive=all(span.min() > 0 for span in spans),
        is_reversible=mostly([is_symmetric(span[lag:] - span[:-lag]) for span in spans]),
        channels=first.shape[1],
    )


def _periods(spans: Sequence[FloatArray], calendar: Sequence[float]) -> tuple[float, ...]:
    if seasons := seasons_of(spans[0], calendar):
        return seasons
    waves = [wave for wave in map(wave_of, spans) if wave is not None]
    if 2 * len(waves) <= len(spans):
        return ()
    wave, steps = float(np.median(waves)), len(spans[0])
    # Frequencies that so many steps can't tell apart.
    own = [p for p in calendar if LEAST_SEASONS * p <= steps and abs(steps / p - steps / wave) < 1]
    return (min(own, key=lambda period: abs(period - wave)) if own else wave,)


def wave_of(values: FloatArray) -> float | None:
    """The period in steps of the wave that a series `[time, channel]` consists of; None for none.

    A trend is none: a wave explains clearly more than a straight line does. Channels count alike,
    whatever their units are. Where none is found, it is looked for once more without outliers.
    """
    found = _wave(values)
    calm = values if found is not None else without_outliers(values)
    return found if calm is values else _wave(calm)


def _wave(values: FloatArray) -> float | None:
    centred = values - values.mean(axis=0)
    if values.shape[1] > 1:
        std = centred.std(axis=0)
        centred = centred / np.where(std > 0, std, 1.0)
    frequency = dominant_frequency(centred)
    if frequency is None or not (centred**2).sum() > 0:
        return None
    time = np.arange(len(values))
    ones = np.ones(len(values))
    sinusoid = np.stack([np.cos(frequency * time), np.sin(frequency * time), ones], axis=1)
    explained = _explained(centred, sinusoid)
    gain = explained - _explained(centred, np.stack([ones, time], axis=1))
    is_seen = frequency * len(values) >= LEAST_SEASONS * 2 * math.pi
    if explained < WAVE_SHARE and not (
        is_seen
        and explained >= SEEN_WAVE_SHARE
        and _is_above_red_noise(centred, frequency, explained)
    ):
        return None
    return 2 * math.pi / frequency if gain >= WAVE_GAIN else None


def _is_above_red_noise(centred: FloatArray, frequency: float, explained: float) -> bool:
    """Whether a wave has more power than an AR(1) process has at any frequency, at `RED_LEVEL`.

    The process has the variance of the values and their correlation from step to step, the mean
    over channels. Source: the test of spectral peaks of Mann & Lees (1996), without its robust fit.
    """
    steps = len(centred)
    correlation = float(autocorrelation(centred, 2)[1])
    red = (1 - correlation**2) / (1 - 2 * correlation * math.cos(frequency) + correlation**2)
    return bool(explained * steps / 2 > red * math.log(steps / 2 / RED_LEVEL))


def is_symmetric(values: FloatArray) -> bool:
    """Whether values `[time, channel]` may be distributed evenly around their mean, by skewness.

    The third moment of each channel is tested against zero at `LEVEL`, and most have to refuse.
    Standard errors are those of partial sums over the whole record, which hold for dependent values
    (Kiefer & Vogelsang 2005). So less than one period of a wave refuses nothing.
    """
    refused = 0
    for channel in values.T:
        deviations = channel - channel.mean()
        std = deviations.std()
        if not std > 0:
            continue
        scaled = deviations / std
        # Less what the estimated mean takes with it.
        moments = scaled**3 - 3 * scaled
        partial = np.cumsum(moments - moments.mean())
        variance = 2 * (partial**2).sum() / len(moments) ** 2
        refused += bool(abs(moments.sum()) > CRITICAL * math.sqrt(len(moments) * variance))
    return bool(2 * refused <= values.shape[1])


def dominant_frequency(values: FloatArray) -> float | None:
    """Angular frequency (radians per step) of the sinusoid that fits `values` best.

    values: `[time, channel]` around the training mean; all channels share the frequency and have
    amplitudes and phases of their own. None below LEAST_STEPS steps.

    Source: the least-squares periodogram with a floating mean, Zechmeister & Kürster (2009),
    eqs. 4 to 15. A plain Fourier peak would be pulled aside by the leakage of a partial period.
    """
    steps = len(values)
    if steps < LEAST_STEPS:
        return None
    size = 1 << (GRID_PER_CYCLE * steps - 1).bit_length()
    cycles = np.arange(size // 2) * (steps / size)
    explained = _power(values, size, cycles >= OFFSET_CYCLES)
    tried = np.flatnonzero((cycles >= LEAST_CYCLES) & (cycles <= steps / 2 - LEAST_CYCLES))
    peak = int(tried[np.argmax(explained[tried])])
    is_inner = tried[0] < peak < tried[-1]
    return 2 * np.pi / size * (peak + (peak_shift(explained, peak) if is_inner else 0.0))


def _explained(values: FloatArray, regressors: FloatArray) -> float:
    """The share of the variance of `[time, channel]` that a linear regression explains."""
    coefficients, *_ = np.linalg.lstsq(regressors, values, rcond=None)
    rest = ((values - regressors @ coefficients) ** 2).sum()
    return float(1 - rest / (values**2).sum())


def _power(values: FloatArray, size: int, with_offset: NDArray[np.bool_]) -> FloatArray:
    """Power, `[frequency]`, that the best sinusoid of each frequency explains, all channels."""
    steps = len(values)
    offset = with_offset.astype(np.float64)
    products = _products if steps > MOST_KEPT_STEPS else _kept_products
    cos, sin, cos_cos, sin_sin, cos_sin = products(steps, size)
    cos_cos, sin_sin = cos_cos - offset * cos**2, sin_sin - offset * sin**2
    cos_sin = cos_sin - offset * cos * sin
    determinant = cos_cos * sin_sin - cos_sin**2
    # Only at frequencies that are not tried: zero and its neighbours.
    determinant[determinant < 1e-12] = np.inf
    power = np.zeros(size // 2)
    for channel in values.T:
        mean = channel.mean()
        spectrum = np.fft.rfft(channel, size)[: size // 2] / steps
        with_cos = spectrum.real - offset * mean * cos
        with_sin = -spectrum.imag - offset * mean * sin
        power += (
            offset * mean**2
            + (sin_sin * with_cos**2 + cos_cos * with_sin**2 - 2 * cos_sin * with_cos * with_sin)
            / determinant
        )
    return power


def _products(steps: int, size: int) -> tuple[FloatArray, ...]:
    """Means over the steps of cos, sin, cos^2, sin^2 and cos sin, `[frequency]` each."""
    frequencies = np.arange(size // 2)
    of_ones = np.fft.fft(np.ones(steps), size) / steps
    cos, sin = of_ones[frequencies].real, -of_ones[frequencies].imag
    double = of_ones[2 * frequencies]
    return cos, sin, (1 + double.real) / 2, (1 - double.real) / 2, -double.imag / 2


_kept_products = lru_cache(maxsize=4)(_products)
