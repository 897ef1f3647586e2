"""Instance normalisation: each subsequence in units of its own context."""

from dataclasses import dataclass
from typing import Self

from models.methods import Method, Stage, flag
from models.methods.condition import TRAINED
from models.tensors import MemberBatchChannel, Tensor, TimeMemberBatchChannel, torch

# Added to the variance, as RevIN does: a context of equal values has none.
EPSILON = 1e-5


class InstanceNorm(
    Method, name="instance_norm", label="instance norm", source="Kim et al. (2022)", rank=112
):
    """Instance norm: values are read and forecast in standard deviations of their own context.

    They are counted from the context's mean; mean and standard deviation are those of the values
    that are read before the free run, and stay as they are during it.
    """

    kind = "norm"
    stage = Stage.CONTEXT
    applies = TRAINED
    shapes_forecast = True

    instance_norm: bool = flag(
        "Whether values are read and forecast in units of their own context.",
        shared=True,
        searched=False,
    )

    def phrase(self) -> str:
        return "instance norm"


@dataclass(frozen=True, eq=False)
class InstanceScale:
    """Mean and standard deviation of each subsequence's context, `[member, batch, channel]`.

    RevIN (Kim et al. 2022) without its affine map, which the first and last layers can learn: what
    is read is (value - mean) / std, what comes out is std * output + mean. Both are taken from the
    warm-up alone, in training as in the free run that is scored, and stay as they are during the
    rollout; no gradient flows through them.
    """

    mean: MemberBatchChannel
    std: MemberBatchChannel

    @classmethod
    def of(cls, context: TimeMemberBatchChannel) -> Self:
        """From the values of the warm-up."""
        steps = context.shape[0]
        # torch's layer norm takes row by row, so that a member's place does not matter.
        rows = context.permute(1, 2, 3, 0).contiguous()
        _, mean, inverse_std = torch.native_layer_norm(rows, [steps], None, None, EPSILON)
        return cls(mean.squeeze(3), 1.0 / inverse_std.squeeze(3))

    def normalised(self, values: Tensor) -> Tensor:
        """In units of the context: of one step `[member, batch, channel]`, or several before it."""
        return (values - self.mean) / self.std

    def restored(self, values: Tensor) -> Tensor:
        """Back from units of the context."""
        return torch.addcmul(self.mean, values, self.std)
