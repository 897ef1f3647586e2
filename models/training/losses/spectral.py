"""The spectral loss: errors of Fourier coefficients, which an oscillation can't hide from."""

import math
from functools import lru_cache

from models.network.parameters import aligned
from models.tensors import MemberBatchChannelTime, Tensor, torch
from models.training.losses.loss import CountedSteps, Loss, loss_weight, per_member

# Keeps the slope of a modulus at zero finite.
LEAST_SQUARE = 1e-12


class Spectral(
    Loss, name="spectral", label="spectral loss", source="Wang et al. (2024), FreDF", rank=211
):
    """The spectral loss: mean |rfft(forecast) - rfft(truth)|, which an oscillation can't hide from.

    The mean over frequencies. The coefficients of the paper grow with the root of time for noise;
    here they are divided by the root of the steps that count, so that a weight means about the same
    over any horizon. Steps that do not count are zeros in the transform, so that the frequencies
    are those of the whole rollout.

    Computed by products with cosines and sines: fast Fourier transforms, and torch's complex
    products, round differently for other cohort sizes or numbers of threads.
    """

    weight: float = loss_weight(
        "spectral_weight", "The weight of the error of Fourier coefficients."
    )

    @staticmethod
    def gradient(
        forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        members, batch, channels, steps = forecast.shape
        mask = counted.mask(steps)
        root = per_member(counted.number).sqrt()
        waves, transposed = (table.to(forecast).expand(members, -1, -1) for table in tables(steps))
        error = forecast.new_zeros(members, batch * channels, waves.shape[1])
        error[..., :steps] = ((forecast - truth) * (mask / root)).flatten(1, 2)
        spectrum = torch.bmm(error, waves).unflatten(2, (2, -1))
        squares = spectrum.square()
        modulus = (squares[:, :, 0] + squares[:, :, 1] + LEAST_SQUARE).sqrt().unsqueeze(2)
        direction = (spectrum / modulus).flatten(2)
        count = batch * channels * (steps // 2 + 1)
        along = torch.bmm(direction, transposed)[..., :steps]
        gradient: Tensor = along.unflatten(1, (batch, channels)) * (mask / (root * count))
        return gradient


@lru_cache(maxsize=1)
def tables(steps: int) -> tuple[Tensor, Tensor]:
    """Cosines, then negative sines of rfft's frequencies, `[time, 2 x frequency]`.

    And the same transposed. All members read the same memory, so that a long rollout costs no more
    of it for many. Both axes are padded by zeros, so that every member's errors and coefficients
    are aligned alike: see `models.network.parameters`.
    """
    frequencies = steps // 2 + 1
    turns = torch.outer(torch.arange(steps), torch.arange(frequencies)) % steps
    angle = turns.double() * (2.0 * math.pi / steps)
    waves = torch.zeros(aligned(steps), 2, aligned(frequencies))
    waves[:steps, 0, :frequencies], waves[:steps, 1, :frequencies] = angle.cos(), -angle.sin()
    by_time = waves.flatten(1)
    return by_time, by_time.t().contiguous()
