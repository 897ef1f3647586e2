"""Direct ridge regression: from a long window to all values of a horizon."""

from types import MappingProxyType

from models.closed_form.closed_form import FloatArray, half_of_span, quarter_of_span
from models.closed_form.direct import (
    MOST_AHEAD,
    TYPICAL,
    Direct,
    lag_fading,
    lag_penalties,
    suited_windows,
)
from models.methods import Choices, Whole, setting
from models.methods.series_properties import SeriesProperties


def _suited_ahead(series: SeriesProperties) -> Choices:
    """The horizon at once, as far as that is quickly solved."""
    return Choices((min(series.horizon_steps or 96, MOST_AHEAD),))


class DirectRidge(
    Direct,
    name="direct-ridge",
    label="direct ridge",
    source="Toner & Darlow (2024), arXiv 2403.14587; Zeng et al. (2023)",
    rank=20,
    searched=True,
):
    """Linear regression from a long window to all values of the horizon, less the window's level.

    x_(t+h) - l_t = sum over lags k of a_(h, k) (x_(t-k) - l_t), with the mean or last value l_t of
    the window. A strength that grows with the age of a value lets it read more of them.
    """

    needs_season = True
    typical = MappingProxyType({**TYPICAL, "direct_fading": 24.0, "direct_ridge": 0.01})

    window: int = setting(
        Whole(1, 4096),
        Choices((96, 336)),
        "Past values that a direct regression reads.",
        name="direct_window",
        suits=suited_windows,
        shared=True,
        most=half_of_span,
    )
    ahead: int = setting(
        Whole(1, 4096),
        Choices((96,)),
        "Values that a direct regression forecasts at once.",
        name="direct_steps",
        suits=_suited_ahead,
        shared=True,
        most=quarter_of_span,
    )
    age: float = lag_fading()

    @property
    def context_steps(self) -> int:
        return self.window

    def outputs(self, channels: int) -> int:
        return self.ahead * channels

    def penalties(self, channels: int) -> FloatArray:
        return lag_penalties(self.window, channels, self.age)

    def products_of_features(
        self, products: FloatArray, channels: int
    ) -> tuple[FloatArray, FloatArray]:
        known = self.window * channels
        return products[:known, :known], products[:known, known:]

    def size(self) -> str:
        return f"window of {self.window}"
