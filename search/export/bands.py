"""A forecast with prediction intervals: what the command line, Python and pictures share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from search.errors import UsageError
from search.export.content import Export
from search.export.forecast import forecast
from search.outputs import band_ends
from search.series import FloatArray, Table


class Band(NamedTuple):
    """A prediction interval for every value of a forecast.

    level: in percent, the share of values that it is to hold. low, high: `[step, channel]`, in the
    units of the series.
    """

    level: float
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, eq=False)
class BandedForecast:
    """A forecast with its bands, the narrowest first.

    point: times, names of the channels, and the forecasts `[step, channel]`.
    """

    point: Table
    bands: tuple[Band, ...]

    @property
    def table(self) -> Table:
        """The forecast as a table: behind each column, the lower and the upper end of each band.

        They are named as the column with _low_80 and _high_80 behind it. Raises UsageError where a
        column has such a name already.
        """
        if not self.bands:
            return self.point
        ends = [values for band in self.bands for values in (band.low, band.high)]
        stacked = np.stack([self.point.values, *ends], axis=2)
        values, long = stacked.reshape(len(stacked), -1), self.point.long
        if long is not None:
            wide = replace(long, value_columns=self._named(long.value_columns))
            return replace(self.point, columns=wide.channels, values=values, long=wide)
        return replace(self.point, columns=self._named(self.point.columns), values=values)

    def _named(self, columns: Sequence[str]) -> tuple[str, ...]:
        ends = band_ends(band.level for band in self.bands)
        names = [name + end for name in columns for end in ("", *ends)]
        if double := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(
                f"the columns of a forecast must have different names, but '{double}' is both a "
                "column and the end of a band; rename the column, or leave levels out"
            )
        return tuple(names)


def forecast_with_bands(
    export: Export,
    table: Table,
    horizon_steps: int,
    levels: Sequence[float] = (),
    warn: Callable[[str], object] = lambda _warning: None,
) -> BandedForecast:
    """Forecast from a table's last row, with a prediction interval for each level.

    levels: in percent, from 1 to below 100, since less is mostly a share; none gives no bands.
    warn: see `forecast`. Raises what `forecast` raises; UsageError for a level out of range, and
    for an export that holds no residuals of free runs.
    """
    for level in levels:
        if not 1 <= level < 100:
            remedy = f"; for that share write {100 * level:g}" if 0 < level < 1 else ""
            raise UsageError(
                f"levels must be from 1 to below 100 percent, such as 80, but got {level:g}{remedy}"
            )
    intervals = export.intervals
    if levels and intervals is None and export.checkpoint is not None:
        raise UsageError(
            f"the export of {export.named} must hold free runs over held-out rows to give "
            "intervals, but an earlier version of freerun wrote it; `freerun export` writes them "
            "from the study's database, `freerun retrain DIR -o NEW_DIR` without it, or leave "
            "levels out"
        )
    point = forecast(export, table, horizon_steps, warn)
    bands = []
    for level in sorted(set(levels)):
        assert intervals is not None
        if shortfall := intervals.shortfall(level):
            warn(shortfall)
        if doubt := intervals.doubt(level):
            warn(doubt)
        bands.append(Band(level, *intervals.band(point.values, level)))
    return BandedForecast(point, tuple(bands))
