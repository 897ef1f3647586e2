"""What a cohort's free runs read at each position, and where the gradient flows through it."""

from collections.abc import Mapping, Sequence
from copy import copy

import torch
from torch import Generator, Tensor

from models.candidate import ForcingName, Strategy
from models.forcing.adaptive import Adaptive
from models.forcing.generalised import Generalised
from models.forcing.increasing import Increasing
from models.forcing.schedule import Schedule
from models.forcing.scheduled_exponential import ScheduledExponential
from models.forcing.scheduled_linear import ScheduledLinear
from models.forcing.scheduled_sigmoid import ScheduledSigmoid
from models.forcing.sparse import Sparse

SCHEDULES: dict[ForcingName, type[Schedule]] = {
    "scheduled-linear": ScheduledLinear,
    "scheduled-exponential": ScheduledExponential,
    "scheduled-sigmoid": ScheduledSigmoid,
    "increasing": Increasing,
    "generalised": Generalised,
    "adaptive": Adaptive,
    "sparse": Sparse,
}


class Forcing:
    """The schedules of a cohort's members, None for a member whose runs are free."""

    def __init__(self, strategies: Sequence[Strategy], device: torch.device) -> None:
        self.strategies, self.device = tuple(strategies), device
        self.schedules = [
            None if s.forcing == "none" else SCHEDULES[s.forcing](s) for s in strategies
        ]
        # The values that a free run feeds back: all but the last, which nothing reads.
        self.rollout, self.batch = strategies[0].rollout_steps, strategies[0].batch_size
        self.shares: Tensor | None = None

    def adapting(self, step: int) -> list[int]:
        """The members whose schedules want to know the growth of errors before a step."""
        return [i for i, s in enumerate(self.schedules) if s is not None and s.is_due(step)]

    def draw(self, step: int, generators: Sequence[Generator]) -> Tensor | None:
        """The truth's share at an optimiser step, `[rollout time, member, batch, 1]`.

        From each member's own generator where its schedule draws. None where nobody is forced; the
        next call overwrites it.
        """
        if not any(self.schedules):
            return None
        if self.shares is None:
            size = (self.rollout, len(self.schedules), self.batch, 1)
            self.shares = torch.zeros(size, device=self.device)
        for member, schedule in enumerate(self.schedules):
            if schedule is None:
                continue
            share = schedule.share(step)
            if schedule.draws:
                drawn = torch.rand(self.rollout, self.batch, generator=generators[member])
                self.shares[:, member, :, 0] = (drawn < share).float()
            else:
                self.shares[:, member, :, 0] = torch.as_tensor(share).view(-1, 1)
        return self.shares

    def passes(self) -> Tensor:
        """Whether gradients flow through a value fed back, `[rollout time, member, 1, 1]`, or 0.

        Not through those of the pushforward, and through none where data are the demonstrator.
        """
        time = torch.arange(self.rollout).unsqueeze(1)
        flows = (time >= self.pushforward()) & ~torch.tensor(
            [s.data_as_demonstrator for s in self.strategies]
        )
        return flows.to(self.device, torch.float32).unsqueeze(2).unsqueeze(3)

    def pushforward(self) -> Tensor:
        """Steps of the rollout that are run without a gradient, `[member]`; one at least counts."""
        return torch.tensor([min(s.pushforward_steps, self.rollout - 1) for s in self.strategies])

    def observe(self, growth: Mapping[int, float], step: int) -> None:
        """Take in the growth of errors of some members, by their position, before a step."""
        for member, factor in growth.items():
            schedule = self.schedules[member]
            if schedule is not None:
                schedule.observe(factor, step)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the members `rows` only; a twin has a schedule of its own."""
        self.strategies = tuple(self.strategies[i] for i in rows)
        self.schedules = [copy(self.schedules[i]) for i in rows]
        self.shares = None
