"""Dropout: each member zeroes some of its hidden values, drawn from its own generator."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class Dropout:
    """Masks of a cohort: 0 with the member's rate, else 1 / (1 - rate).

    Srivastava et al. (2014), scaled in training so that the free run needs no scaling. The values
    that pass upwards are masked, those that pass on in time are not (Zaremba et al. 2014), and
    every step has masks of its own. (One mask for all steps, on the recurrence too, is the other
    way: Gal & Ghahramani 2016.) The branches share their masks: what is matched between them
    should differ by what they read alone.
    """

    def __init__(
        self,
        rates: Sequence[float],
        *,
        slots: int,
        layers: int,
        batch: int,
        branches: int,
        width: int,
        device: torch.device,
    ) -> None:
        self.rates = tuple(rates)
        self.is_used = any(rate > 0.0 for rate in rates)
        shape = (slots, layers, len(rates), branches, batch, width)
        # [slot, layer, member, branch, batch, unit]; a member without dropout multiplies by one
        self.masks = torch.ones(shape if self.is_used else (0,), device=device)

    def draw(self, generators: Sequence[Generator]) -> None:
        """Fresh masks; a member without dropout takes no random number."""
        if not self.is_used:
            return
        slots, layers, _, _, batch, width = self.masks.shape
        for member, rate in enumerate(self.rates):
            if rate > 0.0:
                drawn = torch.rand(slots, layers, batch, width, generator=generators[member])
                kept = (drawn >= rate).to(drawn.dtype) / (1.0 - rate)
                self.masks[:, :, member] = kept.unsqueeze(2)

    def unroll_masks(self) -> Tensor | None:
        """The masks as an unroll reads them, `[slot, layer, member, batch, unit]`; None for none.

        A view: the next `draw` changes it.
        """
        return self.masks.flatten(3, 4) if self.is_used else None
