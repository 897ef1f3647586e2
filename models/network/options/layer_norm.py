"""Layer normalisation of a layer's output, forward and back step by step like the cells."""

from __future__ import annotations

from collections.abc import Mapping

from models.methods import Method, Stage, flag
from models.methods.when import TRAINED
from models.tensors import MemberBatchUnit, Tensor, torch

# Added to the variance, as torch.nn.LayerNorm does.
EPSILON = 1e-5


class LayerNorm(
    Method, name="layer_norm", label="layer norm", source="Ba, Kiros & Hinton (2016)", rank=101
):
    """Layer norm: each layer's output is normalised before the next layer or the head reads it.

    The paper normalises the sums inside a recurrent cell; here, what passes on in time is left
    alone. So stacks of linear recurrent units have it (Orvieto et al. 2023, after Gu et al. 2022),
    and a cell whose state lives by its amplitude, as an oscillator's does, keeps it.
    """

    kind = "norm"
    stage = Stage.SIZE
    applies = TRAINED
    shapes_forecast = True

    layer_norm: bool = flag(
        "Whether each layer's output is normalised over its units.", shared=True, searched=False
    )

    def is_nonlinear_part(self) -> bool:
        return self.layer_norm

    def needs_loop(self) -> bool:
        return self.layer_norm

    def phrase(self) -> str:
        return "layer norm"


class NormedOutput:
    """y = (x - mean) / sqrt(variance + EPSILON) * gain + bias, over the units of each step.

    Ba, Kiros & Hinton (2016), eq. 4, for one layer of a population.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        *,
        slots: int,
        batch: int,
    ) -> None:
        self.weights, self.gradients = weights, gradients
        members, _, units = weights["gain"].shape
        device = weights["gain"].device
        self.units = [units]
        self.normalised = torch.empty(slots, members, batch, units, device=device)
        self.inverse_stds = torch.empty(slots, members, batch, 1, device=device)
        self.output = torch.empty(members, batch, units, device=device)
        self.scratch = torch.empty_like(self.output)
        self.mean = torch.zeros(members, batch, 1, device=device)
        self.inverse_std = torch.ones(members, batch, 1, device=device)
        self.ones = torch.ones(members, 1, batch, device=device)

    @staticmethod
    def shapes(units: int) -> dict[str, tuple[int, ...]]:
        """Shapes of one member's parameters."""
        return {"gain": (1, units), "bias": (1, units)}

    @staticmethod
    def initialise(units: int) -> dict[str, Tensor]:
        """One member's initial parameters: nothing is scaled or shifted."""
        return {"gain": torch.ones(1, units), "bias": torch.zeros(1, units)}

    def forward(self, slot: int, x: MemberBatchUnit) -> MemberBatchUnit:
        """The normalised `x`; what `again` and `backward` need is kept in `slot`."""
        # torch's own takes row by row, so that a member's place does not matter.
        normalised, _, inverse_std = torch.native_layer_norm(x, self.units, None, None, EPSILON)
        self.normalised[slot] = normalised
        self.inverse_stds[slot] = inverse_std
        return self.again(slot)

    def again(self, slot: int) -> MemberBatchUnit:
        """What `forward` returned for this slot; the next call overwrites it."""
        return torch.addcmul(
            self.weights["bias"], self.normalised[slot], self.weights["gain"], out=self.output
        )

    def backward(self, slot: int, grad_output: MemberBatchUnit) -> MemberBatchUnit:
        """The gradient of `x`; the weights' gradients are added to."""
        normalised, scratch = self.normalised[slot], self.scratch
        torch.mul(grad_output, normalised, out=scratch)
        self.gradients["gain"].baddbmm_(self.ones, scratch)
        self.gradients["bias"].baddbmm_(self.ones, grad_output)
        torch.mul(grad_output, self.weights["gain"], out=scratch)
        # As if what is normalised already were normalised once more: then only the scale is left.
        grad: Tensor
        grad, _, _ = torch.ops.aten.native_layer_norm_backward(
            scratch,
            normalised,
            self.units,
            self.mean,
            self.inverse_std,
            None,
            None,
            [True, False, False],
        )
        return grad.mul_(self.inverse_stds[slot])
