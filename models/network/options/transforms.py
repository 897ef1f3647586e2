"""What is done to a series before it is standardised: a power transform, a seasonal difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.methods import (
    Choices,
    Domain,
    Method,
    MethodSet,
    Stage,
    Whole,
    choice,
    largest,
    setting,
)
from models.methods.condition import Above

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.methods.series_properties import SeriesProperties

POWERS = ("none", "log", "box-cox")


class PowerTransform(
    Method,
    name="power_transform",
    label="power transform",
    source="Box & Cox (1964)",
    rank=122,
):
    """A power transform of the values, so that what grows by shares grows by equal steps.

    Forecasts are transformed back, which makes them medians instead of means. The power of Box and
    Cox is the one of the greatest likelihood on the training span; 0 is the logarithm. Values must
    be above zero.
    """

    kind = "transform"
    stage = Stage.UNITS
    shapes_forecast = True

    power: str = choice(
        POWERS,
        "The power transform of the values: none, the logarithm, or that of Box and Cox.",
        name="power_transform",
        searched=False,
        suits=lambda series: _powers(series),
        without="values as they are",
    )

    def phrase(self) -> str:
        return {"log": "logarithms", "box-cox": "Box-Cox powers"}[self.power]


class SeasonalDifference(Method, name="seasonal_difference", label="seasonal difference", rank=123):
    """The seasonal difference: what is forecast is the change from the seasons before.

    From one season before, as in Box & Jenkins (1970), "Time series analysis: forecasting and
    control"; or from the mean of several, whose noise is less.
    """

    kind = "transform"
    stage = Stage.UNITS
    shapes_forecast = True

    season: int = setting(
        Whole(0, 1_000_000),
        Choices((0, 12)),
        "Steps back to the value whose change is forecast; 0 to forecast values.",
        name="seasonal_lag",
        neutral=0,
        shared=True,
        searched=False,
        suits=lambda series: _lags(series),
        most=lambda train_steps, _space: _longest(train_steps),
        without="values instead of changes from a season before",
    )
    seasons: int = setting(
        Whole(1, 1000),
        Choices((1, 2, 4)),
        "How many seasons before are averaged for the value whose change is forecast.",
        name="lag_seasons",
        neutral=1,
        when=Above("seasonal_lag", 0),
        shared=True,
        most=lambda train_steps, space: _most_seasons(train_steps, space),
        without="changes from one season before",
    )

    @property
    def steps(self) -> int:
        """How many values before a context are needed as well."""
        return self.season * self.seasons

    def phrase(self) -> str:
        if self.seasons > 1:
            return f"changes from the mean of {self.seasons} seasons of {self.season} steps before"
        return f"changes from {self.season} steps before"


def _powers(series: SeriesProperties) -> Choices | None:
    """Of values above zero, but where they follow their own dynamics without noise."""
    return Choices(POWERS) if series.is_positive and not series.is_noise_free else None


def _longest(train_steps: int) -> int:
    """Half of the span is left to learn from."""
    return train_steps // 2


def _most_seasons(train_steps: int, space: Mapping[str, Domain]) -> int:
    """As many as take an eighth of the span: what averages them is learnt from the rest."""
    return max(train_steps // 8 // max(_longest_season(space), 1), 1)


def _lags(series: SeriesProperties) -> Choices | None:
    """No lag, and each season of the series; None where there is none, or no noise either."""
    if series.is_wave or series.is_noise_free:
        return None
    seasons = [round(period) for period in series.periods]
    fitting = [season for season in seasons if 1 < season <= _longest(series.train_steps)]
    return Choices((0, *dict.fromkeys(fitting))) if fitting else None


def lag_of(methods: MethodSet) -> int:
    """How many values before a context are needed as well."""
    difference = methods.find(SeasonalDifference)
    return 0 if difference is None else difference.steps


def has_power(methods: MethodSet) -> bool:
    """Whether values are raised to a power."""
    return methods.find(PowerTransform) is not None


def longest_lag(space: Mapping[str, Domain]) -> int:
    """The most steps that differences take from the training span in a space."""
    seasons = space.get(SeasonalDifference.settings[1].name)
    return _longest_season(space) * (1 if seasons is None else int(largest(seasons)))


def _longest_season(space: Mapping[str, Domain]) -> int:
    domain = space.get(SeasonalDifference.settings[0].name)
    return 0 if domain is None else int(largest(domain))
