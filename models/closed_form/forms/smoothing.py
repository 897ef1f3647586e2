"""Exponential smoothing: a level, a damped trend and a season that follow the forecast errors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.closed_form.averages import mean_in_order
from models.closed_form.closed_form import FittedForm, Fixed, FloatArray, Solutions, half_of_span
from models.closed_form.known import Known
from models.closed_form.season import season_length
from models.closed_form.unregularised import Unregularised
from models.methods import Choices, Domain, Whole, choice, largest, setting
from models.tensors import RUN_BOUND

IndexArray = NDArray[np.intp]

# The grid that rates are chosen from. beta is a share of alpha, and gamma of 1 - alpha, which is
# the usual region of Hyndman et al. (2008), section 4.
ALPHAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0)
BETA_SHARES = (0.01, 0.05, 0.15, 0.4)
GAMMA_SHARES = (0.0, 0.05, 0.15, 0.35, 0.7)
# Shares phi of the trend that are left after each step; 1 for a trend that goes on.
DAMPINGS = (0.8, 0.9, 0.95, 0.98, 1.0)
RATES = 4  # alpha, beta, phi, gamma
# The best points of the grid, whose forecasts are averaged.
AVERAGED = 5

# Rows at the end of each stretch that rates are chosen on, at most; or so many seasons, if longer.
MOST_ROWS = 2000
MOST_SEASONS = 4
# The first state is estimated from two halves of whole seasons, of at least so many steps each.
LEAST_HALF = 5
# Rates are chosen by forecasts over 1, 2, 4, 8, ... steps, up to so many or up to a season.
LEAST_REACH = 16
# Free runs that are made side by side: each holds a season for each averaged point.
RUNS_AT_ONCE = 64


def initial_steps(season: int) -> int:
    """Values that the first state is estimated from: two halves of whole seasons."""
    return 2 * season * -(-LEAST_HALF // season)


def _longest_season(train_steps: int, space: Mapping[str, Domain]) -> int:
    return half_of_span(train_steps, space) // 2


def _longest_context(train_steps: int, space: Mapping[str, Domain]) -> int:
    """Half of the span; 0 where a first state needs more than that."""
    half = half_of_span(train_steps, space)
    return half if half >= initial_steps(int(largest(space["season_steps"]))) else 0


class Smoothing(
    Unregularised,
    name="smoothing",
    label="exponential smoothing",
    source="Holt (1957); Winters (1960); Gardner & McKenzie (1985); Hyndman et al. (2008)",
    rank=18,
    searched=True,
):
    """Exponential smoothing: a level, a damped trend and a season that follow the forecast errors.

    Additive, in the error form of Hyndman et al. (2008), table 2.2: a value is expected at
    l + phi b + s, s being the seasonal term of a season before; an error e of that moves the level
    to l + phi b + alpha e, the trend to phi b + beta e, and the term to s + gamma e. A free run
    filters its context from a state that is estimated from the context's first two seasons, and
    extrapolates.

    The rates of each channel are those of a grid with the least mean squared error of forecasts
    over several steps, from 1 to a season or 16, after each of the last 2,000 values, or those of
    four seasons. The forecasts of the five best points are averaged.
    """

    reads_other_channels = False

    season_steps: int = season_length(most=_longest_season)
    trend: str = choice(
        ("none", "damped"),
        "The trend of an exponential smoothing: none, or a damped one.",
        shared=True,
        without="no trend",
    )
    smoothing_steps: int = setting(
        Whole(1, 1_000_000),
        Choices((2000,)),
        "True values that an exponential smoothing filters before a free run, two seasons or more.",
        neutral=2000,
        shared=True,
        most=_longest_context,
    )

    @property
    def context_steps(self) -> int:
        return max(self.smoothing_steps, initial_steps(self.season_steps))

    def features(self, channels: int) -> int:
        return RATES * AVERAGED

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> Solutions:
        grid = rate_grid(self.season_steps > 1, self.trend == "damped")
        errors = forecast_errors(grid, candidate.stretches(pieces), self.season_steps)
        # [point, channel]; the grid repeats where it has fewer points than are averaged.
        best = np.resize(np.argsort(errors, axis=0, kind="stable"), (AVERAGED, errors.shape[1]))
        return Known(grid[:, best].reshape(RATES * AVERAGED, -1))

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        parts = range(0, max(len(context), 1), RUNS_AT_ONCE)
        return np.concatenate(
            [
                self._run(
                    coefficients[first : first + RUNS_AT_ONCE],
                    context[first : first + RUNS_AT_ONCE, -self.context_steps :],
                    steps,
                )
                for first in parts
            ]
        )

    def walks(self, directions: int) -> int:
        # The span is filtered for the fit of its first part and for that of all, each with so many
        # points that a step takes about as long as five of a single one.
        return 10 * directions + 1

    def size(self) -> str:
        season = f"season of {self.season_steps}" if self.season_steps > 1 else "no season"
        return f"{season}, {self.trend if self.trend != 'none' else 'no'} trend"

    def _run(self, coefficients: FloatArray, context: FloatArray, steps: int) -> FloatArray:
        runs, _, channels = context.shape
        rates = coefficients.reshape(runs, RATES, AVERAGED, channels).transpose(1, 0, 2, 3)
        # [time, run, point, channel]
        values = np.ascontiguousarray(context.transpose(1, 0, 2))[:, :, np.newaxis]
        with np.errstate(over="ignore", invalid="ignore"):
            smoother = Smoother.start(rates, values, self.season_steps)
            for value in values:
                smoother.read(value)
            forecasts = np.empty((steps, runs, channels))
            for step, by_point in enumerate(smoother.extrapolate(steps)):
                forecasts[step] = mean_in_order(by_point.swapaxes(0, 1))
        forecasts = np.nan_to_num(forecasts, nan=RUN_BOUND)
        return np.clip(forecasts, -RUN_BOUND, RUN_BOUND).transpose(1, 0, 2)


@dataclass(eq=False)
class Smoother:
    """The states of exponential smoothings, filtered side by side.

    rates: alpha, beta, phi, gamma, `[rate, ...]`. level, slope: `[..., channel]`. seasons: the last
    seasonal terms `[place, ..., channel]`, that of a value at its place in the season. read_steps:
    values that were read.
    """

    rates: FloatArray
    level: FloatArray
    slope: FloatArray
    seasons: FloatArray
    read_steps: int = 0

    @classmethod
    def start(cls, rates: FloatArray, values: FloatArray, season: int) -> Self:
        """The state before the first of `values` `[time, ..., channel]`.

        A line through the means of both halves of the first values, and the mean deviation from it
        at each place of the season: exact for a line plus a season.
        """
        steps = initial_steps(season)
        half = steps // 2
        first, second = mean_in_order(values[:half]), mean_in_order(values[half:steps])
        slope = (second - first) / half
        level = first - slope * ((half + 1) / 2)
        ahead = np.arange(1.0, steps + 1.0).reshape(-1, *[1] * slope.ndim)
        deviations = values[:steps] - (level + slope * ahead)
        seasons = mean_in_order(deviations.reshape(-1, season, *slope.shape))
        shape = np.broadcast_shapes(rates.shape[1:], level.shape)
        terms = np.broadcast_to(seasons, (season, *shape))
        level, slope = (np.broadcast_to(state, shape) for state in (level, slope))
        # Only the seasonal terms are changed in place.
        return cls(rates, level, slope, terms.copy())

    def read(self, value: FloatArray) -> None:
        """Read a value `[..., channel]`: Hyndman et al. (2008), table 2.2, the damped row."""
        alpha, beta, phi, gamma = self.rates
        place = self.read_steps % len(self.seasons)
        slope = phi * self.slope
        level = self.level + slope
        error = value - level - self.seasons[place]
        self.level = level + alpha * error
        self.slope = slope + beta * error
        self.seasons[place] += gamma * error
        self.read_steps += 1

    def forecast(self, ahead: IndexArray, growth: FloatArray) -> FloatArray:
        """Forecasts `[horizon, ..., channel]` so many steps `ahead` of the last value.

        growth: phi + phi^2 + ... up to as many terms, `[horizon, ...]`.
        """
        places = (self.read_steps - 1 + ahead) % len(self.seasons)
        forecasts: FloatArray = self.level + growth * self.slope + self.seasons[places]
        return forecasts

    def extrapolate(self, steps: int) -> Iterator[FloatArray]:
        """Forecasts `[..., channel]` of the next steps."""
        phi = self.rates[2]
        for step, growth in enumerate(_growths(phi, steps)):
            yield self.forecast(np.array([step + 1]), growth[np.newaxis])[0]


def rate_grid(has_season: bool, has_trend: bool) -> FloatArray:
    """Points `[rate, point]` of the grid; beta = phi = 0 for no trend, gamma = 0 for no season."""
    trends = list(product(BETA_SHARES, DAMPINGS)) if has_trend else [(0.0, 0.0)]
    gammas = GAMMA_SHARES if has_season else (0.0,)
    points = [
        (alpha, share * alpha, phi, gamma * (1.0 - alpha))
        for (alpha, (share, phi), gamma) in product(ALPHAS, trends, gammas)
    ]
    return np.array(points).T


def forecast_errors(grid: FloatArray, stretches: Iterable[FloatArray], season: int) -> FloatArray:
    """The mean over horizons of the mean squared errors, `[point, channel]`.

    stretches: `[time, channel]`; those that a first state needs as a whole are passed over.
    """
    reach = max(season, LEAST_REACH)
    ahead = 2 ** np.arange(reach.bit_length())  # the horizons, up to the reach
    rates = grid[:, :, np.newaxis]
    growth = np.stack(list(_growths(rates[2], int(ahead[-1]))))[ahead - 1]
    known, most = initial_steps(season), max(MOST_ROWS, MOST_SEASONS * season)
    total: FloatArray | float = 0.0
    counts = np.zeros(len(ahead))
    for stretch in stretches:
        rows = stretch[-most:, np.newaxis]
        if len(rows) <= known:
            continue
        smoother = Smoother.start(rates, rows, season)
        squares = np.zeros((len(ahead), *smoother.level.shape))
        for read, value in enumerate(rows, start=1):
            smoother.read(value)
            if known <= read < len(rows):
                there = int(np.count_nonzero(ahead <= len(rows) - read))
                near = ahead[:there]
                errors = rows[read - 1 + near] - smoother.forecast(near, growth[:there])
                squares[:there] += errors * errors
                counts[:there] += 1.0
        total = total + squares
    by_horizon = (total / np.maximum(counts, 1.0)[:, np.newaxis, np.newaxis])[counts > 0.0]
    errors_of_points: FloatArray = by_horizon.mean(axis=0)
    return errors_of_points


def _growths(phi: FloatArray, steps: int) -> Iterator[FloatArray]:
    """phi + ... + phi^h for h = 1, 2, ..., by products: powers may round otherwise in company."""
    growth, power = np.zeros_like(phi), np.ones_like(phi)
    for _ in range(steps):
        power = power * phi
        growth = growth + power
        yield growth
