"""Scheduled sampling whose share of the truth decays exponentially."""

from models.forcing.schedule import Schedule


class ScheduledExponential(Schedule):
    """eps_i = k^i, Bengio et al. (2015), section 2.4.

    k < 1 is such that eps is one half at `forcing_midpoint` of training.
    """

    draws = True

    def share(self, step: int) -> float:
        middle = self.strategy.forcing_midpoint * self.strategy.training_steps
        return 0.5 ** (step / middle) if middle > 0.0 else 0.0
