"""The length of a season, and where a study searches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.methods import Choices, Whole, setting

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties


def suited_seasons(series: SeriesProperties) -> Choices:
    """Choices of `season_steps` to try on a series: no season, and its periods, rounded."""
    return Choices(tuple(sorted({1, *(round(period) for period in series.periods)})))


def season_length(**more: Any) -> Any:
    """The setting that closed forms with a season share; see `setting`."""
    return setting(
        Whole(1, 1_000_000),
        Choices((1,)),
        "Steps of a season; 1 for none.",
        neutral=1,
        shared=True,
        suits=suited_seasons,
        name="season_steps",
        **more,
    )
