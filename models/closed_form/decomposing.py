"""Classical decomposition of what is read: what a season leaves of it, and the season's profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.closed_form.averages import mean_in_order
from models.closed_form.closed_form import FloatArray, half_of_span
from models.methods import Choices, Whole, largest, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.methods import Domain


def _most_seasons(train_steps: int, space: Mapping[str, Domain]) -> int:
    return half_of_span(train_steps, space) // int(largest(space["season_steps"]))


def seasons_to_decompose() -> Any:
    """The setting of how many seasons are read, which closed forms share."""
    return setting(
        Whole(1, 1000),
        Choices((2, 4, 8, 16)),
        "The last seasons, which are decomposed for the profile of a season.",
        name="decomposed_seasons",
        neutral=1,
        shared=True,
        most=_most_seasons,
    )


def profiles(windows: FloatArray, season: int) -> FloatArray:
    """The profile `[row, place]` of a season, from windows `[row, time]` of whole seasons.

    The mean, at each place, of the deviations from the centred moving average; its own mean is 0.
    """
    deviations = windows - moving_average(windows, season)
    profile = np.zeros((len(windows), season))
    for first in range(0, windows.shape[1], season):
        profile += deviations[:, first : first + season]
    profile /= windows.shape[1] // season
    centred: FloatArray = profile - mean_in_order(profile, axis=1)[:, np.newaxis]
    return centred


def moving_average(windows: FloatArray, season: int) -> FloatArray:
    """The centred moving average `[row, time]` of windows over a season.

    A season of an even number of steps has half a weight at both ends. Places that are too near to
    an end have the average of the first or of the last season.
    """
    steps, half = windows.shape[1], season // 2
    sums = np.zeros((len(windows), steps + 1))
    np.cumsum(windows, axis=1, out=sums[:, 1:])
    of_seasons = (sums[:, season:] - sums[:, :-season]) / season
    average = np.empty_like(windows)
    average[:, :half], average[:, steps - half :] = of_seasons[:, :1], of_seasons[:, -1:]
    if season % 2 == 0:
        of_seasons = (of_seasons[:, 1:] + of_seasons[:, :-1]) / 2.0
    average[:, half : steps - half] = of_seasons
    return average
