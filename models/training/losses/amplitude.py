"""The amplitude loss: a flat line pays for what it lacks."""

from models.tensors import MemberBatchChannelTime, Tensor
from models.training.losses.loss import CountedSteps, Loss, loss_weight, per_member

# Added to a variance, so that a flat forecast has a slope that is finite.
LEAST_VARIANCE = 1e-12


class Amplitude(Loss, name="amplitude", label="amplitude loss", rank=212):
    """The amplitude loss: (std(forecast) - std(truth))^2, so that a flat line pays.

    Standard deviations over the steps that count; zero where a single step counts. No canonical
    source. The truth is what was observed: its noise counts as amplitude, which a free run of the
    signal alone then lacks.
    """

    weight: float = loss_weight(
        "amplitude_weight", "The weight of the squared difference of standard deviations."
    )

    @staticmethod
    def gradient(
        forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        _, batch, channels, steps = forecast.shape
        mask = counted.mask(steps)
        number = per_member(counted.number)
        deviation, own = _spread(forecast, mask, number)
        _, wanted = _spread(truth, mask, number)
        apart = (own - wanted) * (2.0 / (batch * channels))
        return deviation * (apart / (own * number))


def _spread(values: Tensor, mask: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Deviations from the mean of what counts, and their root mean square."""
    deviation = values * mask
    for _ in range(2):  # once more for what rounding leaves of the mean of a nearly flat line
        mean = deviation.sum(3, keepdim=True) / number
        deviation = (deviation - mean) * mask
    variance = deviation.square().sum(3, keepdim=True) / number
    return deviation, (variance + LEAST_VARIANCE).sqrt()
