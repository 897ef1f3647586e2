"""A profile of the last seasons, with a level that fades and a drift."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.closed_form.ahead import IndexArray, horizons, start_places
from models.closed_form.averages import mean_in_order
from models.closed_form.closed_form import FittedForm, Fixed, FloatArray, Solutions, half_of_span
from models.closed_form.known import Known
from models.closed_form.season import season_length
from models.closed_form.unregularised import Unregularised
from models.methods import Choices, Domain, Whole, choice, counted, flag, largest, setting
from models.methods.series_properties import SeriesProperties
from models.tensors import RUN_BOUND

# Shares of the level that are left after each step: none, some by their half-life, and all.
HALF_LIVES = np.geomspace(0.25, 10_000.0, 60)
FADINGS = np.array([0.0, *(0.5 ** (1.0 / HALF_LIVES)), 1.0])
# Shares of the drift of a season that are left in the next.
DAMPINGS = np.array([0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
NUMBERS = 4  # weight and fading of the level, weight and damping of the drift

# Values that are read at a time: a long season needs no more memory.
BLOCK_VALUES = 1_000_000


def _longest_season(train_steps: int, space: Mapping[str, Domain]) -> int:
    """Half of the span, or a quarter, where a drift reads two seasons."""
    drift = space.get("profile_drift")
    return half_of_span(train_steps, space) // (2 if drift and drift.contains(True) else 1)


def _most_seasons(train_steps: int, space: Mapping[str, Domain]) -> int:
    return half_of_span(train_steps, space) // int(largest(space["season_steps"]))


def _suited_levels(series: SeriesProperties) -> Choices:
    """Choices of `level_steps` to try on a series: few values, and its periods, rounded."""
    if not series.periods:
        return Choices((1, 4, 16))
    return Choices(tuple(sorted({1, 4, *(round(period) for period in series.periods)})))


class SeasonalProfile(
    Unregularised,
    name="seasonal-profile",
    label="profile of the last seasons",
    rank=19,
    searched=True,
):
    """The average of the last seasons again and again, with a level that fades and a drift.

    Step h is forecast as profile + a rho^h gap + b (1 + phi + ... + phi^(q-1)) drift, where q is
    the season ahead in which it lies. The profile is the mean or median of the last seasons at each
    place of a season, the gap the mean deviation of the last few values from it, and the drift the
    mean change from one of the seasons to the next. One season without a drift is the seasonal
    naive forecast.

    Fitted for each channel are a and b, from 0 to 1, by least squares, for each rho and phi of a
    grid: over horizons up to two seasons, and at least 16 steps, from all starts or from 1,000.
    """

    reads_other_channels = False

    season_steps: int = season_length(most=_longest_season)
    profile_seasons: int = setting(
        Whole(1, 1000),
        Choices((1, 2, 3, 4, 8)),
        "The last seasons that a profile is the average of.",
        neutral=1,
        shared=True,
        most=_most_seasons,
        without="the last season",
    )
    profile_average: str = choice(
        ("mean", "median"),
        "Whether a profile is the mean or the median of the last seasons.",
        shared=True,
        without="their mean",
    )
    level_steps: int = setting(
        Whole(1, 1_000_000),
        Choices((1, 4, 16)),
        "The last values, a season at most, whose deviation from a profile fades.",
        neutral=1,
        shared=True,
        suits=_suited_levels,
    )
    profile_drift: bool = flag(
        "Whether a profile drifts from season to season.",
        shared=True,
        without="no drift",
    )

    @property
    def context_steps(self) -> int:
        return self.read_seasons * self.season_steps

    @property
    def read_seasons(self) -> int:
        """Those of the profile; with a drift, two at least."""
        return max(self.profile_seasons, 2) if self.profile_drift else self.profile_seasons

    def features(self, channels: int) -> int:
        return NUMBERS

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        season = self.season_steps
        ahead = horizons(season)
        blocks = (b for s in candidate.stretches(pieces) for b in self._blocks(s, ahead))
        return Known(best_numbers(Moments.of(blocks), ahead, season))

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        season, seasons = self.season_steps, -(-steps // self.season_steps)
        weight, fading, drift_weight, damping = coefficients.transpose(1, 0, 2)[:, :, np.newaxis]
        runs, _, channels = context.shape
        places = np.arange(season)
        parts = self._parts(np.ascontiguousarray(context[:, -self.context_steps :]), places)
        # By products, as powers may round otherwise in company.
        left = np.cumprod(np.broadcast_to(fading, (runs, steps, channels)), axis=1)
        powers = np.ones((runs, seasons, channels))
        powers[:, 1:] = damping
        growth = np.cumsum(np.cumprod(powers, axis=1), axis=1)
        by_season = parts.profile[:, np.newaxis] + (
            drift_weight * growth * parts.drift[:, np.newaxis]
        ).reshape(runs, seasons, 1, channels)
        forecasts = by_season.reshape(runs, -1, channels)[:, :steps]
        forecasts = forecasts + weight * left * parts.gap[:, np.newaxis]
        held: FloatArray = np.clip(forecasts, -RUN_BOUND, RUN_BOUND)
        return held

    def size(self) -> str:
        words = [f"{self.profile_average} of {counted(self.profile_seasons, 'season')}"]
        words.append(f"of {counted(self.season_steps, 'step')}")
        return " ".join(words) + (", with a drift" if self.profile_drift else "")

    def _parts(self, windows: FloatArray, places: IndexArray) -> "Parts":
        """What forecasts after `windows` `[row, context, channel]` are made of.

        places: within a season, of the profile's values.
        """
        rows, _, channels = windows.shape
        season = self.season_steps
        by_season = windows.reshape(rows, self.read_seasons, season, channels)
        averaged = by_season[:, -self.profile_seasons :]
        recent = np.arange(season - min(self.level_steps, season), season)
        gaps = averaged[:, -1, recent] - self._average(averaged[:, :, recent])
        drift = np.zeros((rows, channels))
        if self.profile_drift:
            last, first = (mean_in_order(by_season[:, place], axis=1) for place in (-1, 0))
            drift = (last - first) / (self.read_seasons - 1)
        return Parts(self._average(averaged[:, :, places]), mean_in_order(gaps, axis=1), drift)

    def _average(self, seasons: FloatArray) -> FloatArray:
        """Of `[row, season, place, channel]`, over the seasons."""
        if self.profile_average == "mean":
            return mean_in_order(seasons, axis=1)
        median: FloatArray = np.median(seasons, axis=1)
        return median

    def _blocks(
        self, stretch: FloatArray, ahead: IndexArray
    ) -> Iterator[tuple["Parts", FloatArray, FloatArray]]:
        """Parts of forecasts from starts in a stretch, the values and whether they are there.

        The values are `[start, horizon, channel]`, and zero beyond the end of the stretch.
        """
        steps, channels = stretch.shape
        starts = start_places(steps, self.context_steps)
        at_once = max(1, BLOCK_VALUES // (self.context_steps * channels))
        for first in range(0, len(starts), at_once):
            begun = starts[first : first + at_once, np.newaxis]
            windows = stretch[begun + np.arange(-self.context_steps, 0)]
            reached = begun + ahead - 1
            is_there = (reached < steps).astype(np.float64)
            values = stretch[np.minimum(reached, steps - 1)]
            yield self._parts(windows, (ahead - 1) % self.season_steps), values, is_there


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of forecasts: profile `[row, place, channel]`, gap and drift `[row, channel]`."""

    profile: FloatArray
    gap: FloatArray
    drift: FloatArray


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over all starts of products, `[horizon, channel]`: enough for least squares.

    gap_gap: of the gap with itself; drift_drift and gap_drift likewise. gap_rest: of the gap with
    what the profile leaves of the values; drift_rest likewise.
    """

    gap_gap: FloatArray
    gap_drift: FloatArray
    drift_drift: FloatArray
    gap_rest: FloatArray
    drift_rest: FloatArray

    @classmethod
    def of(cls, blocks: Iterable[tuple[Parts, FloatArray, FloatArray]]) -> Self:
        """From parts of forecasts, with the values, and with which of them are there."""
        sums: list[FloatArray | float] = [0.0] * 5
        for parts, values, is_there in blocks:
            gap, drift = parts.gap, parts.drift
            rest = is_there[:, :, np.newaxis] * (values - parts.profile)
            products = [
                np.einsum("sh,sc,sc->hc", is_there, one, other)
                for one, other in ((gap, gap), (gap, drift), (drift, drift))
            ]
            products += [np.einsum("shc,sc->hc", rest, one) for one in (gap, drift)]
            sums = [total + product for total, product in zip(sums, products, strict=True)]
        return cls(*map(np.asarray, sums))


def best_numbers(moments: Moments, ahead: IndexArray, season: int) -> FloatArray:
    """Weight and fading of the level, weight and damping of the drift, `[number, channel]`.

    With the least squared error over the horizons `ahead`, for all fadings and dampings.
    """
    left = FADINGS[:, np.newaxis] ** ahead
    powers = DAMPINGS[:, np.newaxis] ** np.arange(1 + (int(ahead[-1]) - 1) // season)
    grown = np.cumsum(powers, axis=1)[:, (ahead - 1) // season]
    # |a level + b drift - rest|^2 in terms of products, [fading, damping, channel].
    level = np.einsum("fh,hc->fc", left**2, moments.gap_gap)[:, np.newaxis]
    drift = np.einsum("dh,hc->dc", grown**2, moments.drift_drift)[np.newaxis]
    both = np.einsum("fh,dh,hc->fdc", left, grown, moments.gap_drift)
    level_rest = np.einsum("fh,hc->fc", left, moments.gap_rest)[:, np.newaxis]
    drift_rest = np.einsum("dh,hc->dc", grown, moments.drift_rest)[np.newaxis]
    a, b = _weights(level, both, drift, level_rest, drift_rest)
    squares = a**2 * level + 2 * a * b * both + b**2 * drift
    errors = squares - 2 * (a * level_rest + b * drift_rest)
    channels = np.arange(errors.shape[-1])
    best = errors.reshape(-1, len(channels)).argmin(axis=0)
    case, fading, damping = np.unravel_index(best, errors.shape[:-1])
    place = (case, fading, damping, channels)
    return np.stack([a[place], FADINGS[fading], b[place], DAMPINGS[damping]])


def _weights(
    level: FloatArray,
    both: FloatArray,
    drift: FloatArray,
    level_rest: FloatArray,
    drift_rest: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Weights `[case, fading, damping, channel]` from 0 to 1, the best of which are among them.

    The least of a convex function on a square lies on one of its four sides or where the slope is
    zero. What has no effect has no weight: the sides where it is 0 come first.
    """
    shape = both.shape
    a_cases, b_cases = [], []
    for fixed in (0.0, 1.0):
        a_cases.append(np.full(shape, fixed))
        b_cases.append(_ratio(drift_rest - fixed * both, np.broadcast_to(drift, shape)))
        a_cases.append(_ratio(level_rest - fixed * both, np.broadcast_to(level, shape)))
        b_cases.append(np.full(shape, fixed))
    determinant = level * drift - both**2
    a_cases.append(_ratio(level_rest * drift - drift_rest * both, determinant))
    b_cases.append(_ratio(drift_rest * level - level_rest * both, determinant))
    return np.stack(a_cases), np.stack(b_cases)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """A ratio, held from 0 to 1; 0 for a denominator that is not positive."""
    is_positive = denominator > 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.where(is_positive, numerator, 0.0) / np.where(is_positive, denominator, 1.0)
    return np.clip(np.nan_to_num(ratio), 0.0, 1.0)
