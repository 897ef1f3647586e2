"""Noise on the state: each member disturbs what its layers carry from step to step."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class StateNoise:
    """Gaussian noise on every number of a state when the next step reads it, in units of the state.

    Jaeger (2001), "The echo state approach": noise in the state update makes closed loops stable,
    at a cost in precision. What a layer passes upwards at the same step is left clean. Every step
    has noise of its own, which branches share, as they do all noise.
    """

    def __init__(
        self,
        stds: Sequence[float],
        *,
        slots: int,
        layers: int,
        batch: int,
        branches: int,
        width: int,
        device: torch.device,
    ) -> None:
        self.stds = tuple(stds)
        self.is_used = any(std > 0.0 for std in stds)
        shape = (slots, layers, len(stds), branches, batch, width)
        # [slot, layer, member, branch, batch, unit]
        self.values = torch.zeros(shape if self.is_used else (0,), device=device)

    def draw(self, generators: Sequence[Generator]) -> None:
        """Fresh noise; a member without it takes no random number."""
        if not self.is_used:
            return
        slots, layers, _, _, batch, width = self.values.shape
        for member, std in enumerate(self.stds):
            if std > 0.0:
                drawn = torch.randn(slots, layers, batch, width, generator=generators[member])
                self.values[:, :, member] = drawn.mul_(std).unsqueeze(2)

    def unroll_noise(self) -> Tensor | None:
        """The noise as an unroll reads it, `[slot, layer, member, batch, unit]`; None for none.

        A view: the next `draw` changes it.
        """
        return self.values.flatten(3, 4) if self.is_used else None
