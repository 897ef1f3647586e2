"""A forecast with prediction intervals: what the command line, Python and pictures share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from search.errors import UsageError
from search.export.content import Export
from search.export.forecast import forecast
from search.series import FloatArray, Table


@dataclass(frozen=True, eq=False)
class Band:
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


def forecast_with_bands(
    export: Export,
    table: Table,
    horizon_steps: int,
    levels: Sequence[float] = (),
    warn: Callable[[str], object] = lambda _warning: None,
) -> BandedForecast:
    """Forecast from a table's last row, with a prediction interval for each level.

    levels: in percent, above 0 and below 100; none gives no bands. warn: see `forecast`. Raises
    what `forecast` raises; UsageError for a level out of range, and for an export that holds no
    residuals of free runs.
    """
    for level in levels:
        if not 0 < level < 100:
            raise UsageError(f"--levels must be above 0 and below 100 percent, but got {level:g}")
    point = forecast(export, table, horizon_steps, warn)
    if levels:
        raise UsageError(
            f"the export of {export.named} holds no residuals of free runs, which intervals are "
            "made from; export it again"
        )
    return BandedForecast(point, ())
