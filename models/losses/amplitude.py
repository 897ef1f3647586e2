"""The amplitude loss: a flat line pays for what it lacks."""

from torch import Tensor

from models.axes import MemberBatchChannelTime
from models.losses.window import Window, per_member

# Added to a variance, so that a flat forecast has a slope that is finite.
LEAST_VARIANCE = 1e-12


def amplitude(
    forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, window: Window
) -> MemberBatchChannelTime:
    """The gradient, with respect to the forecast, of (std(forecast) - std(truth))^2.

    Standard deviations over the steps that count, the mean over segments and channels; zero where a
    single step counts. No canonical source. The truth is what was observed: its noise counts as
    amplitude, which a free run of the signal alone then lacks.
    """
    _, batch, channels, steps = forecast.shape
    mask = window.mask(steps)
    counted = per_member(window.steps)
    deviation, own = _spread(forecast, mask, counted)
    _, wanted = _spread(truth, mask, counted)
    apart = (own - wanted) * (2.0 / (batch * channels))
    return deviation * (apart / (own * counted))


def _spread(values: Tensor, mask: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Deviations from the mean of what counts, and their root mean square."""
    deviation = values * mask
    for _ in range(2):  # once more for what rounding leaves of the mean of a nearly flat line
        mean = deviation.sum(3, keepdim=True) / counted
        deviation = (deviation - mean) * mask
    variance = deviation.square().sum(3, keepdim=True) / counted
    return deviation, (variance + LEAST_VARIANCE).sqrt()
