"""Which steps of a rollout count, by member."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Window:
    """Steps of the rollout from `first` to before `end`, both `[member]`; at least one."""

    first: Tensor
    end: Tensor

    @property
    def steps(self) -> Tensor:
        """How many steps count, `[member]`."""
        return self.end - self.first

    def covers(self, time: Tensor) -> Tensor:
        """Whether steps `time` `[time, 1]` of the rollout count, `[time, member]`."""
        return (time >= self.first) & (time < self.end)

    def mask(self, steps: int) -> Tensor:
        """One for the steps of a rollout that count, else zero, `[member, 1, 1, time]`."""
        time = torch.arange(steps, device=self.first.device).unsqueeze(1)
        return self.covers(time).t().contiguous().to(torch.float32).unsqueeze(1).unsqueeze(1)

    def of(self, part: slice) -> "Window":
        """The same for some members."""
        return Window(self.first[part], self.end[part])


def per_member(values: Tensor) -> Tensor:
    """Numbers of members, `[member]`, as factors of `[member, batch, channel, time]`."""
    return values.view(-1, 1, 1, 1)
