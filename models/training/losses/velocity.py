"""The velocity loss: errors of first differences, so that a forecast moves as the truth does."""

from models.tensors import MemberBatchChannelTime
from models.training.losses.loss import CountedSteps, Loss, loss_weight, per_member


class Velocity(Loss, name="velocity", label="velocity loss", rank=210):
    """The velocity loss: the squared error of first differences.

    The mean over pairs of neighbouring steps that both count; zero where a single step counts. No
    canonical source. A constant forecast pays for what it misses of the slope; so does one with
    noise of its own, which no level of the error tells apart.
    """

    weight: float = loss_weight(
        "velocity_weight", "The weight of the squared error of first differences."
    )

    @staticmethod
    def gradient(
        forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        members, batch, channels, steps = forecast.shape
        mask = counted.mask(steps)
        error = forecast - truth
        both = mask[..., 1:] * mask[..., :-1]
        pairs = per_member((counted.number - 1.0).clamp(min=1.0)) * (batch * channels)
        slope = (error[..., 1:] - error[..., :-1]) * both * (2.0 / pairs)
        gradient = error.new_zeros(members, batch, channels, steps)
        gradient[..., 1:] += slope
        gradient[..., :-1] -= slope
        return gradient
