"""The absolute loss: what is off by twice as much counts twice, not four times."""

from models.tensors import MemberBatchChannelTime
from models.training.losses.loss import CountedSteps, Loss, averaged, loss_weight


class Absolute(
    Loss,
    name="absolute",
    label="absolute loss",
    source="Koenker & Bassett (1978)",
    rank=214,
):
    """The mean absolute error, whose best forecast is the median of what may follow.

    It is twice the pinball loss of the median. Of a series with outliers, squared errors would make
    a forecast follow these.
    """

    weight: float = loss_weight("absolute_weight", "The weight of the absolute loss.")

    @staticmethod
    def gradient(
        forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        return averaged((forecast - truth).sign(), counted)
