"""An ensemble as a candidate: its members, and how their free runs become one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.candidate import Candidate

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Ensemble:
    """Candidates whose free runs are combined.

    members: at least two. names: of the members, for people. weights: of the members, at least 0
    and with the sum 1; None for the median of the members, step by step.

    Raises ValueError where that is not so.
    """

    members: tuple[Candidate, ...]
    names: tuple[str, ...]
    weights: tuple[float, ...] | None

    def __post_init__(self) -> None:
        if len(self.members) < 2 or len(self.names) != len(self.members):
            raise ValueError(
                "an ensemble must have at least two members, each with its name, but got "
                f"{len(self.members)} and {len(self.names)} names"
            )
        if self.weights is not None:
            check_weights(self.weights, len(self.members))

    @property
    def least_steps(self) -> int:
        """The fewest values that a training span must have."""
        return max(member.least_steps for member in self.members)

    def description(self) -> str:
        """The ensemble in a few words."""
        how = "median" if self.weights is None else "weighted mean"
        return f"the {how} of {len(self.shares)} forecasters"

    @property
    def shares(self) -> list[tuple[str, float | None]]:
        """The members that have a say, by name, with their weights; None in a median."""
        if self.weights is None:
            return [(name, None) for name in self.names]
        found = zip(self.names, self.weights, strict=True)
        return [(name, weight) for name, weight in found if weight > 0]


def check_weights(weights: Sequence[float], members: int) -> None:
    """Raise ValueError for weights that are no weights of a mean of so many members."""
    if (
        len(weights) != members
        or not all(weight >= 0.0 for weight in weights)
        or not abs(sum(weights) - 1.0) < 1e-6
    ):
        raise ValueError(
            f"weights must be {members} numbers of at least 0 with the sum 1, but got "
            f"{list(weights)}"
        )


def combined(runs: Sequence[FloatArray], weights: Sequence[float] | None) -> FloatArray:
    """The weighted mean of free runs `[..., channel]` of equal shapes, or their median.

    A run of weight 0 is not read, so that a NaN in it does not reach the mean. `without_runaways`
    reads all runs, those of weight 0 too.
    """
    if weights is None:
        return np.asarray(np.median(np.stack(runs), axis=0))
    total = np.zeros_like(runs[0])
    for run, weight in zip(runs, weights, strict=True):
        if weight > 0.0:
            total += weight * run
    return total
