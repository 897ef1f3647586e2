"""The length of a season, and where a study searches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.methods import Choices, Whole, setting

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties


# The span is at least so many seasons beside the longest lag of a difference, or no season is tried
# as well: some forms take a quarter of what is left.
FITTING_SEASONS = 4


def suited_seasons(series: SeriesProperties) -> Choices:
    """Choices of `season_steps` to try on a series: its periods, rounded.

    No season is among them where there is none, or where it is too long for some forms.
    """
    periods = {round(period) for period in series.periods}
    left = series.train_steps - max(periods, default=0)
    if not series.has_season or left < FITTING_SEASONS * min(periods):
        periods.add(1)
    return Choices(tuple(sorted(periods)))


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
        is_period=True,
        **more,
    )
