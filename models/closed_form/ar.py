"""Linear autoregression by ridge regression."""

from models.candidate import Strategy
from models.closed_form.closed_form import Fixed, FloatArray, Solutions
from models.closed_form.lagged import Lagged
from models.closed_form.ridge import STRENGTHS, Ridge


class AR(Lagged):
    """x_t = sum over lags k and channels of a_k x_(t-k), `context_steps` being the order.

    Fitted in both directions of time at once, this is the modified covariance method (Marple 1980,
    "A new autoregressive spectrum analysis algorithm"), which finds the frequencies of short
    records better. With a residual output the increments are fitted, so that a ridge draws the
    forecast to persistence instead of zero.
    """

    levels = STRENGTHS

    def factorise(self, series: FloatArray, strategy: Strategy, fixed: Fixed) -> Solutions:
        latest = self.latest if self.architecture.residual else None
        return Ridge.of(self.blocks(series, strategy), latest)

    def given_level(self, strategy: Strategy) -> float:
        return strategy.ridge
