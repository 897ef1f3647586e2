"""Generalised teacher forcing with a share that follows the growth of errors."""

from models.candidate import Strategy
from models.forcing.schedule import Schedule

# Parts of training at whose ends the growth is measured, and how much of a share that turned out
# too large is left after each: of the initial share of one, a tenth after a quarter of training.
# (Hess et al. keep 0.999 at every fifth of some hundred thousand steps.)
PARTS = 40
KEPT = 0.8


class Adaptive(Schedule):
    """x <- (1 - a) x + a x_true with a = max(0, 1 - 1 / growth), Hess et al. (2023).

    The share starts at one, rises to that at once, and falls to it slowly, as in the paper's code
    (GTF-shPLRNN); how slowly is a matter of the share of training that has passed. The growth is
    that of an error in the free run, measured instead of the norms of Jacobians, see `growth`; what
    is mixed is the value that is fed back, see `Generalised`.
    """

    def __init__(self, strategy: Strategy) -> None:
        super().__init__(strategy)
        self.now, self.observed_at = 1.0, 0

    def share(self, step: int) -> float:
        return self.now

    def is_due(self, step: int) -> bool:
        """Whether a part of training has ended by `step`; of a few steps, each ends one."""
        steps = self.strategy.training_steps
        return step > 0 and step * PARTS // steps > (step - 1) * PARTS // steps

    def observe(self, growth: float, step: int) -> None:
        parts = PARTS * (step - self.observed_at) / self.strategy.training_steps
        kept, self.observed_at = KEPT**parts, step
        needed = max(0.0, 1.0 - 1.0 / growth) if growth > 0.0 else 0.0
        self.now = max(needed, kept * self.now + (1.0 - kept) * needed)
