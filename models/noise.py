"""Training noise: each member draws its own, from its own generator, and only what it uses."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from models.axes import TimeMemberBatchChannel


class Noise:
    """Gaussian noise of one kind for a cohort, `std` in training standard deviations."""

    def __init__(self, stds: Sequence[float], size: tuple[int, ...], device: torch.device) -> None:
        time, batch, channels = size
        self.stds = tuple(stds)
        self.is_used = any(std > 0.0 for std in stds)
        shape = (time, len(stds), batch, channels) if self.is_used else (0,)
        self.values: TimeMemberBatchChannel = torch.zeros(shape, device=device)

    def draw(self, generators: Sequence[Generator]) -> Tensor | None:
        """Fresh noise `[time, member, batch, channel]`, or None where no member uses this kind."""
        if not self.is_used:
            return None
        time, _, batch, channels = self.values.shape
        for member, std in enumerate(self.stds):
            if std > 0.0:
                drawn = torch.randn(time, batch, channels, generator=generators[member])
                self.values[:, member] = drawn.mul_(std)
        return self.values
