"""The log-cosh loss: squared where errors are small, absolute where they are large."""

from __future__ import annotations

from models.tensors import MemberBatchChannelTime
from models.training.losses.loss import CountedSteps, Loss, loss_weight, per_member


class LogCosh(Loss, name="log_cosh", label="log-cosh loss"):
    """The mean of log cosh(forecast - truth), which a few large errors do not decide."""

    weight: float = loss_weight("log_cosh_weight", "The weight of the log-cosh loss.")

    @staticmethod
    def gradient(
        forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        _, batch, channels, steps = forecast.shape
        numbers = per_member(counted.number) * (batch * channels)
        return (forecast - truth).tanh() * (counted.mask(steps) / numbers)
