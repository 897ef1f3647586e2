"""Products of Householder reflections for a population, and their gradient, by products alone."""

import torch
from torch import Tensor


class Reflections:
    """Q = H_1 H_2 ... H_k with H = I - 2 u u^T / |u|^2, for vectors u `[member, k, unit]`.

    `product` `[member, unit, unit]` is Q after `multiply`, in memory made once. Vectors are read
    anew each time. The gradient goes back through the product one reflection after another, which
    takes as long as k steps of a few small matrix products each; k is not large.
    """

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors
        members, self.count, units = vectors.shape
        device = vectors.device
        # What stands left of each reflection, and the whole product at last.
        self.left = torch.empty(self.count + 1, members, units, units, device=device)
        self.left[0] = torch.eye(units, device=device)
        self.product = self.left[-1]
        self.units = torch.empty(self.count, members, units, 1, device=device)

    def multiply(self) -> None:
        """Compute the product of the present vectors."""
        self.norms = _row_sums(self.vectors * self.vectors).sqrt()
        self.units.copy_((self.vectors / self.norms).transpose(0, 1).unsqueeze(3))
        for k, unit in enumerate(self.units):
            along = torch.bmm(self.left[k], unit)
            torch.baddbmm(
                self.left[k], along, unit.transpose(1, 2), alpha=-2.0, out=self.left[k + 1]
            )

    def gradient(self, grad_product: Tensor) -> Tensor:
        """The gradient of the vectors, from that of the product as `multiply` left it."""
        grad = grad_product.clone()
        grad_units = torch.empty_like(self.units)
        for k in range(self.count - 1, -1, -1):
            unit, left = self.units[k], self.left[k]
            along = torch.bmm(grad, unit)
            torch.bmm(left.transpose(1, 2), along, out=grad_units[k])
            grad_units[k].baddbmm_(grad.transpose(1, 2), torch.bmm(left, unit)).mul_(-2.0)
            grad.baddbmm_(along, unit.transpose(1, 2), alpha=-2.0)
        rows = grad_units.squeeze(3).transpose(0, 1).contiguous()
        units = self.units.squeeze(3).transpose(0, 1).contiguous()
        # Only what stands across a vector turns it.
        return (rows - units * _row_sums(rows * units)) / self.norms


def _row_sums(rows: Tensor) -> Tensor:
    """Sums over the last axis, which stays: row by row, a member's place does not matter."""
    return rows.flatten(0, 1).sum(1).view(*rows.shape[:2], 1)
