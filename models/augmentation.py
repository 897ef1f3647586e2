"""Training on multiples of the series: what holds of a wave holds of its mirror image."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from models.candidate import Candidate
from models.segments import Segments


class Augmentation:
    """The factor of every segment of a cohort's training, `[member, step, batch]`.

    With `sign_augmentation`, two of every four segments are read upside down (around the training
    mean, or around zero without an offset), so that half of those read backwards are, too: half a
    period of a sine then teaches the other half. With `scale_augmentation_std`, a segment is
    multiplied by exp(std * z), z from a standard normal distribution, inputs and targets alike. No
    canonical source; Wen et al. (2021) survey such transformations of series.

    A stream of chunks keeps its factor until it sets out anew, as its state does.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        segments: Segments,
        generators: Sequence[Generator],
        device: torch.device,
    ) -> None:
        flips = [c.strategy.sign_augmentation for c in candidates]
        stds = [c.strategy.scale_augmentation_std for c in candidates]
        self.is_used = any(flips) or any(std > 0.0 for std in stds)
        self.factors = torch.ones(segments.fresh.shape if self.is_used else (len(flips), 0, 0))
        for member, (flip, std) in enumerate(zip(flips, stds, strict=True)):
            fresh = segments.fresh[member]
            if std > 0.0:
                drawn = torch.randn(fresh.shape, generator=generators[member]).mul_(std).exp_()
                self.factors[member] = drawn.gather(0, _set_out(fresh))
            if flip:
                self.factors[member] *= 1.0 - 2.0 * _mirrored(fresh, candidates[0].carries_state)
        self.factors = self.factors.to(device)

    def factor(self, step: int) -> Tensor | None:
        """What a step's segments are multiplied by, `[member, batch, 1]`; None for nothing."""
        return self.factors[:, step].unsqueeze(2) if self.is_used else None

    def keep(self, rows: Tensor) -> None:
        """Go on with the members `rows` only."""
        self.factors = self.factors[rows].clone()


def _set_out(fresh: Tensor) -> Tensor:
    """The step at which the stream of each chunk `[step, batch]` set out."""
    step = torch.arange(len(fresh)).unsqueeze(1)
    return torch.where(fresh, step, 0).cummax(0).values


def _mirrored(fresh: Tensor, carries_state: bool) -> Tensor:
    """Which segments `[step, batch]` are read upside down, as numbers."""
    steps, batch = fresh.shape
    if carries_state:
        # Streams in pairs, since every other one is read backwards; they turn with each pass.
        return ((torch.arange(batch) // 2 + fresh.cumsum(0) - 1) % 2).float()
    return (torch.arange(steps * batch).view(steps, batch) // 2 % 2).float()
