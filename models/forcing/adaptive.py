"""Generalised teacher forcing with a share that follows the growth of errors."""

from models.candidate import Strategy
from models.forcing.schedule import Schedule

# How often the growth is measured in the course of training, and how much of a share that turned
# out too large is kept at each measurement: of the initial share of one, a tenth is left after a
# quarter of training. (Hess et al. keep 0.999 at every fifth of some hundred thousand steps.)
MEASUREMENTS = 40
KEPT = 0.8


class Adaptive(Schedule):
    """x <- (1 - a) x + a x_true with a = max(0, 1 - 1 / growth), Hess et al. (2023).

    The share starts at one, rises to that at once, and falls to it slowly, as in the paper's code
    (GTF-shPLRNN). The growth is that of an error in the free run, measured instead of the norms of
    Jacobians, see `growth`; what is mixed is the value that is fed back, see `Generalised`.
    """

    def __init__(self, strategy: Strategy) -> None:
        super().__init__(strategy)
        self.now = 1.0

    def share(self, step: int) -> float:
        return self.now

    def observe(self, growth: float) -> None:
        needed = max(0.0, 1.0 - 1.0 / growth) if growth > 0.0 else 0.0
        self.now = max(needed, KEPT * self.now + (1.0 - KEPT) * needed)
