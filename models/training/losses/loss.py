"""What every loss provides: its weight, and the gradient of a free run's forecasts."""

from dataclasses import dataclass
from typing import Any

from models.methods import FloatRange, Method, Stage, setting
from models.methods.condition import TRAINED, UNROLLS
from models.methods.values import WEIGHT
from models.tensors import MemberBatchChannelTime, Tensor, torch


@dataclass(frozen=True, eq=False)
class CountedSteps:
    """Which steps of the rollout count: from `first` to before `end`, both `[member]`, some."""

    first: Tensor
    end: Tensor

    @property
    def number(self) -> Tensor:
        """How many steps count, `[member]`."""
        return self.end - self.first

    def cover(self, time: Tensor) -> Tensor:
        """Whether steps `time` `[time, 1]` of the rollout count, `[time, member]`."""
        return (time >= self.first) & (time < self.end)

    def mask(self, steps: int) -> Tensor:
        """One for the steps of a rollout that count, else zero, `[member, 1, 1, time]`."""
        time = torch.arange(steps, device=self.first.device).unsqueeze(1)
        return self.cover(time).t().contiguous().to(torch.float32).unsqueeze(1).unsqueeze(1)

    def of(self, part: slice) -> "CountedSteps":
        """The same for some members."""
        return CountedSteps(self.first[part], self.end[part])


class Loss(Method):
    """A term that is added to the squared errors of a free run, times its weight."""

    kind = "loss"
    is_open = True
    stage = Stage.LOSS
    applies = TRAINED

    weight: float

    @staticmethod
    def gradient(
        forecast: MemberBatchChannelTime, truth: MemberBatchChannelTime, counted: CountedSteps
    ) -> MemberBatchChannelTime:
        """The gradient of the loss with respect to the forecast, over the rollout.

        All are `[member, batch, channel, time]`. The gradient is written by hand, since the rest of
        the backward step is, and member by member, so that company changes no bit. A loss is a mean
        over subsequences, channels and the steps that count.
        """
        raise NotImplementedError


def loss_weight(name: str, description: str) -> Any:
    """The setting of a loss's weight, which is 0 for a candidate without it."""
    return setting(
        WEIGHT,
        FloatRange(0.01, 10.0, log=True),
        description,
        neutral=0.0,
        searched=False,
        when=UNROLLS,
        without="none",
        name=name,
    )


def averaged(slopes: MemberBatchChannelTime, counted: CountedSteps) -> MemberBatchChannelTime:
    """The gradient of a mean over subsequences, channels and the steps that count.

    slopes: the derivative of what is averaged with respect to each forecast.
    """
    _, batch, channels, steps = slopes.shape
    numbers = per_member(counted.number) * (batch * channels)
    return slopes * (counted.mask(steps) / numbers)


def per_member(values: Tensor) -> Tensor:
    """Numbers of members, `[member]`, as factors of `[member, batch, channel, time]`."""
    return values.view(-1, 1, 1, 1)
