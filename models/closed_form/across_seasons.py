"""What regressions share that learn from each place of a season alike."""

from collections.abc import Mapping

import numpy as np

from models.closed_form.closed_form import FloatArray, half_of_span, quarter_of_span
from models.closed_form.direct import MOST_AHEAD, MOST_CONTEXT, TYPICAL, Direct, fading
from models.methods import Choices, Domain, Scalar, Whole, flag, largest, setting
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


# A long window is seldom far off, since older values weigh less; a short one may be.
TYPICAL_SEASONS: Mapping[str, Scalar] = {**TYPICAL, "seasons_read": 30, "seasons_fading": 1.0}


class AcrossSeasons(Direct):
    """Regression from a place of the last seasons to the same place of the next ones."""

    needs_season = True

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

    def size(self) -> str:
        words = f"{self.seasons} seasons of {self.season_steps}"
        return f"{words} with their means" if self.means else words
