"""What a cohort trains on in one step of the optimiser: parts of its series, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.tensors import MemberTimeChannel, TimeMemberBatchChannel
from models.training.cohort_forcing import CohortForcing
from models.training.options.augmentation import Factors
from models.training.options.noise import (
    FeedbackNoise,
    InputNoise,
    LabelNoise,
    MemberNoise,
    OutputNoise,
)
from models.training.subsequences import Subsequences
from models.training.trained_network import TrainedNetwork

# In the order in which each member's generator draws them.
_NOISES = (InputNoise, FeedbackNoise, OutputNoise, LabelNoise)


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
            MemberNoise(candidates, kind, size, axis=1, device=values.device) for kind in _NOISES
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
