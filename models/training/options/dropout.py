"""Dropout: each member zeroes some of its hidden values, drawn from its own generator."""

from __future__ import annotations

from collections.abc import Sequence

from models.axes import Generator, Tensor
from models.later import torch
from models.methods import Choices, Method, MethodSet, Real, Stage, setting
from models.methods.when import NONLINEAR, TRAINED


class Dropout(Method, name="dropout", source="Srivastava et al. (2014)", rank=504):
    """Dropout: inputs of the upper layers and of the head are zeroed at random in training.

    What passes upwards is masked, what passes on in time is not (Zaremba et al. 2014), and every
    step has masks of its own. (One mask for all steps, on the recurrence too, is the other way: Gal
    & Ghahramani 2016.)
    """

    kind = "noise"
    stage = Stage.NOISE
    applies = TRAINED

    # A linear forecaster's dropout would split its cohorts, since it needs the loop over time.
    rate: float = setting(
        Real(0, 0.95),
        Choices((0.0, 0.1, 0.2, 0.5)),
        "The rate at which hidden values are zeroed.",
        neutral=0.0,
        searched=False,
        when=NONLINEAR,
        without="none",
        name="dropout",
    )

    def needs_loop(self) -> bool:
        return self.rate > 0.0


class DropoutMasks:
    """Masks of a cohort: 0 with the member's rate, else 1 / (1 - rate).

    They are scaled in training so that the free run needs no scaling. Branches share their masks:
    what is matched between them should differ by what they read alone.
    """

    def __init__(
        self,
        candidates: Sequence[MethodSet],
        shape: tuple[int, int, int, int],
        branches: int,
        device: torch.device,
    ) -> None:
        """shape: (slots, layers, batch, units)."""
        self.rates = [candidate[Dropout].rate for candidate in candidates]
        self.is_used = any(rate > 0.0 for rate in self.rates)
        self.shape = shape
        slots, layers, batch, units = shape
        size = (slots, layers, len(self.rates), branches, batch, units)
        # [slot, layer, member, branch, batch, unit]; a member without dropout multiplies by one
        self.masks: Tensor = torch.ones(size if self.is_used else (0,), device=device)

    def draw(self, generators: Sequence[Generator]) -> None:
        """Fresh masks; a member without dropout takes no random number."""
        for member, rate in enumerate(self.rates):
            if rate > 0.0:
                drawn = torch.rand(self.shape, generator=generators[member])
                kept = (drawn >= rate).to(drawn.dtype) / (1.0 - rate)
                self.masks[:, :, member] = kept.unsqueeze(2)
