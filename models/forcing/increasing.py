"""Increasing teacher forcing: free runs first, the truth in the end."""

from models.forcing.schedule import Schedule


class Increasing(Schedule):
    """The share of the truth grows along a line, Teutsch & Mäder (2022), arXiv 2210.08959.

    Their increasing curriculum over training, drawn for each position, which did best there. It is
    one half at `forcing_midpoint` of training, and one from twice that on.
    """

    draws = True

    def share(self, step: int) -> float:
        middle = self.strategy.forcing_midpoint * self.strategy.training_steps
        return min(1.0, 0.5 * step / middle) if middle > 0.0 else 1.0
