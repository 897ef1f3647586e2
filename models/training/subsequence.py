"""What a candidate learns from at a time: the parts of a subsequence, its unroll and its memory.

Nothing here computes with torch: what a candidate costs is asked before anything is trained.
"""

from dataclasses import dataclass
from typing import Self

from models.network.options.segments import padded
from models.network.plan import Step, plan
from models.training.losses.squared_error import SquaredError
from models.training.options.noise import Dropout, Place, noises_at
from models.training.trained_network import TrainedNetwork


@dataclass(frozen=True)
class SubsequenceShape:
    """The parts of a subsequence, in steps.

    warm_up: true values that are read before the rollout. rollout: steps on the forecaster's own
    output. one_step_from: the first position that is forecast; all count from its start. segment:
    values that are read and forecast at once; the warm-up and one_step_from are multiples of it.
    """

    warm_up: int
    rollout: int
    one_step_from: int
    segment: int = 1

    @classmethod
    def of_free_run(cls, candidate: TrainedNetwork) -> Self:
        """One with the warm-up of the free run that is scored: the whole context."""
        return cls._of(candidate, candidate.architecture.context_steps)

    @classmethod
    def of_training(cls, candidate: TrainedNetwork) -> Self:
        """One that is trained on: the same, but for a stateful candidate.

        Its state comes from the chunk before, and one true segment leads on from there.
        """
        if candidate.carries_state:
            return cls._of(candidate, candidate.architecture.segment_steps)
        return cls.of_free_run(candidate)

    @classmethod
    def _of(cls, candidate: TrainedNetwork, warm_up: int) -> Self:
        architecture, one_step_from = candidate.architecture, warm_up
        segment = architecture.segment_steps
        is_over_warm_up = candidate[SquaredError].teacher_span == "warm-up"
        if architecture.has_state and is_over_warm_up and architecture.parallel_segments is None:
            # The first half of the warm-up is the washout: its one-step errors do not count.
            one_step_from = (warm_up // segment // 2 + 1) * segment
        return cls(warm_up, candidate.rollout_steps, one_step_from, segment)

    @property
    def steps(self) -> int:
        """The length of a subsequence."""
        return self.warm_up + self.rollout

    @property
    def whole_steps(self) -> int:
        """The same up to the end of the last segment, which the rollout may cut."""
        return self.warm_up + padded(self.rollout, self.segment)


def training_plan(candidate: TrainedNetwork) -> list[Step]:
    """The steps in which a training subsequence is unrolled."""
    shape = SubsequenceShape.of_training(candidate)
    return plan(
        candidate.architecture,
        shape.warm_up,
        shape.rollout,
        shape.one_step_from,
        carries_state=candidate.carries_state,
    )


def training_bytes(candidate: TrainedNetwork) -> int:
    """About how much memory the training of one member takes; linear free runs take little."""
    architecture, cell = candidate.architecture, candidate.cell
    batch_size = candidate.optimiser.batch_size
    if candidate.is_linear:
        # Per step: values, spectra and their gradients of each subsequence; powers of the modes.
        steps = architecture.context_steps + candidate.rollout_steps
        return 4 * steps * (32 * batch_size + 16 * cell.units)
    slots, batch = len(training_plan(candidate)), batch_size * candidate.branches
    # Per hidden unit: one number in a mask and in a norm, three in a head's layer, in the noise of
    # a state as many as the state has, at most two.
    noisy = 2 * bool(noises_at(Place.STATE, candidate))
    in_layer = (candidate[Dropout].rate > 0.0) + architecture.has_layer_norm + noisy
    of_units = in_layer * architecture.layers + 3 * (architecture.head_layers + 1)
    per_step = cell.units * of_units + cell.kept_numbers * architecture.layers
    read = architecture.context_steps if cell.reads_whole_window else architecture.segment_steps
    per_step += read if cell.reads_whole_window else 2 * read - 2
    return 4 * slots * batch * per_step
