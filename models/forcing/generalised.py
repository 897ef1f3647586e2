"""Generalised teacher forcing with a constant share of the truth."""

from models.forcing.schedule import Schedule


class Generalised(Schedule):
    """x <- (1 - a) x + a x_true with a = `forcing_strength`, Hess et al. (2023) after Doya (1992).

    There, x is the state, whose truth an inverse of the readout estimates. A state of ours has no
    such inverse, so the value that is fed back is mixed, whose truth is known: their forcing of the
    observed part of the state alone. Gradients through that value shrink by 1 - a at each step.
    """

    def share(self, step: int) -> float:
        return self.strategy.forcing_strength
