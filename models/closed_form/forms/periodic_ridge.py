"""Ridge regression across seasons: each place of a season by the same few coefficients."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from models.closed_form.closed_form import FloatArray, half_of_span, quarter_of_span
from models.closed_form.direct import MOST_AHEAD, MOST_CONTEXT, Direct, fading
from models.methods import Choices, Domain, Whole, flag, largest, setting
from models.methods.series_properties import SeriesProperties


def _suited_season(series: SeriesProperties) -> Choices:
    """The shortest season."""
    return Choices((round(series.period or 1),))


def _suited_ahead(series: SeriesProperties) -> Choices:
    """As many seasons as reach over the horizon."""
    season = round(series.period or 1)
    steps = min(series.horizon_steps or season, MOST_AHEAD)
    return Choices((-(-steps // season),))


def _most_read(train_steps: int, space: Mapping[str, Domain]) -> int:
    most = min(half_of_span(train_steps, space), MOST_CONTEXT)
    return most // int(largest(space["periodic_steps"]))


def _most_ahead(train_steps: int, space: Mapping[str, Domain]) -> int:
    return quarter_of_span(train_steps, space) // int(largest(space["periodic_steps"]))


class PeriodicRidge(
    Direct,
    name="periodic-ridge",
    label="ridge across seasons",
    source='Lin et al. (2024), "SparseTSF", arXiv 2405.00946',
    rank=21,
    searched=True,
):
    """Linear regression from a place of the last seasons to the same place of the next ones.

    x_(t+jP+p) = sum over seasons d of a_(j, d) x_(t-dP+p) for all places p of a season of P steps,
    less the level of what is read. The coefficients are few and shared by all places, so that long
    windows cost little; with the means of whole seasons as further features a forecast follows the
    level as well as the place.
    """

    needs_season = True
    typical = MappingProxyType(
        {
            **{"seasons_fading": 1.0, "direct_ridge": 0.1},
            **{"season_means": True, "context_level": "last"},
            **{"tied_channels": True, "channel_tie": 1.0},
        }
    )

    season_steps: int = setting(
        Whole(1, 4096),
        Choices((24,)),
        "Steps of a season, for a regression across seasons.",
        name="periodic_steps",
        suits=_suited_season,
        shared=True,
        most=quarter_of_span,
        is_period=True,
    )
    seasons: int = setting(
        Whole(1, 1000),
        Choices((7, 14, 30, 42)),
        "The last seasons that a regression across seasons reads.",
        name="seasons_read",
        shared=True,
        most=_most_read,
    )
    ahead: int = setting(
        Whole(1, 1000),
        Choices((4,)),
        "Seasons that a regression across seasons forecasts at once.",
        name="seasons_ahead",
        suits=_suited_ahead,
        shared=True,
        most=_most_ahead,
    )
    means: bool = flag(
        "Whether a regression across seasons reads the means of the seasons as well.",
        name="season_means",
        shared=True,
        without="each place of a season by itself",
    )
    age: float = fading("seasons_fading", "1 + age / this, in seasons", Choices((0.0, 1.0, 3.0)))

    @property
    def context_steps(self) -> int:
        return self.seasons * self.season_steps

    @property
    def steps_at_once(self) -> int:
        return self.ahead * self.season_steps

    def outputs(self, channels: int) -> int:
        return self.ahead * channels

    def features_of(self, channels: int) -> int:
        return self.seasons * channels * (2 if self.means else 1)

    def rows(self, windows: int) -> int:
        return windows * self.season_steps

    def penalties(self, channels: int) -> FloatArray:
        ages = np.repeat(np.arange(self.seasons)[::-1], channels)
        own = 1.0 + ages / self.age if self.age else np.ones(len(ages))
        return np.tile(own, 2 if self.means else 1)

    def products_of_features(
        self, products: FloatArray, channels: int
    ) -> tuple[FloatArray, FloatArray]:
        season, count = self.season_steps, (self.seasons + self.ahead) * channels
        by_place = products.reshape(-1, season, channels, count // channels, season, channels)
        same = np.einsum("apcbpd->acbd", by_place).reshape(count, count)
        known = self.seasons * channels
        if not self.means:
            return same[:known, :known], same[:known, known:]
        # Of season means at all places: the products of any two places, a season's share of them.
        mixed = by_place.sum(axis=(1, 4)).reshape(count, count) / season
        own = np.block([[same[:known, :known], mixed[:known, :known]], [mixed[:known, :known]] * 2])
        return own, np.concatenate([same[:known, known:], mixed[:known, known:]])

    def expand(self, values: FloatArray, channels: int, constant: float) -> FloatArray:
        """Features `[row, place, feature]`; of tied channels `[row, place, channel, feature]`."""
        rows = len(values)
        seasons = values.reshape(rows, self.seasons, self.season_steps, channels)
        if self.is_tied:
            apart = seasons.transpose(0, 2, 3, 1)
            if self.means:
                of_seasons = apart.mean(axis=1, keepdims=True)
                apart = np.concatenate([apart, np.broadcast_to(of_seasons, apart.shape)], axis=3)
            return np.ascontiguousarray(apart)
        own = np.moveaxis(seasons, 2, 1).reshape(rows, self.season_steps, -1)
        if not self.means:
            return np.ascontiguousarray(own)
        means = seasons.mean(axis=2).reshape(rows, 1, -1)
        return np.concatenate([own, np.broadcast_to(means, own.shape)], axis=2)

    def ahead_of(self, features: FloatArray, by_output: FloatArray) -> FloatArray:
        rows, places = features.shape[:2]
        run: FloatArray
        if self.is_tied:
            by_season = by_output.reshape(rows, 1, self.ahead, *features.shape[2:])
            run = np.vecdot(features[:, :, np.newaxis], by_season)
        else:
            run = np.vecdot(features[:, :, np.newaxis], by_output[:, np.newaxis])
        in_order = np.moveaxis(run.reshape(rows, places, self.ahead, -1), 2, 1)
        return in_order.reshape(rows, -1)

    def size(self) -> str:
        words = f"{self.seasons} seasons of {self.season_steps}"
        return f"{words} with their means" if self.means else words
