"""The Huber loss: squared where errors are small, absolute where they are large."""

from models.tensors import MemberBatchChannelTime
from models.training.losses.loss import CountedSteps, Loss, averaged, loss_weight

# From this error on, in training standard deviations, the loss grows no faster than the error.
LARGE_ERROR = 0.5


class Huber(Loss, name="huber", label="Huber loss", source="Huber (1964)", rank=213):
    """The Huber loss: squared below an error of 0.5 training standard deviations, linear above.

    e^2 / 2 below 0.5 training standard deviations, (|e| - 1/4) / 2 above: a few large errors, such
    as those of a rollout that has slipped out of phase, do not decide the gradient.
    """

    weight: float = loss_weight("huber_weight", "The weight of the Huber loss.")

    @staticmethod
    def gradient(
        forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        return averaged((forecast - truth).clamp(-LARGE_ERROR, LARGE_ERROR), counted)
