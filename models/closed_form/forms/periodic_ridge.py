"""Ridge regression across seasons: each place of a season by the same few coefficients."""

from types import MappingProxyType

import numpy as np

from models.closed_form.across_seasons import TYPICAL_SEASONS, AcrossSeasons
from models.closed_form.closed_form import FloatArray


class PeriodicRidge(
    AcrossSeasons,
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

    typical = MappingProxyType(
        {
            **TYPICAL_SEASONS,
            **{"direct_ridge": 0.1, "season_means": True, "context_level": "last"},
        }
    )

    def outputs(self, channels: int) -> int:
        return self.ahead * channels

    def features_of(self, channels: int) -> int:
        return self.seasons * channels * (2 if self.means else 1)

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
