"""What is made of columns beside those that are forecast: a regression, inputs, channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.methods import Choices, Method, MethodSet, Selects, Stage, choice, flag
from models.methods.condition import FEEDS_BACK_EACH, READS, TRAINED, AllOf, Is, IsNot
from models.methods.values import OFF_ON
from models.network.options.channels import INDEPENDENT, TIED
from models.network.options.context import WarmedUpState
from models.network.options.segments import Segments

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

REGRESSIONS = ("none", "linear", "curves")
LAGS = ("none", "steps", "spans")
# A regression on lags of more known values than these takes longer than most trainings.
MOST_LAGGED_VALUES = 200_000
# Up to so many numbers of known columns in a training span, those of each channel counted, the
# default space has them as inputs: each network keeps a copy, of 64 MiB at most.
MOST_INPUTS = 2**24


def _suited_inputs(series: SeriesProperties) -> Choices | None:
    if series.known_by_series:  # which of them are its own, a network could not tell
        return None
    numbers = series.train_steps * series.known_columns * series.channels
    return OFF_ON if 0 < numbers <= MOST_INPUTS else None


class KnownColumns(
    Method,
    name="known_columns",
    label="regression on known columns",
    source="Pankratz (1991); Hyndman & Athanasopoulos (2021), chapter 10",
    rank=124,
):
    """A regression on the columns that are known in advance, of which any forecaster gets the rest.

    The values of a row, after a power transform, are a sum of effects of the known columns in that
    row and a rest. The forecaster is trained on the rest and runs freely on it; the effects of the
    future rows are added to its forecast. "linear" effects are straight lines, "curves" are
    piecewise linear, with a knot at each value of a column that has few. See `models.effects`.
    """

    kind = "transform"
    stage = Stage.UNITS
    shapes_forecast = True

    known_columns: str = choice(
        REGRESSIONS,
        "The regression on columns that are known in advance, of whose rest a forecast is made.",
        searched=False,
        suits=lambda series: Choices(REGRESSIONS) if series.known_columns else None,
        without="known columns ignored",
    )

    def phrase(self) -> str:
        return {"linear": "lines of known columns", "curves": "curves of known columns"}[
            self.known_columns
        ]


class KnownLags(
    Method,
    name="known_lags",
    label="lags of known columns",
    source="Ghysels, Sinko & Valkanov (2007)",
    rank=125,
):
    """Effects that known columns have later, such as the temperature of the last days.

    The regression on known columns then also reads them at earlier rows, with curves of their own.
    "steps" are the three rows before and the row a season before. "spans" are means over the rows
    before, of 1, of the 2 before that, of 4, of 8 and so on, until they reach two seasons, or 15
    rows where there is no season, and 255 at most. What a training span is too short for is left
    out.
    """

    kind = "transform"
    stage = Stage.UNITS
    shapes_forecast = True

    known_lags: str = choice(
        LAGS,
        "At which earlier rows the regression reads the columns that are known in advance, too.",
        searched=False,
        suits=lambda series: _lags(series),
        when=Is("known_columns", REGRESSIONS[1:]),
        without="known columns of the same row alone",
    )

    def phrase(self) -> str:
        return {"steps": "lags of them", "spans": "means of their last rows"}[self.known_lags]


class KnownInputs(
    Method,
    name="known_inputs",
    label="known columns as inputs",
    source="Leontaritis & Billings (1985); Salinas et al. (2020)",
    rank=127,
):
    """The columns that are known in advance as further inputs of a trained network.

    At every step over time the network reads, beside the values of a segment, the known columns of
    the rows of the next one, which it is about to forecast. Their effect may so depend on the state
    and on each other. In a free run the future rows are given: they are neither fed back nor
    forecast. Each column is standardised by the training span; powers, differences and instance
    norms are of the values alone, and so are noise and the factors of augmentations. A subsequence
    that is read backwards has its known columns backwards, too.
    """

    kind = "channels"
    stage = Stage.UNITS
    applies = TRAINED
    shapes_forecast = True

    known_inputs: bool = flag(
        "Whether a network also reads the known columns of the rows that it is about to forecast.",
        shared=True,
        searched=False,
        suits=_suited_inputs,
        loops=True,
        # A state by least squares, and parallel decoding, read nothing where rows are forecast.
        when=AllOf(READS, FEEDS_BACK_EACH),
        without="known columns are no inputs",
    )

    def check(self, others: MethodSet) -> None:
        if not self.known_inputs:
            return
        state = others.find(WarmedUpState)
        if others[Segments].is_parallel or (state and state.state_estimate == "least-squares"):
            raise ValueError(
                "known_inputs must be false with parallel decoding and with state_estimate "
                f'"least-squares", which read nothing where rows are forecast, but got {others}'
            )

    def phrase(self) -> str:
        return "known columns as inputs"


class PastColumns(Method, name="past_columns", label="past columns", rank=131):
    """Columns that are known only in the past, as further channels that are read and forecast.

    A free run goes on with its own forecasts of them, as with those of the columns that are to be
    forecast; only these are scored and written. A forecaster that runs each channel by itself
    leaves them out, and so does a closed form that looks at one channel at a time, or has tied
    channels.
    """

    kind = "channels"
    # After `channels`, on which it depends.
    stage = Stage.CHANNELS
    shapes_forecast = True

    past_columns: bool = flag(
        "Whether columns that are known only in the past are read and forecast as channels.",
        shared=True,
        searched=False,
        suits=lambda series: OFF_ON if series.past_columns else None,
        when=AllOf(
            Selects("cell", "can_mix_channels"),
            Selects("cell", "reads_other_channels"),
            IsNot("channels", (INDEPENDENT,)),
            IsNot(TIED, (True,)),
        ),
        without="past columns left out",
    )

    def check(self, others: MethodSet) -> None:
        if self.past_columns and others.values().get("channels") == INDEPENDENT:
            raise ValueError(
                f"past_columns must be false where each channel runs by itself, but got {others}"
            )

    def phrase(self) -> str:
        return "past columns beside"


def _lags(series: SeriesProperties) -> Choices | None:
    """Of known columns that are not too long for it."""
    values = series.train_steps * series.known_columns
    return Choices(LAGS) if 0 < values <= MOST_LAGGED_VALUES else None


def regression_of(methods: MethodSet) -> str:
    """The kind of regression on known columns, one of `REGRESSIONS`."""
    return methods[KnownColumns].known_columns


def lags_of_known(methods: MethodSet) -> str:
    """At which earlier rows known columns are read as well, one of `LAGS`."""
    return methods[KnownLags].known_lags


def has_regression(methods: MethodSet) -> bool:
    """Whether there is a regression on known columns."""
    return regression_of(methods) != "none"


def has_known_inputs(methods: MethodSet) -> bool:
    """Whether known columns are inputs of a network."""
    return methods[KnownInputs].known_inputs


def reads_known(methods: MethodSet) -> bool:
    """Whether known columns are read at all."""
    return has_regression(methods) or has_known_inputs(methods)


def reads_past(methods: MethodSet) -> bool:
    """Whether columns that are known only in the past are read as channels."""
    return methods[PastColumns].past_columns
