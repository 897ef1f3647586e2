"""What a cohort trains on in one step of the optimiser: segments of its series, and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.augmentation import Augmentation
from models.axes import MemberTimeChannel, TimeMemberBatchChannel
from models.candidate import Candidate
from models.forcing import Forcing
from models.noise import Noise
from models.segments import Segments


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's segments, all `[time, member, batch, channel]`; the next step overwrites them.

    reads: the true values with the noise of the input. targets: the same with the noise of the
    labels. feedback_noise, output_noise: None where no member has any. fresh: `[member, batch]`,
    whether a segment starts from a state of zero. forced: the truth's share in what free runs read,
    `[rollout time, member, batch, 1]`, None where all members run freely.
    """

    reads: TimeMemberBatchChannel
    targets: TimeMemberBatchChannel
    feedback_noise: TimeMemberBatchChannel | None
    output_noise: TimeMemberBatchChannel | None
    fresh: Tensor
    forced: Tensor | None = None


class Batches:
    """Cuts segments out of each member's series `[member, time, channel]` and adds its noise."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        values: MemberTimeChannel,
        segments: Segments,
        augmentation: Augmentation,
        forcing: Forcing,
    ) -> None:
        self.values, self.segments = values, segments
        self.augmentation, self.forcing = augmentation, forcing
        members, _, channels = values.shape
        strategies = [c.strategy for c in candidates]
        steps, batch = segments.shape.steps, strategies[0].batch_size
        self.noise = {
            kind: Noise(
                [getattr(s, f"{kind}_noise_std") for s in strategies],
                (steps, batch, channels),
                values.device,
            )
            for kind in ("input", "feedback", "output", "label")
        }
        shape = (steps, members, batch, channels)
        self.reads = torch.empty(shape, device=values.device)
        self.targets = torch.empty(shape, device=values.device)

    def draw(self, step: int, generators: Sequence[Generator]) -> Batch:
        """The batch of an optimiser step, its noise from each member's own generator."""
        device = self.values.device
        positions = self.segments.positions(step).to(device)
        member = torch.arange(len(positions), device=device).view(-1, 1, 1)
        self.targets.copy_(self.values[member, positions].permute(2, 0, 1, 3))
        factor = self.augmentation.factor(step)
        if factor is not None:
            self.targets.mul_(factor)
        self.reads.copy_(self.targets)
        drawn = {kind: noise.draw(generators) for kind, noise in self.noise.items()}
        if drawn["input"] is not None:
            self.reads.add_(drawn["input"])
        if drawn["label"] is not None:
            self.targets.add_(drawn["label"])
        fresh = self.segments.fresh[:, step].to(device)
        forced = self.forcing.draw(step, generators)
        return Batch(self.reads, self.targets, drawn["feedback"], drawn["output"], fresh, forced)
