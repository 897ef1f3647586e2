"""The hybrid: a linear autoregression, fitted and held fixed, and a network that adds the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.methods import Choices, Method, MethodSet, Stage, choice
from models.methods.condition import FEEDS_BACK, FEEDS_BACK_EACH, AllOf, IsNot, Selects
from models.network.options.context import WarmedUpState
from models.network.options.segments import Segments
from models.network.options.shape import Residual

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

HYBRIDS = ("none", "ar", "level-ar")
# An autoregression reads at most so many values: its fit takes time by the square of them.
MOST_LAGS = 1024


class Hybrid(Method, name="hybrid", rank=125, source="Zhang (2003); Smyl (2020)"):
    """A hybrid: a linear autoregression makes each forecast, and the network adds the rest to it.

    The autoregression of each channel is fitted by ridge regression to the training rows before the
    network is trained, and is not trained with it. Both read the same values, in a free run the
    sums of their own forecasts. The output layer starts at zero, so that training begins with the
    autoregression, and the output is in standard deviations of what the autoregression leaves.
    "level-ar" is fitted to deviations from the mean of the values that it reads.
    """

    kind = "output"
    stage = Stage.OUTPUT
    # Beside an autoregression, a linear cell has little to add, and would need the loop over time.
    applies = Selects("cell", "is_nonlinear")
    shapes_forecast = True

    hybrid: str = choice(
        HYBRIDS,
        "The autoregression to whose forecasts a network adds the rest: none, of values, or of "
        "deviations from their mean.",
        shared=True,
        searched=False,
        suits=lambda series: _suited(series),
        when=AllOf(FEEDS_BACK, FEEDS_BACK_EACH, IsNot("residual", (True,))),
        without="the network alone",
    )

    def check(self, others: MethodSet) -> None:
        if self.hybrid == "none":
            return
        state = others.find(WarmedUpState)
        refused = {
            "autonomous": state is not None and state.autonomous,
            'decoding "parallel"': others[Segments].is_parallel,
            "residual": others[Residual].residual,
            "stateful": bool(others.values().get("stateful")),
        }
        if found := [name for name, is_there in refused.items() if is_there]:
            raise ValueError(
                f"hybrid must be none with {' and '.join(found)}, since it adds to a forecast from "
                f"the last values, but got {others}"
            )

    def phrase(self) -> str:
        return {
            "ar": "rest of an autoregression",
            "level-ar": "rest of an autoregression of levels",
        }[self.hybrid]


def _suited(series: SeriesProperties) -> Choices | None:
    """Where a season repeats, or none is known; of smooth curves the network alone learns more.

    Of a wave of less than three periods, the lags hold no whole period. Measured in 0132.
    """
    return None if series.is_wave or series.is_noise_free else Choices(HYBRIDS)
