"""Sparse teacher forcing: the truth every few steps."""

import torch
from torch import Tensor

from models.forcing.schedule import Schedule


class Sparse(Schedule):
    """The truth is read at every `forcing_interval`-th step, Mikhaeil et al. (2022).

    Counted from the last true value of the warm-up. No gradient passes a value that was forced,
    so that it cannot explode over more than one interval through what is fed back. Nothing reads
    the last forecast of a rollout: an interval that is not below the rollout counts as the longest
    one that is, at which the truth is read once.
    """

    def share(self, step: int) -> Tensor:
        rollout = self.strategy.rollout_steps
        every = min(self.strategy.forcing_interval, max(1, rollout - 1))
        forced = torch.zeros(rollout)
        forced[every - 1 :: every] = 1.0
        return forced
