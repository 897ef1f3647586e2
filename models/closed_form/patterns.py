"""Closed forms that continue a pattern of the context, and regress on what it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.closed_form.closed_form import (
    BLOCK_ROWS,
    FittedForm,
    Fixed,
    FloatArray,
    LaggedRidge,
    Solutions,
    half_of_span,
    level_of,
)
from models.closed_form.ridge import Block
from models.methods import Choices, Whole, setting
from models.tensors import RUN_BOUND

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

IndexArray = NDArray[np.intp]

# Values of windows that are copied at a time: a long context needs no more memory.
BLOCK_VALUES = 1_000_000


def suited_orders(series: SeriesProperties) -> Choices:
    """Choices of `remainder_order` to try on a series: few values, and one or two seasons."""
    seasons = series.periods if series.has_season else ()
    return Choices(tuple(sorted({4, 16, *(round(n * s) for s in seasons for n in (1, 2))})))


class PatternAndRemainder(LaggedRidge):
    """A pattern of the context is continued, and a ridge autoregression continues the remainder.

    The pattern is estimated from the values before a forecast. What it leaves of the last values,
    the remainder, is regressed on as `ar` regresses on values. Fitted are the errors that the
    pattern makes ahead, not those of a fit to the whole span: in each row the pattern is that of
    the values before it, as in a free run. Each channel is by itself.
    """

    # Without it a space is smaller; deviations from a pattern are near zero anyway.
    can_add_to_last = False
    reads_other_channels = False

    remainder_order: int = setting(
        Whole(1, 4096),
        Choices((4, 16)),
        "Last deviations from a pattern that an autoregression reads.",
        neutral=4,
        shared=True,
        suits=suited_orders,
        most=half_of_span,
    )

    @property
    def pattern_steps(self) -> int:
        """True values that a pattern is estimated from."""
        raise NotImplementedError

    def numbers(self, windows: FloatArray) -> FloatArray:
        """The numbers `[row, number]` of the pattern of each window `[row, pattern_steps]`.

        Each row's are the same, bit for bit, alone and among others.
        """
        raise NotImplementedError

    def numbers_at_once(self, windows: FloatArray) -> FloatArray:
        """The same up to rounding, by what is fastest for many windows."""
        return self.numbers(windows)

    def pattern(self, numbers: FloatArray, places: IndexArray) -> FloatArray:
        """Values `[row, place]` of patterns; place 0 is the first one ahead."""
        raise NotImplementedError

    @property
    def lags(self) -> int:
        return self.remainder_order

    @property
    def context_steps(self) -> int:
        return max(self.pattern_steps, self.lags)

    def features(self, channels: int) -> int:
        return self.lags  # of one channel

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        own = []
        for channel in range(pieces[0].shape[1]):
            alone = [piece[:, channel : channel + 1] for piece in pieces]
            own.append(super().factorise(alone, candidate, fixed))
        return ByChannel(own)

    def blocks(self, pieces: Sequence[FloatArray], candidate: FittedForm) -> Iterator[Block]:
        known, lags, ahead = self.context_steps, self.lags, self.segment_steps
        places = np.arange(-lags, ahead)
        at_once = max(1, min(BLOCK_ROWS, BLOCK_VALUES // known))
        for stretch in candidate.stretches(pieces):
            if len(stretch) < known + ahead:
                continue
            windows = np.lib.stride_tricks.sliding_window_view(stretch[:, 0], known + ahead)
            for first in range(0, len(windows), BLOCK_ROWS):
                remainder = np.empty((len(windows[first : first + BLOCK_ROWS]), len(places)))
                for start in range(0, len(remainder), at_once):
                    part = windows[first + start : first + min(start + at_once, len(remainder))]
                    numbers = self.numbers_at_once(part[:, known - self.pattern_steps : known])
                    around = part[:, known - lags :]
                    remainder[start : start + len(part)] = around - self.pattern(numbers, places)
                level = level_of(self.context_level, remainder[:, :lags, np.newaxis])
                if level is not None:
                    remainder -= level[:, 0]
                yield remainder[:, :lags], remainder[:, lags:]

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        runs, _, channels = context.shape
        by_channel = coefficients.reshape(runs, self.lags, self.segment_steps, channels)
        forecasts = np.empty((runs, steps, channels))
        for channel in range(channels):
            values = np.ascontiguousarray(context[:, :, channel])
            numbers = self.numbers(values[:, -self.pattern_steps :])
            expected = self.pattern(numbers, np.arange(-self.lags, steps))
            remainder = values[:, -self.lags :] - expected[:, : self.lags]
            own = np.ascontiguousarray(by_channel[..., channel])
            ahead = super().run(fixed, own, remainder[:, :, np.newaxis], steps)[:, :, 0]
            forecasts[:, :, channel] = expected[:, self.lags :] + ahead
        return np.clip(np.nan_to_num(forecasts, nan=RUN_BOUND), -RUN_BOUND, RUN_BOUND)


@dataclass(frozen=True, eq=False)
class ByChannel:
    """Solutions of each channel: coefficients `[feature, step * channel]`."""

    own: Sequence[Solutions]

    def at(self, level: float) -> FloatArray:
        by_channel = np.stack([solutions.at(level) for solutions in self.own], axis=-1)
        return by_channel.reshape(len(by_channel), -1)
