"""What a cohort's free runs read at each position, and where the gradient flows through it."""

from collections.abc import Mapping, Sequence
from copy import copy

import torch
from torch import Generator, Tensor

from models.training.forcing.forcing import Forcing
from models.training.forcing.gradients import DataAsDemonstrator, Pushforward
from models.training.trained_network import TrainedNetwork


class CohortForcing:
    """The schedules of a cohort's members, None for a member whose runs are free."""

    def __init__(self, candidates: Sequence[TrainedNetwork], device: torch.device) -> None:
        self.device = device
        # The values that a free run feeds back: all but the last, which nothing reads.
        self.rollout = candidates[0].rollout_steps
        self.batch = candidates[0].optimiser.batch_size
        steps = candidates[0].optimiser.training_steps
        forcings = [candidate.find(Forcing) for candidate in candidates]
        self.schedules = [
            None if forcing is None else forcing.schedule(steps, self.rollout)
            for forcing in forcings
        ]
        # Steps of the rollout that are run without a gradient, `[member]`; one at least counts.
        self.pushforward = torch.tensor(
            [min(c[Pushforward].steps, self.rollout - 1) for c in candidates]
        )
        self.stops_gradient = torch.tensor(
            [c[DataAsDemonstrator].data_as_demonstrator for c in candidates]
        )
        self.shares: Tensor | None = None

    def adapting(self, step: int) -> list[int]:
        """The members whose schedules have the growth of errors measured before a step."""
        return [i for i, s in enumerate(self.schedules) if s is not None and s.is_due(step)]

    def draw(self, step: int, generators: Sequence[Generator]) -> Tensor | None:
        """The truth's share at an optimiser step, `[rollout time, member, batch, 1]`.

        From each member's own generator where its forcing draws. None where nobody is forced; the
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
            if schedule.forcing.draws:
                drawn = torch.rand(self.rollout, self.batch, generator=generators[member])
                self.shares[:, member, :, 0] = (drawn < share).float()
            else:
                self.shares[:, member, :, 0] = torch.as_tensor(share).view(-1, 1)
        return self.shares

    def passes(self) -> Tensor:
        """Whether gradients flow through a value fed back, `[rollout time, member, 1, 1]`, or 0."""
        time = torch.arange(self.rollout).unsqueeze(1)
        flows = (time >= self.pushforward) & ~self.stops_gradient
        return flows.to(self.device, torch.float32).unsqueeze(2).unsqueeze(3)

    def observe(self, growth: Mapping[int, float], step: int) -> None:
        """Take in the growth of errors of some members, by their position, before a step."""
        for member, factor in growth.items():
            schedule = self.schedules[member]
            if schedule is not None:
                schedule.observe(factor, step)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the members at these positions only; a twin has a schedule of its own."""
        self.schedules = [copy(self.schedules[i]) for i in rows]
        chosen = torch.tensor(rows, dtype=torch.long)
        self.pushforward = self.pushforward[chosen]
        self.stops_gradient = self.stops_gradient[chosen]
        self.shares = None
