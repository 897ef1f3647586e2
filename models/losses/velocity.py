"""The velocity loss: errors of first differences, so that a forecast moves as the truth does."""

from models.axes import MemberBatchChannelTime
from models.losses.window import Window, per_member


def velocity(
    forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, window: Window
) -> MemberBatchChannelTime:
    """The gradient, with respect to the forecast, of the mean squared error of first differences.

    The mean over segments, channels and pairs of neighbouring steps that both count; zero where a
    single step counts. No canonical source. A constant forecast pays for what it misses of the
    slope; so does one with noise of its own, which no level of the error tells apart.
    """
    members, batch, channels, steps = forecast.shape
    mask = window.mask(steps)
    error = forecast - truth
    both = mask[..., 1:] * mask[..., :-1]
    pairs = per_member((window.steps - 1.0).clamp(min=1.0)) * (batch * channels)
    slope = (error[..., 1:] - error[..., :-1]) * both * (2.0 / pairs)
    gradient = error.new_zeros(members, batch, channels, steps)
    gradient[..., 1:] += slope
    gradient[..., :-1] -= slope
    return gradient
