"""Scheduled sampling whose share of the truth falls along an inverse sigmoid."""

import math

from models.candidate import Strategy
from models.forcing.schedule import Schedule

# exp() of more than this is beyond double precision.
LARGEST_EXPONENT = 700.0


class ScheduledSigmoid(Schedule):
    """eps_i = k / (k + exp(i / k)), Bengio et al. (2015), section 2.4.

    k >= 1 is such that eps is one half at `forcing_midpoint` of training: k ln k is that step.
    """

    draws = True

    def __init__(self, strategy: Strategy) -> None:
        super().__init__(strategy)
        self.k = _solve(strategy.forcing_midpoint * strategy.training_steps)

    def share(self, step: int) -> float:
        return self.k / (self.k + math.exp(min(step / self.k, LARGEST_EXPONENT)))


def _solve(product: float) -> float:
    """k >= 1 with k ln k = product, by Newton's method, which descends to it from above."""
    k = product + math.e
    for _ in range(50):
        k -= (k * math.log(k) - product) / (math.log(k) + 1.0)
    return max(k, 1.0)
