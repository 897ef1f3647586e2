"""Generalised teacher forcing: a mixture of forecast and truth, constant or as errors grow."""

from dataclasses import dataclass

from models.methods import FloatRange, setting
from models.methods.values import SHARE
from models.training.forcing.forcing import Forcing, Schedule

# Parts of training at whose ends the growth is measured, and how much of a share that turned out
# too large is left after each: of the initial share of one, a tenth after a quarter of training.
# (Hess et al. keep 0.999 at every fifth of some hundred thousand steps.)
PARTS = 40
KEPT = 0.8
_HESS = "Hess et al. (2023), arXiv 2306.04406, after Doya (1992)"


class Generalised(Forcing, name="generalised", source=_HESS, rank=604):
    """Generalised teacher forcing: x <- (1 - a) x + a x_true with a constant a.

    In the paper, x is the state, whose truth an inverse of the readout estimates. A state of ours
    has no such inverse, so the value that is fed back is mixed, whose truth is known: their forcing
    of the observed part of the state alone. Gradients through that value shrink by 1 - a a step.
    """

    forcing_strength: float = setting(
        SHARE,
        FloatRange(0.02, 0.5, log=True),
        "The share of the truth in generalised teacher forcing.",
        neutral=0.2,
        searched=False,
    )

    def share(self, step: int, training_steps: int, rollout: int) -> float:
        return self.forcing_strength


class Adaptive(Forcing, name="adaptive", source=_HESS, rank=605):
    """Adaptive teacher forcing: the share a follows the growth of errors, max(0, 1 - 1 / growth).

    It starts at one, rises to what the growth asks for at once, and falls to it slowly, as in the
    paper's code (GTF-shPLRNN); how slowly is a matter of the share of training that has passed. The
    growth is measured in free runs instead of by the norms of Jacobians.
    """

    def schedule(self, training_steps: int, rollout: int) -> Schedule:
        return AdaptiveSchedule(self, training_steps, rollout)


@dataclass(eq=False)
class AdaptiveSchedule(Schedule):
    """The share of one member, which the growth of its errors moves."""

    now: float = 1.0
    observed_at: int = 0

    def share(self, step: int) -> float:
        return self.now

    def is_due(self, step: int) -> bool:
        """Whether a part of training has ended by `step`; of a few steps, each ends one."""
        steps = self.training_steps
        return step > 0 and step * PARTS // steps > (step - 1) * PARTS // steps

    def observe(self, growth: float, step: int) -> None:
        parts = PARTS * (step - self.observed_at) / self.training_steps
        kept, self.observed_at = KEPT**parts, step
        needed = max(0.0, 1.0 - 1.0 / growth) if growth > 0.0 else 0.0
        self.now = max(needed, kept * self.now + (1.0 - kept) * needed)
