"""Scheduled sampling whose share of the truth falls along a line."""

from models.forcing.schedule import Schedule


class ScheduledLinear(Schedule):
    """eps_i = max(0, 1 - c i), Bengio et al. (2015), section 2.4, with k = 1 and no least share.

    c is such that eps is one half at `forcing_midpoint` of training, and zero at twice that.
    """

    draws = True

    def share(self, step: int) -> float:
        middle = self.strategy.forcing_midpoint * self.strategy.training_steps
        return max(0.0, 1.0 - 0.5 * step / middle) if middle > 0.0 else 0.0
