"""What a free run reads in training, and through which of it gradients flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.methods import AllOf, Choices, IsNot, Method, Selector, Stage, Whole, flag, setting
from models.methods.condition import LOOPS_AND_FEEDS_BACK, TRAINED
from models.tensors import Tensor


class Forcing(Method):
    """The truth's share in what a free run reads at each position of the rollout.

    A position reads (1 - share) * own forecast + share * truth; or, where the method `draws`, one
    of the two, the truth with the share as its probability, anew for each position and subsequence.
    """

    kind = "forcing"
    is_open = True
    selector: ClassVar[Selector] = Selector(
        name="forcing",
        stage=Stage.FORCING,
        description="How much of the truth a free run reads in training, if any.",
        none="none",
        # The growth of errors is a property of the free run, not of one that is forced.
        when=AllOf(LOOPS_AND_FEEDS_BACK, IsNot("growth_penalty", (True,))),
        shared=False,
        searched=False,
    )
    stage = Stage.FORCING
    applies = TRAINED
    draws: ClassVar[bool] = False

    def needs_loop(self) -> bool:
        return True

    def share(self, step: int, training_steps: int, rollout: int) -> float | Tensor:
        """The share from 0 to 1 at the zero-based optimiser step, one for all or by `[time]`.

        Time counts the values that are fed back: 0 is the first forecast of the rollout.
        """
        raise NotImplementedError

    def schedule(self, training_steps: int, rollout: int) -> Schedule:
        """The shares over the training of one member."""
        return Schedule(self, training_steps, rollout)


@dataclass(eq=False)
class Schedule:
    """The shares of one member as its training goes on."""

    forcing: Forcing
    training_steps: int
    rollout: int

    def share(self, step: int) -> float | Tensor:
        """See `Forcing.share`."""
        return self.forcing.share(step, self.training_steps, self.rollout)

    def is_due(self, step: int) -> bool:
        """Whether the growth of errors has to be measured before optimiser step `step`."""
        return False

    def observe(self, growth: float, step: int) -> None:
        """Take in by how much an error in the free run grows with each of its steps.

        Measured before optimiser step `step`, see `growth_of_errors`.
        """


class Pushforward(
    Method, name="pushforward", source="Brandstetter et al. (2022), arXiv 2202.03376", rank=610
):
    """Pushforward: the first steps of the free run have no gradient, and do not count."""

    kind = "gradients"
    stage = Stage.FORCING
    applies = TRAINED

    pushforward_steps: int = setting(
        Whole(0, 1_000_000),
        Choices((0, 1, 2)),
        "First steps of the free run without a gradient; at least one step is left to count.",
        neutral=0,
        searched=False,
        when=LOOPS_AND_FEEDS_BACK,
        without="none",
    )

    def needs_loop(self) -> bool:
        return self.pushforward_steps > 0


class DataAsDemonstrator(
    Method, name="data_as_demonstrator", source="Venkatraman et al. (2015)", rank=611
):
    """Data as demonstrator: no gradient flows through the values that are fed back."""

    kind = "gradients"
    stage = Stage.FORCING
    applies = TRAINED

    data_as_demonstrator: bool = flag(
        "Whether gradients end at the values that are fed back.",
        searched=False,
        when=LOOPS_AND_FEEDS_BACK,
    )

    def needs_loop(self) -> bool:
        return self.data_as_demonstrator
