"""Layer normalisation of a layer's output, forward and back step by step like the cells."""

from models.methods import Method, Stage, flag
from models.methods.condition import TRAINED
from models.network.cells.cell import Part
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
        "Whether each layer's output is normalised over its units.",
        shared=True,
        searched=False,
        nonlinear=True,
    )

    def phrase(self) -> str:
        return "layer norm"


class NormedOutput(Part):
    """y = (x - mean) / sqrt(variance + EPSILON) * gain + bias, over the units of each step.

    Ba, Kiros & Hinton (2016), eq. 4, for one layer of a population.
    """

    def allocate(self) -> None:
        units = self.weights["gain"].shape[2]
        self.units = [units]
        self.normalised, self.inverse_stds = self._slots(units), self._slots(1)
        self.output, self.scratch = self._buffer(units), self._buffer(units)
        self.mean, self.inverse_std = self._buffer(1).zero_(), self._buffer(1).fill_(1.0)

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
