"""The verdict on a free run: in which of a few ways it succeeds or fails, by rules on numbers.

Some rules compare the dominant frequencies of forecast and truth, which may hold less than one
period.
"""

from collections import Counter
from enum import StrEnum

import numpy as np

from models.diagnostics.properties import dominant_frequency
from models.diagnostics.reach import diverges
from models.diagnostics.scores import FloatArray, PerChannel

# A stretch of a forecast whose standard deviation is below this share of the truth's is level.
LEVEL_STD_RATIO = 0.1
# A forecast that is level from the second quarter on has settled, unless it swung before; one that
# is level from the middle on has died away on the way.
SETTLED_FROM, DIED_AWAY_FROM = 1 / 4, 1 / 2
# On its way to the level a forecast swings when it passes the level by this share of the truth's
# standard deviation, or moves away from it by so much further than it was at the start.
SWING_STD_RATIO = 0.3
# A level is near the last input within this many training standard deviations (root mean square).
NEAR_STD = 0.5
# A forecast tracks up to this NMSE.
TRACKS_NMSE = 0.1
# A forecast decays when its last quarter's amplitude is below this share of its first quarter's,
# and of the truth's last quarter.
DECAY_RATIO = 0.5
# Frequencies are equal within these ratios, forecast over truth.
FREQUENCY_RATIOS = (0.9, 1.1)
# Amplitudes are equal within these ratios, forecast over truth.
AMPLITUDE_RATIOS = (0.7, 1.3)
# The error grows when its mean square after the first quarter is this many times that within it.
# The first quarter is compared with all the rest, since an error that has drifted by half a period
# grows no more.
GROWTH_RATIO = 2.0


class Verdict(StrEnum):
    """What a free run does, in the order in which the rules are tried."""

    DIVERGES = "diverges"
    FLAT = "flat"
    COPIES = "copies"
    TRACKS = "tracks"
    DECAYS = "decays"
    WRONG_FREQUENCY = "wrong frequency"
    PHASE_DRIFT = "phase drift"
    OFF = "off"


def verdict(
    forecast: FloatArray,
    truth: FloatArray,
    last_inputs: FloatArray,
    mean: PerChannel,
    std: PerChannel,
    nmse: float,
) -> Verdict:
    """The most frequent verdict of some free runs; of equally frequent ones, the rules' first.

    forecast, truth: `[start, time, channel]`; last_inputs: `[start, channel]`, the value read just
    before each forecast; all in the series' units. mean, std: of the training span. nmse: the
    score of all the runs together, so that `tracks` never contradicts the score that is shown.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = [(values - mean) / std for values in (forecast, truth, last_inputs)]
    found = Counter(
        verdict_of_run(forecast_run, truth_run, last_input, nmse)
        for forecast_run, truth_run, last_input in zip(*scaled, strict=True)
    )
    return max(Verdict, key=lambda known: found[known])


def verdict_of_run(
    forecast: FloatArray, truth: FloatArray, last_input: FloatArray, nmse: float
) -> Verdict:
    """The verdict on one free run, by the first rule that applies.

    forecast, truth: `[time, channel]`, last_input: `[channel]`, all in training standard
    deviations from the training mean.
    """
    if diverges(forecast, truth):
        return Verdict.DIVERGES
    if _is_level(forecast, truth, SETTLED_FROM) and not _swings(forecast, truth):
        settled = forecast[int(SETTLED_FROM * len(forecast)) :]
        from_last_input = _size(settled - last_input)
        # A last input may lie near the mean; then the level is named after the nearer one.
        is_copy = from_last_input <= NEAR_STD and from_last_input < _size(settled)
        return Verdict.COPIES if is_copy else Verdict.FLAT
    if nmse <= TRACKS_NMSE:
        return Verdict.TRACKS
    frequency, true_frequency = dominant_frequency(forecast), dominant_frequency(truth)
    if frequency is None or true_frequency is None:
        return Verdict.OFF  # too short for what is left
    died_away = _is_level(forecast, truth, DIED_AWAY_FROM)
    if died_away or _decays(forecast, truth, frequency, true_frequency):
        return Verdict.DECAYS
    if not _is_within(FREQUENCY_RATIOS, frequency, true_frequency):
        return Verdict.WRONG_FREQUENCY
    sizes = amplitude(forecast, frequency), amplitude(truth, true_frequency)
    if _is_within(AMPLITUDE_RATIOS, *sizes) and _error_grows(forecast, truth):
        return Verdict.PHASE_DRIFT
    return Verdict.OFF


def amplitude(values: FloatArray, frequency: float) -> float:
    """Amplitude of a wave `[time, channel]`, root mean square over channels.

    Where the values hold only a part of a period, their range and their spread around their own
    mean depend on where they lie: on a crest a wave looks flat. So the sinusoid of the dominant
    `frequency` (radians per step) that fits best is measured too, which is as large at every
    phase, and the larger of the two counts: the spread serves where a wave is no sinusoid.
    """
    angle = frequency * (np.arange(len(values)) - (len(values) - 1) / 2)
    # Around the middle of the values cosine and sine are orthogonal, so each is fitted by itself.
    waves = np.stack([np.cos(angle), np.sin(angle)])
    coefficients = waves @ values / np.sum(waves**2, axis=1, keepdims=True)
    fitted = float(np.sqrt(np.mean(np.sum(coefficients**2, axis=0))))
    return max(fitted, float(np.sqrt(2.0)) * _spread(values))


def _decays(
    forecast: FloatArray, truth: FloatArray, frequency: float, true_frequency: float
) -> bool:
    quarter = len(forecast) // 4
    left = amplitude(forecast[-quarter:], frequency)
    before = amplitude(forecast[:quarter], frequency)
    return left < DECAY_RATIO * min(before, amplitude(truth[-quarter:], true_frequency))


def _is_level(forecast: FloatArray, truth: FloatArray, since: float) -> bool:
    """Whether the forecast hardly moves from a share of the horizon on."""
    late = forecast[int(since * len(forecast)) :]
    return _spread(late) < LEVEL_STD_RATIO * _spread(truth)


def _swings(forecast: FloatArray, truth: FloatArray) -> bool:
    """Whether a forecast that ends level was a wave before, and not just on its way there."""
    level = np.mean(forecast[int(SETTLED_FROM * len(forecast)) :], axis=0)
    # [time, channel], each channel counted from its level, on the side where it starts
    away = (forecast - level) * np.where(forecast[0] >= level, 1.0, -1.0)
    least = SWING_STD_RATIO * _spread(truth)
    return bool(np.any(away < -least) or np.any(away > away[0] + least))


def _error_grows(forecast: FloatArray, truth: FloatArray) -> bool:
    squared = (forecast - truth) ** 2
    quarter = len(squared) // 4
    return bool(np.mean(squared[quarter:]) > GROWTH_RATIO * np.mean(squared[:quarter]))


def _is_within(ratios: tuple[float, float], value: float, reference: float) -> bool:
    return ratios[0] * reference <= value <= ratios[1] * reference


def _spread(values: FloatArray) -> float:
    """Standard deviation over time, root mean square over channels."""
    return float(np.sqrt(np.mean(np.var(values, axis=0))))


def _size(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))
