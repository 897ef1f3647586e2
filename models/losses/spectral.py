"""The spectral loss: errors of Fourier coefficients, which an oscillation can't hide from."""

import torch
from torch import Tensor

from models.axes import MemberBatchChannelTime
from models.losses.window import Window, per_member

# Keeps the slope of a modulus at zero finite.
LEAST_SQUARE = 1e-12


def spectral(
    forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, window: Window
) -> MemberBatchChannelTime:
    """The gradient, with respect to the forecast, of mean |rfft(forecast) - rfft(truth)|.

    Wang et al. (2024), FreDF: the mean over segments, channels and frequencies. Their coefficients
    grow with the root of time for noise; here they are divided by the root of the steps that count,
    so that a weight means about the same over any horizon. Steps that do not count are zeros in the
    transform, so that the frequencies are those of the whole rollout.

    In real arithmetic: torch's complex products round differently for other cohort sizes.
    """
    _, batch, channels, steps = forecast.shape
    mask = window.mask(steps)
    root = per_member(window.steps).sqrt()
    error = ((forecast - truth) * (mask / root)).contiguous()
    spectrum = torch.view_as_real(torch.fft.rfft(error))
    squares = spectrum.square()
    modulus = (squares[..., 0] + squares[..., 1] + LEAST_SQUARE).sqrt().unsqueeze(-1)
    direction = spectrum / modulus
    count = batch * channels * spectrum.shape[-2]
    return _adjoint(direction, steps) * (mask / (root * count))


def _adjoint(direction: Tensor, steps: int) -> Tensor:
    """Real part of the sum over frequencies k of direction_k exp(2 pi i k n / steps), by n."""
    # irfft counts frequencies that stand for their conjugates, too, twice.
    twice = slice(1, (steps + 1) // 2)
    halved = direction.clone()
    halved[..., twice, :] *= 0.5
    transformed = torch.view_as_complex(halved.contiguous())
    summed: Tensor = torch.fft.irfft(transformed, n=steps)
    return summed * steps
