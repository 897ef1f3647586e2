"""What a layer's output passes on its way to the next layer or to the head: norm, then dropout."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.axes import MemberBatchUnit
from models.layer_norm import LayerNorm


class Upward:
    """norms: one for each layer, or none at all. masks: `[slot, layer, member, batch, unit]`, None
    for none. buffer: where a masked output is put, `[member, batch, unit]`; used again and again.
    """

    def __init__(
        self, norms: Sequence[LayerNorm], masks: Tensor | None, buffer: MemberBatchUnit
    ) -> None:
        self.norms, self.masks, self.buffer = norms, masks, buffer

    def forward(self, slot: int, layer: int, output: MemberBatchUnit) -> MemberBatchUnit:
        """A layer's output as the layer above, or the head, reads it."""
        if self.norms:
            output = self.norms[layer].forward(slot, output)
        return self._masked(slot, layer, output)

    def again(self, slot: int, layer: int, output: MemberBatchUnit) -> MemberBatchUnit:
        """What `forward` returned for the same arguments."""
        if self.norms:
            output = self.norms[layer].again(slot)
        return self._masked(slot, layer, output)

    def backward(
        self, slot: int, layer: int, grad: MemberBatchUnit, grad_output: MemberBatchUnit
    ) -> None:
        """From the gradient of what was passed up, add to that of the layer's output."""
        if self.norms:
            if self.masks is not None:
                grad = grad * self.masks[slot, layer]
            grad_output.add_(self.norms[layer].backward(slot, grad))
        elif self.masks is not None:
            grad_output.addcmul_(grad, self.masks[slot, layer])
        else:
            grad_output.add_(grad)

    def _masked(self, slot: int, layer: int, output: MemberBatchUnit) -> MemberBatchUnit:
        if self.masks is None:
            return output
        return torch.mul(output, self.masks[slot, layer], out=self.buffer)
