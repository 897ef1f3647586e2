"""The dominant frequency of a short record, which may hold less than one period."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Sinusoids that are tried have at least this many cycles in the record: slower ones can't be told
# from a trend.
LEAST_CYCLES = 0.25
# From this many cycles on, the sinusoid may have an offset of its own. In a shorter record offset
# and frequency can't be told apart, so the wave is taken to lie around zero.
OFFSET_CYCLES = 1.5
# Trial frequencies per cycle in the record; the peak is then refined by a parabola.
GRID_PER_CYCLE = 32
# Below this many steps a sinusoid with an offset fits almost anything.
LEAST_STEPS = 8


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
    explained = _explained(values, size, cycles >= OFFSET_CYCLES)
    tried = np.flatnonzero((cycles >= LEAST_CYCLES) & (cycles <= steps / 2 - LEAST_CYCLES))
    peak = int(tried[np.argmax(explained[tried])])
    return 2 * np.pi / size * (peak + _parabola_shift(explained, peak, tried))


def _explained(values: FloatArray, size: int, with_offset: NDArray[np.bool_]) -> FloatArray:
    """Power, `[frequency]`, that the best sinusoid of each frequency explains, all channels."""
    steps = len(values)
    frequencies = np.arange(size // 2)
    of_ones = np.fft.fft(np.ones(steps), size) / steps
    cos, sin = of_ones[frequencies].real, -of_ones[frequencies].imag
    double = of_ones[2 * frequencies]
    offset = with_offset.astype(np.float64)
    cos_cos = (1 + double.real) / 2 - offset * cos**2
    sin_sin = (1 - double.real) / 2 - offset * sin**2
    cos_sin = -double.imag / 2 - offset * cos * sin
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


def _parabola_shift(power: FloatArray, peak: int, tried: NDArray[np.intp]) -> float:
    """Where the parabola through a peak and its neighbours is highest, from -0.5 to 0.5."""
    if peak in (tried[0], tried[-1]):
        return 0.0
    before, at, after = power[peak - 1 : peak + 2]
    curvature = before - 2 * at + after
    if curvature >= 0.0:
        return 0.0
    return float(np.clip((before - after) / (2 * curvature), -0.5, 0.5))
