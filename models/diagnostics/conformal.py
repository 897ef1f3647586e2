"""Prediction intervals from the errors of held-out free runs, by horizon.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018, "Distribution-free predictive
inference for regression", theorem 2): of n + 1 exchangeable scores, a new one is at most the
ceil((n + 1) level)-th least of the others with a probability of at least `level`. The score of an
error is its size over the scale of errors at its horizon (normalised scores, Lei et al. 2018,
section 5.2), so that the scores of all horizons are pooled into one quantile and the scale alone
says how the band widens.

Exact: the guarantee of `conformal_quantile` for exchangeable scores; for each horizon by itself, as
in Stankevičiūtė et al. (2021, "Conformal time-series forecasting"), who correct for no more than
that either: a level is the share of values within the band, not of whole paths.

Approximate: free runs of one series from start points near each other share rows, and errors drift
with the series, so that their scores are not exchangeable. Barber et al. (2023, "Conformal
prediction beyond exchangeability") bound what coverage that costs by how far the scores'
distributions differ. Therefore a run is scaled by runs that share no rows with it, as far as there
are any, the correction for few scores counts runs, not their values, and what the band covers of
runs that it was not made from is measured, see `covered`.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Scales are means over neighbouring horizons, on either side this share of the longest one.
POOLED_SHARE = 0.15
# Runs that share rows are put aside for one another, but no more of them than leaves this share.
LEAST_KEPT = 0.5
# Runs count as independent from this share of the longest horizon between them on. Errors of the
# same rows from starts as near as that are alike; see docs/decisions/0098 for what was measured.
INDEPENDENT_SHARE = 1 / 8
# The growth of the scale beyond the longest horizon is fitted to this last share of horizons, and
# is at most that of an error that grows with time.
FITTED_SHARE, MOST_GROWTH = 0.5, 1.0


def least_scores(level: float) -> int:
    """The fewest scores with which a level, from 0 to 1, can be reached."""
    count = 1
    while conformal_rank(count, level) > count:
        count += 1
    return count


def conformal_rank(count: int, level: float) -> int:
    """Which of `count` sorted scores, from 1 on, bounds a new one; above `count` none does."""
    # Of a product that should be whole, such as 20 * 0.95, rounding must not make one more.
    return math.ceil(round((count + 1) * level, 9))


def conformal_quantile(scores: FloatArray, level: float, count: int | None = None) -> float:
    """The bound of a new score that is exchangeable with `scores` `[score]`.

    level: from 0 to 1. count: how many of the scores are taken to be independent, None for all of
    them. The bound is the score of the rank len(scores) (count + 1) level / count, rounded up,
    which is `conformal_rank` where all are independent; where that is beyond the last, the greatest
    score, which falls short of the level.
    """
    count = len(scores) if count is None else count
    rank = math.ceil(round(len(scores) * (count + 1) * level / count, 9))
    place = min(max(rank, 1), len(scores)) - 1
    return float(np.partition(scores, place)[place])


@dataclass(frozen=True, eq=False)
class RunErrors:
    """Errors of held-out free runs, `[run, step, channel]`, and what follows for new ones.

    errors: NaN where a run ended early, and where nothing was observed. steps: `[step]`, the
    horizon steps that they are at, from 1 on and increasing. places: `[run]`, where each run
    starts; two that are less than the longest horizon apart share rows.

    Raises ValueError where these do not fit each other or a run or a channel has no errors.
    """

    errors: FloatArray
    steps: NDArray[np.int64]
    places: NDArray[np.int64]

    def __post_init__(self) -> None:
        runs, steps, _ = self.errors.shape
        if self.places.shape != (runs,) or self.steps.shape != (steps,) or not self.errors.size:
            raise ValueError(
                f"errors {list(self.errors.shape)} must go with the steps and the places of their "
                f"runs, but these are {list(self.steps.shape)} and {list(self.places.shape)}"
            )
        if self.steps[0] < 1 or not (np.diff(self.steps) > 0).all():
            raise ValueError("the horizon steps of errors must increase from 1 on")
        is_known = np.isfinite(self.errors)
        has_all = is_known.any(axis=(1, 2)).all() and is_known.any(axis=(0, 1)).all()
        if np.isinf(self.errors).any() or not has_all:
            raise ValueError("each run and each channel must have a finite error at some step")

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self.errors)

    @cached_property
    def count(self) -> int:
        """How many of them count as independent, see INDEPENDENT_SHARE."""
        return self._count_of(self.places)

    def _count_of(self, places: NDArray[np.int64]) -> int:
        count, last = 0, -math.inf
        for place in sorted(places.tolist()):
            if place - last >= INDEPENDENT_SHARE * self.steps[-1]:
                count, last = count + 1, place
        return count

    def half_widths(self, level: float, horizon_steps: int) -> FloatArray:
        """Half the width of the band at each of the next steps, `[step, channel]`.

        level: from 0 to 1. Between the steps whose errors are known it is interpolated. Beyond the
        last, the scale goes on as a power of the horizon that is fitted to the logarithms of its
        last part, between staying as it is and growing in proportion to the horizon.
        """
        known = self._scale * self._bounds(np.ones(self.runs, dtype=bool), level)
        wanted = np.arange(1, horizon_steps + 1)
        columns = [np.interp(wanted, self.steps, own) for own in known.T]
        beyond = np.maximum(wanted / self.steps[-1], 1.0)[:, np.newaxis]
        return np.asarray(np.stack(columns, axis=1) * beyond**self._growth)

    def covered(self, level: float) -> float:
        """The share of errors within bands that are made without their run, and what it overlaps.

        Cross-conformal (Vovk 2015), for the bands' own measure: mostly below the level where few
        stretches of the series are held out.
        """
        scores, inside = self.scores, []
        for run, apart in enumerate(self._apart):
            own = scores[run] <= self._bounds(apart, level)
            inside.append(own[np.isfinite(scores[run])])
        return float(np.mean(np.concatenate(inside)))

    def crosswise(self, level: float) -> FloatArray:
        """Half widths of bands made without a run and what overlaps it, `[run, step, channel]`."""
        bounds = np.stack([self._bounds(apart, level) for apart in self._apart])
        return np.asarray(self._scales_apart * bounds[:, np.newaxis])

    @cached_property
    def scores(self) -> FloatArray:
        """Sizes of errors over the scale of runs apart from theirs, `[run, step, channel]`."""
        return np.abs(self.errors) / self._scales_apart

    @cached_property
    def _scales_apart(self) -> FloatArray:
        """The scale of errors by the runs that are apart from each, `[run, step, channel]`.

        Of a channel that these know nothing of, it is that of all runs.
        """
        scales = np.stack([_scale(self._sums[:, own]) for own in self._apart])
        known = np.stack([self._sums[1, own].any(axis=(0, 1)) for own in self._apart])
        return np.asarray(np.where(known[:, np.newaxis], scales, self._scale))

    def _bounds(self, of: NDArray[np.bool_], level: float) -> FloatArray:
        """The bounds of a new score of each channel, `[channel]`, by the scores of some runs."""
        count, pooled = self._count_of(self.places[of]), []
        for channel in range(self.errors.shape[2]):
            own = self.scores[of, :, channel]
            # Where these runs know nothing of a channel, all do.
            own = own if np.isfinite(own).any() else self.scores[:, :, channel]
            pooled.append(own[np.isfinite(own)])
        return np.array([conformal_quantile(own, level, count) for own in pooled])

    @cached_property
    def _apart(self) -> NDArray[np.bool_]:
        """For each run, the runs that are apart from it: those that share no rows, or else the
        farthest ones, `[run, other]`."""
        if self.runs == 1:
            return np.ones((1, 1), dtype=bool)
        distance = np.abs(self.places[:, np.newaxis] - self.places)
        farthest = np.argsort(np.argsort(-distance, axis=1, kind="stable"), axis=1)
        least = max(1, math.floor(LEAST_KEPT * self.runs))
        apart = (distance >= self.steps[-1]) | (farthest < least)
        np.fill_diagonal(apart, val=False)
        return np.asarray(apart)

    @cached_property
    def _scale(self) -> FloatArray:
        """The scale of errors at each of the steps, `[step, channel]`."""
        return _scale(self._sums)

    @cached_property
    def _growth(self) -> FloatArray:
        """The power of the horizon with which the scale grows at its end, `[channel]`."""
        last = self._scale[int((1.0 - FITTED_SHARE) * len(self.steps)) :]
        if len(last) < 2:
            return np.zeros(last.shape[1])
        x = np.log(self.steps[-len(last) :])
        x = x - x.mean()
        slopes = x @ np.log(last) / (x @ x)
        return np.asarray(np.clip(slopes, 0.0, MOST_GROWTH))

    @cached_property
    def _sums(self) -> FloatArray:
        """Sums and numbers of the sizes of errors near each step, `[2, run, step, channel]`."""
        is_known = np.isfinite(self.errors)
        sizes = np.where(is_known, np.abs(self.errors), 0.0)
        both = np.stack([sizes, is_known.astype(np.float64)])
        reach = round(POOLED_SHARE * len(self.steps))
        sums = np.cumsum(np.pad(both, ((0, 0), (0, 0), (1, 0), (0, 0))), axis=2)
        place = np.arange(len(self.steps))
        first = np.maximum(place - reach, 0)
        last = np.minimum(place + reach + 1, len(self.steps))
        return np.asarray(sums[:, :, last] - sums[:, :, first])


def interval_score(
    low: FloatArray, high: FloatArray, observed: FloatArray, level: float
) -> FloatArray:
    """The mean interval score of bands `[..., channel]`, `[channel]`; the smaller the better.

    The width, and 2 / (1 - level) times the distance of what is outside (Gneiting & Raftery 2007,
    "Strictly proper scoring rules, prediction, and estimation", equation 43). What is not observed,
    NaN, is left out.
    """
    outside = np.maximum(low - observed, 0.0) + np.maximum(observed - high, 0.0)
    scores = high - low + 2.0 / (1.0 - level) * outside
    return np.asarray(np.nanmean(scores, axis=tuple(range(scores.ndim - 1))))


def _scale(sums: FloatArray) -> FloatArray:
    """The mean size of errors, `[step, channel]`, of sums and numbers `[2, run, step, channel]`.

    Where no run gets, it stays what it was, and before the first known step it is as there.
    """
    total, count = sums.sum(axis=1)
    first = (count > 0).argmax(axis=0)
    known = np.maximum.accumulate(np.where(count > 0, np.arange(len(count))[:, np.newaxis], first))
    channels = np.arange(total.shape[1])
    mean = total[known, channels] / np.maximum(count[known, channels], 1.0)
    return np.asarray(np.maximum(mean, np.finfo(np.float64).tiny))
