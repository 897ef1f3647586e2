"""What a cohort trains on in each step of the optimiser: parts of its series, and noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

from models.network.options.learning import TimeReversal
from models.network.options.segments import padded
from models.tensors import MemberTimeChannel, PerMember, TimeMemberBatchChannel
from models.training.cohort_forcing import CohortForcing
from models.training.losses.squared_error import SquaredError
from models.training.options.augmentation import Factors
from models.training.options.noise import MemberDraws, Place, noises_at
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


class Subsequences(PerMember):
    """The subsequences of every optimiser step of a cohort's training, `[member, step, batch]`.

    starts: the lowest position of each. backwards: whether it is read from its end to its start.
    fresh: whether it starts from a state of zero.

    They lie at random; or, for stateful candidates, in streams: each place of the batch walks
    through the span chunk by chunk, which is truncated back-propagation through time with
    non-overlapping chunks (Williams & Peng 1990). The streams of a member set out evenly spread
    over the span, so that they share it; one that arrives at the end starts anew at the beginning,
    at most a chunk late, so that chunks do not always meet at the same places.
    """

    by_member = ("starts", "backwards", "fresh")

    def __init__(
        self,
        candidates: Sequence[TrainedNetwork],
        shape: SubsequenceShape,
        span: int,
        generators: Sequence[Generator],
    ) -> None:
        optimiser = candidates[0].optimiser
        self.shape, self.carries_state = shape, candidates[0].carries_state
        size = (optimiser.training_steps, optimiser.batch_size)
        last = span - shape.steps  # the last position that a subsequence can start at
        is_reversible = torch.tensor([c[TimeReversal].time_reversal for c in candidates])
        is_reversible = is_reversible.view(-1, 1, 1)
        if self.carries_state:
            late = min(shape.rollout, last + 1)
            delays = torch.stack([torch.randint(0, late, size, generator=g) for g in generators])
            starts, self.fresh, passes = _streams(delays, shape.rollout, last)
            # Every other stream is read backwards, and it changes with each pass.
            turn = (torch.arange(size[1]) + passes) % 2 == 1
            self.backwards = turn & is_reversible
            self.starts = torch.where(self.backwards, last - starts, starts)
        else:
            self.starts = torch.stack(
                [torch.randint(0, last + 1, size, generator=g) for g in generators]
            )
            self.fresh = torch.ones_like(self.starts, dtype=torch.bool)
            # Every other one, counted over all steps: half of them whatever the batch size is.
            turn = torch.arange(size[0] * size[1]).view(size) % 2 == 1
            self.backwards = turn & is_reversible

    def positions(self, step: int) -> Tensor:
        """Positions in the span of the values of a step's subsequences, `[member, batch, time]`.

        In whole segments: where the rollout cuts the last one, the last position is repeated.
        """
        last = self.shape.steps - 1
        order = torch.arange(self.shape.whole_steps).clamp(max=last)
        backwards = self.backwards[:, step].unsqueeze(2)
        return self.starts[:, step].unsqueeze(2) + torch.where(backwards, last - order, order)


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's subsequences, all `[time, member, batch, channel]`; the next step overwrites them.

    reads: the true values with the noise of the input. targets: the same with the noise of the
    labels. feedback_noise, output_noise: None where no member has any. fresh: `[member, batch]`,
    whether a subsequence starts from a state of zero. forced: the truth's share in what free runs
    read, `[rollout time, member, batch, 1]`, None where all members run freely.
    """

    reads: TimeMemberBatchChannel
    targets: TimeMemberBatchChannel
    feedback_noise: TimeMemberBatchChannel | None
    output_noise: TimeMemberBatchChannel | None
    fresh: Tensor
    forced: Tensor | None = None


class Batches:
    """Cuts subsequences out of each member's series `[member, time, channel]`, and adds noise."""

    def __init__(
        self,
        candidates: Sequence[TrainedNetwork],
        values: MemberTimeChannel,
        subsequences: Subsequences,
        factors: Factors,
        forcing: CohortForcing,
    ) -> None:
        self.values, self.subsequences = values, subsequences
        self.factors, self.forcing = factors, forcing
        members, _, channels = values.shape
        steps, batch = subsequences.shape.whole_steps, candidates[0].optimiser.batch_size
        size = (steps, batch, channels)
        self.noises = [
            MemberDraws([noises_at(place, c) for c in candidates], size, 1, values.device)
            for place in (Place.READ, Place.FEEDBACK, Place.FORECAST, Place.TARGET)
        ]
        shape = (steps, members, batch, channels)
        self.reads = torch.empty(shape, device=values.device)
        self.targets = torch.empty(shape, device=values.device)

    def draw(self, step: int, generators: Sequence[Generator]) -> Batch:
        """The batch of an optimiser step, its noise from each member's own generator."""
        device = self.values.device
        positions = self.subsequences.positions(step).to(device)
        member = torch.arange(len(positions), device=device).view(-1, 1, 1)
        self.targets.copy_(self.values[member, positions].permute(2, 0, 1, 3))
        factor = self.factors.of_step(step)
        if factor is not None:
            self.targets.mul_(factor)
        self.reads.copy_(self.targets)
        on_input, on_feedback, on_output, on_label = (n.draw(generators) for n in self.noises)
        if on_input is not None:
            self.reads.add_(on_input)
        if on_label is not None:
            self.targets.add_(on_label)
        fresh = self.subsequences.fresh[:, step].to(device)
        forced = self.forcing.draw(step, generators)
        return Batch(self.reads, self.targets, on_feedback, on_output, fresh, forced)


def _streams(delays: Tensor, chunk: int, last: int) -> tuple[Tensor, Tensor, Tensor]:
    """Start of each chunk, whether its stream sets out there, and how often it has before.

    `delays` `[member, step, batch]` are used where a stream sets out; `last` is the last position
    that a chunk can start at.
    """
    starts, passes = torch.empty_like(delays), torch.empty_like(delays)
    fresh = torch.empty_like(delays, dtype=torch.bool)
    steps, batch = delays.shape[1:]
    spread = torch.arange(batch) * (last + 1) // batch
    start, passed = (spread + delays[:, 0, :1]) % (last + 1), torch.zeros_like(delays[:, 0])
    sets_out = torch.ones_like(passed, dtype=torch.bool)
    for step in range(steps):
        starts[:, step], fresh[:, step], passes[:, step] = start, sets_out, passed
        # Chunks share a segment: the last that is forecast is the first that the next one reads.
        start = start + chunk
        sets_out = start > last
        passed = passed + sets_out
        start = torch.where(sets_out, delays[:, (step + 1) % steps], start)
    return starts, fresh, passes
