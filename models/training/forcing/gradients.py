"""Through which of the values that are fed back gradients flow."""

from __future__ import annotations

from models.methods import Choices, Method, Stage, Whole, flag, setting
from models.methods.when import LOOPS_AND_FEEDS_BACK, TRAINED


class Pushforward(
    Method,
    name="pushforward",
    source="Brandstetter et al. (2022), arXiv 2202.03376",
    rank=610,
):
    """Pushforward: the first steps of the free run have no gradient, and do not count."""

    kind = "gradients"
    stage = Stage.FORCING
    applies = TRAINED

    steps: int = setting(
        Whole(0, 1_000_000),
        Choices((0, 1, 2)),
        "First steps of the free run without a gradient; at least one step is left to count.",
        neutral=0,
        searched=False,
        when=LOOPS_AND_FEEDS_BACK,
        without="none",
        name="pushforward_steps",
    )

    def needs_loop(self) -> bool:
        return self.steps > 0


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
