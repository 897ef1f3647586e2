"""Orthogonal recurrence by Householder reflections (Mhammedi et al. 2017)."""

import math

from models.methods import Choices, Whole, counted, setting
from models.network.cells.cell import BackwardStep, Layer, UnitCell, uniform
from models.network.cells.lru import PHASE_RANGE
from models.tensors import Generator, MemberBatchUnit, Tensor, torch

# Work of one reflection, once per unroll, in multiply-adds of a compiled kernel.
REFLECTION_WORK = 1_000_000.0


class Orthogonal(
    UnitCell,
    name="orthogonal",
    label="orthogonal RNN",
    source="Mhammedi et al. (2017), arXiv 1612.00188",
    rank=8,
):
    """An RNN whose recurrence is a product of Householder reflections: the state only turns.

    h' = modReLU(h Q + x V). modReLU(a) = sign(a) relu(|a| + b), with a trained threshold b for each
    unit (Arjovsky et al. 2016; for real numbers Helfrich et al. 2018): at b = 0 it does nothing. Q
    is exactly orthogonal whatever its vectors are, by products and sums alone: a factorisation or a
    matrix exponential may round differently for other cohorts.
    """

    runs_on_state = True

    reflections: int = setting(
        Whole(1, 4096),
        Choices((4, 8, 16)),
        "Householder reflections whose product is the recurrence of an orthogonal RNN.",
        neutral=8,
        shared=True,
    )

    @property
    def unroll_work(self) -> float:
        return REFLECTION_WORK * self.reflections

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {
            "vectors": (self.reflections, units),
            "input": (inputs, units),
            "threshold": (1, units),
        }

    def initialise(self, inputs: int, generator: Generator) -> dict[str, Tensor]:
        units, shapes = self.hidden_units, self.shapes(inputs)
        return {
            "vectors": _slow_rotations(self.reflections, units, generator),
            "input": uniform(shapes["input"], units**-0.5, generator),
            "threshold": uniform(shapes["threshold"], 0.01, generator),
        }

    def phrase(self) -> str:
        return counted(self.reflections, "reflection")


class OrthogonalLayer(Layer, cell=Orthogonal):
    def allocate(self) -> None:
        units = self.weights["threshold"].shape[-1]
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)
        self.sign, self.signed_grad = self._buffer(units), self._buffer(units)
        self.reflections = Reflections(self.weights["vectors"])
        self.transition_t = torch.empty_like(self.reflections.product)
        self.grad_transition = torch.empty_like(self.reflections.product)

    def begin(self) -> None:
        self.reflections.multiply()

    def begin_backward(self) -> None:
        super().begin_backward()
        self.transition_t.copy_(self.reflections.product.transpose(1, 2))
        self.grad_transition.zero_()

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        torch.bmm(x, self.weights["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, self.reflections.product, out=self.grad_sum)
        torch.sign(self.grad_sum, out=self.sign)
        self.grad_sum.abs_().add_(self.weights["threshold"]).relu_()
        torch.mul(self.grad_sum, self.sign, out=new_state)

    def backward(self, at: BackwardStep) -> None:
        g, grad_sum = self.gradients, self.grad_sum
        # Where the output is not zero it has the sign of the sum, and the slope is 1.
        torch.sign(at.new_state, out=self.sign)
        torch.mul(at.grad_new_state, self.sign, out=self.signed_grad)
        torch.mul(self.signed_grad, self.sign, out=grad_sum)
        torch.bmm(grad_sum, self.transition_t, out=at.grad_state)
        self.through_input(at, grad_sum, bias=None)
        self.grad_transition.baddbmm_(at.state.transpose(1, 2), grad_sum)
        g["threshold"].baddbmm_(self.ones, self.signed_grad)

    def end(self) -> None:
        self.gradients["vectors"].add_(self.reflections.gradient(self.grad_transition))


def _slow_rotations(count: int, units: int, generator: Generator) -> Tensor:
    """Vectors `[reflection, unit]` of which each pair is a rotation by a small angle.

    Two reflections turn by twice the angle between their vectors. The planes are random, the angles
    those at which the linear recurrent unit starts; an odd last vector is a reflection.
    """
    low, high = (math.log(bound) for bound in PHASE_RANGE)
    first = torch.randn(-(-count // 2), units, generator=generator)
    first = first / first.norm(dim=1, keepdim=True)
    across = torch.randn(first.shape, generator=generator)
    across = across - (across * first).sum(1, keepdim=True) * first
    across = across / across.norm(dim=1, keepdim=True).clamp(min=1e-6)
    angles = torch.exp(torch.empty(len(first), 1).uniform_(low, high, generator=generator))
    second = first + torch.tan(angles / 2) * across
    return torch.stack([first, second], dim=1).flatten(0, 1)[:count]


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
