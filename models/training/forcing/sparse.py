"""Sparse teacher forcing: the truth every few steps."""

from models.methods import Choices, Whole, setting
from models.tensors import Tensor, torch
from models.training.forcing.forcing import Forcing


class Sparse(Forcing, name="sparse", source="Mikhaeil et al. (2022)", rank=606):
    """Sparse teacher forcing: the truth is read every few steps of the rollout.

    Counted from the last true value of the warm-up. No gradient passes a value that was forced, so
    that it cannot explode over more than one interval through what is fed back. Nothing reads the
    last forecast of a rollout: an interval that is not below the rollout counts as the longest one
    that is, at which the truth is read once.
    """

    forcing_interval: int = setting(
        Whole(2, 1_000_000),
        Choices((4, 8, 16, 32)),
        "Steps from one true value to the next in sparse teacher forcing.",
        neutral=16,
        searched=False,
    )

    def share(self, step: int, training_steps: int, rollout: int) -> Tensor:
        every = min(self.forcing_interval, max(1, rollout - 1))
        forced = torch.zeros(rollout)
        forced[every - 1 :: every] = 1.0
        return forced
