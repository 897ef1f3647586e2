"""A candidate that is a network: an architecture, and how it is trained."""

from collections.abc import Hashable

from models.cohort import BaseCandidate
from models.network.cells.cell import Cell
from models.network.options.segments import padded
from models.training.losses.growth import GrowthPenalty
from models.training.losses.squared_error import Rollout, SquaredError, Stateful
from models.training.options.optimiser import Optimiser


class TrainedNetwork(BaseCandidate):
    """A network and its training.

    Raises ValueError where methods contradict each other.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture.estimates_state and not self.is_linear:
            raise ValueError(
                'state_estimate "least-squares" needs training that runs freely without a loop '
                f"over time (no second branch, forcing, dropout or state noise), but got {self}"
            )
        if self.architecture.parallel_segments is not None:
            # Architecture and noise aside, what needs a loop over time is about single steps of it.
            training = [m for m in self if not m.shapes_forecast and m.kind != "noise"]
            refused = [m.label for m in training if m.needs_loop()]
            if refused:
                raise ValueError(
                    f"parallel decoding must not go with {', '.join(refused)}, since it does not "
                    f"feed back one segment after another, but got {self}"
                )

    @property
    def cell(self) -> Cell:
        return self.architecture.cell

    @property
    def optimiser(self) -> Optimiser:
        return self[Optimiser]

    @property
    def rollout_steps(self) -> int:
        """Steps that training runs freely: those of one segment at least.

        Chunks that carry a state consist of whole segments: the next one reads on from there.
        """
        segment = self.architecture.segment_steps
        steps = max(self._rollout.steps, segment)
        return padded(steps, segment) if self.carries_state else steps

    @property
    def feeds_back_in_training(self) -> bool:
        """Whether training has a loss of its own for the free run, beside one-step forecasts."""
        return self._rollout.steps > 1

    @property
    def _rollout(self) -> Rollout:
        rollout = self.find(Rollout)
        assert rollout is not None
        return rollout

    @property
    def least_steps(self) -> int:
        return self.architecture.shown_steps + self.rollout_steps

    @property
    def carries_state(self) -> bool:
        """Whether training carries the state from chunk to chunk."""
        return self[Stateful].stateful

    @property
    def branches(self) -> int:
        """How often training runs its subsequences: freely, once or twice, and on the truth."""
        return self.free_branches + self.has_teacher_branch

    @property
    def free_branches(self) -> int:
        """Free runs of each subsequence: a second one is displaced, for the growth penalty."""
        return 2 if self[GrowthPenalty].growth_penalty else 1

    @property
    def has_teacher_branch(self) -> bool:
        """Whether the truth is read beside the free run.

        For its loss, or for the state that the next chunk starts from.
        """
        return self[SquaredError].teacher_span == "rollout" or self.carries_state

    @property
    def is_linear(self) -> bool:
        """Whether training is linear in what is read, and needs no loop over time.

        Reading some of the truth would be linear as well, but that run is not written down.
        """
        return not any(method.needs_loop() for method in self)

    def cohort_key(self) -> Hashable:
        return (*self.shared_settings(), self.is_linear)

    def description(self) -> str:
        architecture, cell = self.architecture, self.cell
        layers = f"{architecture.layers} x " if architecture.layers > 1 else ""
        rollout = self.find(Rollout)
        parts = [cell.name, layers + cell.size(), *(m.phrase() for m in architecture)]
        parts += [rollout.phrase()] if rollout else []
        return ", ".join(part for part in parts if part)
