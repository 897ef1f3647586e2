"""Harmonic regression on the last values, and ridge autoregression of what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.closed_form.closed_form import FloatArray, half_of_span
from models.closed_form.patterns import IndexArray, PatternAndRemainder
from models.closed_form.season import season_length
from models.methods import Choices, Whole, counted, flag, setting
from models.tensors import one_thread, torch

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

# The weight of squared coefficients beside the weighted mean squared error, for regressors of unit
# variance: enough to keep those small that the context hardly tells.
RIDGE = 0.01
# The trend's share that is left falls by a half in this share of the context.
HALF_LIFE_SHARE = 0.25
COUNTS = (3, 6, 12, 24)
# What people and the sun do again: of a day, a week or a year in steps, the others that go with it.
COMPANIONS = {
    7: (365,),
    24: (168, 8766),
    48: (336, 17532),
    96: (672,),
    144: (1008,),
    168: (24, 8766),
    336: (48, 17532),
    672: (96,),
    1008: (144,),
}


def _companions(series: SeriesProperties) -> set[int]:
    """Further seasons that may go with the periods of a series, of which two are seen."""
    if series.is_wave:
        return set()
    own = {round(period) for period in series.periods}
    others = own if len(own) > 1 else set()
    found = others.union(*(COMPANIONS.get(season, ()) for season in own))
    return {steps for steps in found if 2 * steps <= series.train_steps}


def _suited_counts(series: SeriesProperties) -> Choices:
    """Choices of `harmonic_count` to try on a series: those that its seasons have."""
    seasons = {*(round(period) for period in series.periods), *_companions(series)}
    most = max(seasons, default=0) / 2
    fitting = tuple(count for count in COUNTS if count <= most)
    return Choices(fitting or COUNTS[:1])


def _suited_steps(series: SeriesProperties) -> Choices:
    """Choices of `harmonic_steps` to try on a series: four to 16 seasons, or a longer one."""
    if not series.has_season:
        return Choices((16, 64, 256))
    of_seasons = {round(count * period) for period in series.periods for count in (4, 8, 16)}
    of_others = {count * season for season in _companions(series) for count in (1, 2)}
    return Choices(tuple(sorted(of_seasons | of_others)))


class Harmonics(
    PatternAndRemainder,
    name="harmonics",
    label="harmonic regression",
    source="Brown (1963), chapter 11; Young, Pedregal & Tych (1999)",
    rank=21,
    searched=True,
):
    """Harmonic regression, with a ridge autoregression of what it leaves.

    The last `harmonic_steps` values, and at least a season, are regressed on a level, on sines and
    cosines of the first harmonics of one or two seasons, and on a line that ahead of the last value
    is damped to a half within a quarter of the context. Frequencies are known and phases are not:
    it needs no clock. All coefficients but the level have a ridge of 0.01.
    """

    needs_season = True

    season_steps: int = season_length(most=half_of_span)
    second_season: int = setting(
        Whole(0, 1_000_000),
        Choices((0,)),
        "Steps of a second season of a harmonic regression; 0 for none.",
        neutral=0,
        shared=True,
        suits=lambda series: Choices((0, *sorted(_companions(series)))),
        most=half_of_span,
        name="second_season_steps",
        without="one season",
    )
    steps: int = setting(
        Whole(1, 1_000_000),
        Choices((16, 64, 256)),
        "Last values that a harmonic regression reads, a season or more.",
        shared=True,
        suits=_suited_steps,
        most=half_of_span,
        name="harmonic_steps",
    )
    count: int = setting(
        Whole(1, 10_000),
        Choices(COUNTS),
        "Harmonics of each season, as far as a season has them.",
        neutral=1,
        shared=True,
        suits=_suited_counts,
        name="harmonic_count",
    )
    has_trend: bool = flag(
        "Whether a harmonic regression has a damped trend.",
        shared=True,
        without="no trend",
        name="harmonic_trend",
    )

    @property
    def pattern_steps(self) -> int:
        return max(self.steps, self.season_steps, self.second_season)

    def numbers(self, windows: FloatArray) -> FloatArray:
        # Not a matrix product: its rounding would depend on the number of rows.
        numbers: FloatArray = np.einsum("rt,tn->rn", windows, self._estimator())
        return numbers

    def numbers_at_once(self, windows: FloatArray) -> FloatArray:
        with one_thread():
            products = torch.from_numpy(np.array(windows)) @ torch.from_numpy(self._estimator())
        numbers: FloatArray = products.numpy()
        return numbers

    def pattern(self, numbers: FloatArray, places: IndexArray) -> FloatArray:
        values: FloatArray = np.einsum("rn,np->rp", numbers, self._regressors(places))
        return values

    def _estimator(self) -> FloatArray:
        """What values are multiplied by for the coefficients of the regression `[time, number]`."""
        steps = self.pattern_steps
        rows = self._regressors(np.arange(-steps, 0))
        penalty = np.full(len(rows), RIDGE)
        penalty[0] = 0.0  # the level's
        with one_thread():
            weighted = torch.from_numpy(rows / steps)
            system = weighted @ torch.from_numpy(rows.T) + torch.from_numpy(np.diag(penalty))
            solution = torch.linalg.solve(system, weighted).numpy()
        return np.ascontiguousarray(solution.T)

    def _regressors(self, places: IndexArray) -> FloatArray:
        """Regressors `[number, place]`, the first of which is the level's."""
        rows = [np.ones(len(places))]
        if self.has_trend:
            rate = np.log(2.0) / (HALF_LIFE_SHARE * self.pattern_steps)
            ahead = np.maximum(places + 1.0, 0.0)
            line = np.minimum(places + 1.0, 0.0) - np.expm1(-rate * ahead) / rate
            rows.append(np.sqrt(12.0) * line / self.pattern_steps)
        for season in sorted({self.season_steps, self.second_season} - {0, 1}):
            for harmonic in range(1, min(self.count, season // 2) + 1):
                angles = 2.0 * np.pi * harmonic * places / season
                rows.append(np.sqrt(2.0) * np.cos(angles))
                if 2 * harmonic < season:
                    rows.append(np.sqrt(2.0) * np.sin(angles))
        return np.stack(rows)

    def size(self) -> str:
        seasons = sorted({self.season_steps, self.second_season} - {0, 1})
        words = " and ".join(map(str, seasons)) or "none"
        trend = ", damped trend" if self.has_trend else ""
        return (
            f"{counted(self.count, 'harmonic')} of season {words} on {self.pattern_steps} values"
            f"{trend}, order {self.remainder_order}"
        )
