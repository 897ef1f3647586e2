"""Shares of the truth that fall or rise over training: scheduled sampling, and its reverse."""

import math
from functools import cache

from models.methods import FloatRange, setting
from models.methods.values import SHARE
from models.training.forcing.forcing import Forcing

# exp() of more than this is beyond double precision.
LARGEST_EXPONENT = 700.0
_BENGIO = "Bengio et al. (2015), section 2.4"


class Scheduled(Forcing):
    """A share that is one half at a share of training, and is drawn for each position."""

    draws = True

    forcing_midpoint: float = setting(
        SHARE,
        FloatRange(0.05, 0.5),
        "The share of training after which half of what is read is the truth.",
        neutral=0.25,
        searched=False,
    )

    def share(self, step: int, training_steps: int, rollout: int) -> float:
        return self.share_at(step, self.forcing_midpoint * training_steps)

    def share_at(self, step: int, middle: float) -> float:
        """The share at a step, which is one half at the step `middle`."""
        raise NotImplementedError


class ScheduledLinear(Scheduled, name="scheduled-linear", source=_BENGIO, rank=600):
    """Scheduled sampling: the share of the truth falls along a line.

    eps_i = max(0, 1 - c i), with k = 1 and no least share. It is zero at twice the midpoint.
    """

    def share_at(self, step: int, middle: float) -> float:
        return max(0.0, 1.0 - 0.5 * step / middle) if middle > 0.0 else 0.0


class ScheduledExponential(Scheduled, name="scheduled-exponential", source=_BENGIO, rank=601):
    """Scheduled sampling: the share of the truth decays exponentially, eps_i = k^i with k < 1."""

    def share_at(self, step: int, middle: float) -> float:
        return 0.5 ** (step / middle) if middle > 0.0 else 0.0


class ScheduledSigmoid(Scheduled, name="scheduled-sigmoid", source=_BENGIO, rank=602):
    """Scheduled sampling: the share of the truth falls along an inverse sigmoid.

    eps_i = k / (k + exp(i / k)) with k >= 1; k ln k is the step at which it is one half.
    """

    def share_at(self, step: int, middle: float) -> float:
        k = _solve(middle)
        return k / (k + math.exp(min(step / k, LARGEST_EXPONENT)))


class Increasing(
    Scheduled, name="increasing", source="Teutsch & Mäder (2022), arXiv 2210.08959", rank=603
):
    """Increasing teacher forcing: free runs first, the truth in the end.

    The increasing curriculum of the paper over training, drawn for each position, which did best
    there. The share of the truth is one from twice the midpoint on.
    """

    def share_at(self, step: int, middle: float) -> float:
        return min(1.0, 0.5 * step / middle) if middle > 0.0 else 1.0


@cache
def _solve(product: float) -> float:
    """k >= 1 with k ln k = product, by Newton's method, which descends to it from above."""
    k = product + math.e
    for _ in range(50):
        k -= (k * math.log(k) - product) / (math.log(k) + 1.0)
    return max(k, 1.0)
