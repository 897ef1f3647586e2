"""A forecast before it takes the form of the series that it continues."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search.export.bands import BandedForecast
from search.outputs import band_ends
from search.series import FloatArray


@dataclass(frozen=True, eq=False)
class Ahead:
    """Rows that come after a series.

    times: of each row. columns: the names of the value columns. levels: of the bands, in percent.
    values: `[row, column, quantity]`: the forecast, then low and high of each band, the narrowest
    first. ids: of a long table the name of each row's series, id_column: what that column is
    called; else None.
    """

    times: Sequence[str]
    columns: Sequence[str]
    levels: Sequence[float]
    values: FloatArray
    ids: Sequence[str] | None = None
    id_column: str | None = None

    def by_name(self) -> Iterator[tuple[str, FloatArray]]:
        """Each column's name with its values `[row]`, for example demand, demand_low_80, ..."""
        for column, name in enumerate(self.columns):
            for quantity, ending in enumerate(["", *band_ends(self.levels)]):
                yield f"{name}{ending}", self.values[:, column, quantity]


def ahead_of(forecast: BandedForecast) -> Ahead:
    """Return a forecast's rows; those of a long table id by id.

    Raises UsageError where a column has the name of a band.
    """
    _ = forecast.table  # names all columns
    point = forecast.point
    edges = [edge for band in forecast.bands for edge in (band.low, band.high)]
    values = np.stack([point.values, *edges], axis=-1)
    levels = [band.level for band in forecast.bands]
    if point.long is None:
        return Ahead(point.times, point.columns, levels, values)
    long = point.long
    by_id = values.reshape(point.rows, len(long.ids), len(long.value_columns), -1)
    return Ahead(
        times=point.times * len(long.ids),
        columns=long.value_columns,
        levels=levels,
        values=by_id.swapaxes(0, 1).reshape(-1, len(long.value_columns), values.shape[-1]),
        ids=[name for name in long.ids for _ in range(point.rows)],
        id_column=long.id_column,
    )
