"""Instance normalisation: each subsequence in units of its own context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from models.methods import Choices, Method, Stage, choice, flag
from models.methods.condition import TRAINED, Is
from models.tensors import MemberBatchChannel, Tensor, TimeMemberBatchChannel, torch

if TYPE_CHECKING:
    from models.methods import MethodSet
    from models.methods.series_properties import SeriesProperties

LEVELS = ("mean", "last")

# Added to the variance, as RevIN does: a context of equal values has none.
EPSILON = 1e-5


class InstanceNorm(
    Method, name="instance_norm", label="instance norm", source="Kim et al. (2022)", rank=112
):
    """Instance norm: values are read and forecast in standard deviations of their own context.

    They are counted from the context's mean, or from its last value (Lin et al. 2023, "SegRNN"),
    which follows a level that drifts at once but has its noise. Both, and the standard deviation,
    are of the values that are read before the free run, and stay as they are during it.
    """

    kind = "norm"
    stage = Stage.CONTEXT
    applies = TRAINED
    shapes_forecast = True

    instance_norm: bool = flag(
        "Whether values are read and forecast in units of their own context.",
        shared=True,
        searched=False,
        suits=lambda series: _has_level(series),
    )
    level: str = choice(
        LEVELS,
        "What an instance norm takes off: the context's mean, or its last value.",
        name="instance_level",
        shared=True,
        when=Is("instance_norm", (True,)),
        without="the mean",
    )

    def check(self, others: MethodSet) -> None:
        if not self.instance_norm and self.level != "mean":
            raise ValueError(f"instance_level needs instance_norm, but got {others}")

    def phrase(self) -> str:
        return "instance norm" if self.level == "mean" else "instance norm by the last value"


def _has_level(series: SeriesProperties) -> Choices | None:
    """Of values above zero, whose level may drift, but of those that follow a curve.

    Always, where the level is a new one.
    """
    is_curve = series.is_wave or series.is_noise_free
    if series.has_new_level and not is_curve:
        return Choices((True,))
    return Choices((False, True)) if series.is_positive and not is_curve else None


@dataclass(frozen=True, eq=False)
class InstanceScale:
    """Level and standard deviation of each subsequence's context, `[member, batch, channel]`.

    RevIN (Kim et al. 2022) without its affine map, which the first and last layers can learn: what
    is read is (value - level) / std, what comes out is std * output + level. Both are taken from
    the warm-up alone, in training as in the free run that is scored, and stay as they are during
    the rollout; no gradient flows through them.
    """

    level: MemberBatchChannel
    std: MemberBatchChannel

    @classmethod
    def of(cls, context: TimeMemberBatchChannel, level: str) -> Self:
        """From the values of the warm-up; level: one of `LEVELS`."""
        steps = context.shape[0]
        # torch's layer norm takes row by row, so that a member's place does not matter.
        rows = context.permute(1, 2, 3, 0).contiguous()
        _, mean, inverse_std = torch.native_layer_norm(rows, [steps], None, None, EPSILON)
        # A copy, since a displaced run changes the last value in place.
        taken_off = context[-1].clone() if level == "last" else mean.squeeze(3)
        return cls(taken_off, 1.0 / inverse_std.squeeze(3))

    def normalised(self, values: Tensor) -> Tensor:
        """In units of the context: of one step `[member, batch, channel]`, or several before it."""
        return (values - self.level) / self.std

    def restored(self, values: Tensor) -> Tensor:
        """Back from units of the context."""
        return torch.addcmul(self.level, values, self.std)
