"""The theta method: a smoothed level with a part of the drift, and a season that is taken off."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.closed_form.ahead import IndexArray, horizons, start_places
from models.closed_form.closed_form import FittedForm, Fixed, FloatArray, Solutions, half_of_span
from models.closed_form.decomposing import profiles, seasons_to_decompose
from models.closed_form.known import Known
from models.closed_form.season import season_length
from models.closed_form.unregularised import Unregularised
from models.methods import counted
from models.tensors import RUN_BOUND

ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
# In which the drift falls to a half, in seasons.
HALF_LIVES = (0.5, 1.0, 2.0, 4.0, 8.0, np.inf)
NUMBERS = 3  # alpha, the weight of the drift, its share that is left after each step

# Values that are read at a time: a long context needs no more memory.
BLOCK_VALUES = 1_000_000


class Theta(
    Unregularised,
    name="theta",
    label="theta method",
    source="Assimakopoulos & Nikolopoulos (2000); Hyndman & Billah (2003); Fiorucci et al. (2016)",
    rank=23,
    searched=True,
):
    """The theta method: simple exponential smoothing with a part of the drift.

    The profile of a season is taken off the last seasons, see `decomposition`. What is left is
    smoothed to a level l with a rate alpha, and a line through it has the slope b. Step h is
    forecast as the profile + l + w b (phi + ... + phi^h + 1 / alpha - 1 - (1 - alpha)^n / alpha),
    n being the values that are read. The weight w is 1 - 1 / theta: 0.5 for the theta of 2 that the
    method began with; phi damps the drift.

    Fitted for each channel is w, from 0 to 1, by least squares, for each alpha and phi of a grid:
    over horizons up to two seasons, and at least 16 steps, from all starts or from 1,000.
    """

    needs_season = True
    reads_other_channels = False

    season_steps: int = season_length(most=half_of_span)
    decomposed_seasons: int = seasons_to_decompose()

    @property
    def context_steps(self) -> int:
        return self.decomposed_seasons * self.season_steps

    def features(self, channels: int) -> int:
        return NUMBERS

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        ahead = horizons(self.season_steps)
        numbers = []
        for channel in range(pieces[0].shape[1]):
            stretches = [stretch[:, channel] for stretch in candidate.stretches(pieces)]
            sums = Sums.of((b for s in stretches for b in self._blocks(s, ahead)), len(ahead))
            numbers.append(sums.best(ahead, self.season_steps, self.context_steps))
        return Known(np.stack(numbers, axis=1))

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        runs, _, channels = context.shape
        # Each channel of each run is a row.
        windows = context[:, -self.context_steps :].swapaxes(1, 2).reshape(runs * channels, -1)
        alpha, weight, phi = coefficients.transpose(1, 0, 2).reshape(NUMBERS, -1, 1)
        profile, left, slope = self._parts(np.ascontiguousarray(windows))
        weights, lag = smoothing(alpha, left.shape[1])
        level = np.vecdot(left, weights)
        # By products, as powers may round otherwise in company.
        powers = np.cumprod(np.broadcast_to(phi, (len(windows), steps)), axis=1)
        growth = np.cumsum(powers, axis=1) + lag
        forecasts = level[:, np.newaxis] + weight * slope[:, np.newaxis] * growth
        forecasts += profile[:, np.arange(steps) % self.season_steps]
        held: FloatArray = np.clip(forecasts, -RUN_BOUND, RUN_BOUND)
        return held.reshape(runs, channels, steps).swapaxes(1, 2)

    def size(self) -> str:
        seasons = counted(self.decomposed_seasons, "season")
        return f"{seasons} of {counted(self.season_steps, 'step')}"

    def _parts(self, windows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The profile `[row, place]` of windows, what it leaves `[row, time]`, and its slope."""
        profile = profiles(windows, self.season_steps)
        left = windows - np.tile(profile, (1, self.decomposed_seasons))
        time = np.arange(windows.shape[1]) - (windows.shape[1] - 1) / 2
        return profile, left, np.vecdot(left, time / (float(time @ time) or 1.0))

    def _blocks(
        self, stretch: FloatArray, ahead: IndexArray
    ) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """What forecasts from starts in a stretch leave without a drift, slopes, what is there.

        `[alpha, start, horizon]`, `[start]` and `[start, horizon]`; zero beyond the stretch's end.
        """
        known = self.context_steps
        starts = start_places(len(stretch), known)
        weights, _ = smoothing(np.array(ALPHAS)[:, np.newaxis], known)
        at_once = max(1, BLOCK_VALUES // (known + len(ALPHAS) * len(ahead)))
        for first in range(0, len(starts), at_once):
            begun = starts[first : first + at_once, np.newaxis]
            profile, left, slope = self._parts(stretch[begun + np.arange(-known, 0)])
            level = np.vecdot(left, weights[:, np.newaxis])
            reached = begun + ahead - 1
            is_there = (reached < len(stretch)).astype(np.float64)
            values = stretch[np.minimum(reached, len(stretch) - 1)]
            rest = values - profile[:, (ahead - 1) % self.season_steps]
            yield is_there * (rest - level[:, :, np.newaxis]), slope, is_there


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of products over all starts, which are enough for least squares.

    rest: squares of what is left without a drift, `[alpha, horizon]`. both: that times the slope.
    slope: squares of the slope, `[horizon]`.
    """

    rest: FloatArray
    both: FloatArray
    slope: FloatArray

    @classmethod
    def of(cls, blocks: Iterable[tuple[FloatArray, FloatArray, FloatArray]], horizons: int) -> Self:
        """From what forecasts leave, slopes, and which values are there."""
        shape = (len(ALPHAS), horizons)
        rest, both, squares = np.zeros(shape), np.zeros(shape), np.zeros(horizons)
        for left, slope, is_there in blocks:
            rest += np.einsum("ash,ash->ah", left, left)
            both += np.einsum("ash,s->ah", left, slope)
            squares += np.einsum("sh,s,s->h", is_there, slope, slope)
        return cls(rest, both, squares)

    def best(self, ahead: IndexArray, season: int, known: int) -> FloatArray:
        """alpha, weight of the drift and what is left of it after a step, `[number]`."""
        _, lag = smoothing(np.array(ALPHAS)[:, np.newaxis], known)
        damping = 0.5 ** (1.0 / (season * np.array(HALF_LIVES)))
        powers = damping[:, np.newaxis] ** np.arange(1, ahead[-1] + 1)
        # [phi, alpha, horizon]
        growth = np.cumsum(powers, axis=1)[:, np.newaxis, ahead - 1] + lag
        products = (growth * self.both).sum(axis=-1)
        squares = (growth**2 * self.slope).sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            weight = np.clip(np.nan_to_num(products / squares), 0.0, 1.0)
        errors = self.rest.sum(axis=-1) - 2.0 * weight * products + weight**2 * squares
        phi, alpha = np.unravel_index(int(errors.argmin()), errors.shape)
        return np.array([ALPHAS[alpha], weight[phi, alpha], damping[phi]])


def smoothing(alpha: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """Weights `[row, time]` of a level by rates `[row, 1]`, and its lag behind a line `[row, 1]`.

    The level begins with the oldest of so many values. The lag is in steps.
    """
    # By products, as powers may round otherwise in company.
    shares = np.ones((len(alpha), steps + 1))
    shares[:, 1:] = 1.0 - alpha
    powers = np.cumprod(shares, axis=1)
    weights = alpha * powers[:, -2::-1]
    weights[:, 0] = powers[:, -2]
    return weights, (1.0 - powers[:, -1:]) / alpha - 1.0
