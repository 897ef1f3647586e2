"""What every way of forcing says: how much of the truth one member's free run reads, and when."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from models.candidate import Strategy


class Schedule(ABC):
    """The truth's share in what is read at each position of the rollout, by optimiser step.

    A position reads (1 - share) * own forecast + share * truth; or, where the schedule `draws`, one
    of the two, the truth with the share as its probability, anew for each position and segment.
    """

    draws: ClassVar[bool] = False

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy

    @abstractmethod
    def share(self, step: int) -> float | Tensor:
        """The share from 0 to 1 at the zero-based `step`, one for all positions or by `[time]`.

        Time counts the values that are fed back: 0 is the first forecast.
        """

    def is_due(self, step: int) -> bool:
        """Whether the schedule wants to know the growth of errors before optimiser step `step`."""
        return False

    def observe(self, growth: float, step: int) -> None:  # noqa: B027 (only one adapts)
        """Take in by how much an error in the free run grows with each of its steps, see `growth`.

        Before optimiser step `step`.
        """
