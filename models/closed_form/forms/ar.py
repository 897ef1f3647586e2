"""Linear autoregression by ridge regression."""

from models.closed_form.closed_form import LaggedRidge, half_of_span
from models.methods import Choices, Whole, setting
from models.methods.series_properties import SeriesProperties

ORDERS = Choices((16, 32, 64, 128, 256))


def suited_orders(series: SeriesProperties) -> Choices:
    """Choices of `ar_order` to try on a series: one to three of its seasons, and the usual ones."""
    seasons = () if series.is_wave else series.periods
    of_seasons = {round(n * season) for season in seasons for n in (1, 2, 3)}
    return Choices(tuple(sorted({*ORDERS.values, *of_seasons})))


class AR(LaggedRidge, name="ar", label="ridge AR", rank=13, searched=True):
    """Linear autoregression by ridge regression: each value is a sum over the last ones.

    x_t = sum over lags k and channels of a_k x_(t-k). Fitted in both directions of time at once,
    this is the modified covariance method (Marple 1980, "A new autoregressive spectrum analysis
    algorithm"), which finds the frequencies of short records better. With a residual output the
    increments are fitted, so that a ridge draws the forecast to persistence instead of zero.
    """

    ar_order: int = setting(
        Whole(1, 4096),
        ORDERS,
        "Past values that an autoregression reads.",
        suits=suited_orders,
        shared=True,
        most=half_of_span,
    )

    @property
    def context_steps(self) -> int:
        return self.ar_order

    def size(self) -> str:
        return f"order {self.ar_order}"
