"""The log-cosh loss: squared where errors are small, absolute where they are large."""

from __future__ import annotations

from models.tensors import MemberBatchChannelTime
from models.training.losses.loss import CountedSteps, Loss, averaged, loss_weight


class LogCosh(Loss, name="log_cosh", label="log-cosh loss"):
    """The mean of log cosh(forecast - truth), which a few large errors do not decide."""

    weight: float = loss_weight("log_cosh_weight", "The weight of the log-cosh loss.")

    @staticmethod
    def gradient(
        forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        return averaged((forecast - truth).tanh(), counted)
