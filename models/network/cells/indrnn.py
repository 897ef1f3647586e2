"""The independently recurrent network (Li et al. 2018)."""

from models.network.cells.cell import BackwardStep, Layer, UnitCell, uniform
from models.tensors import Generator, MemberBatchUnit, Tensor, torch


class IndRNN(
    UnitCell,
    name="indrnn",
    label="independently recurrent RNN",
    source="Li et al. (2018), arXiv 1803.04831",
    rank=11,
):
    """An RNN in which each unit reads its own past alone, so that its memory can be long.

    h' = relu(x W + u * h + b), with a recurrent weight u for each unit; units meet in the next
    layer. The weights u start between 0 and 1, as in the paper: a unit keeps what it read for
    1 / (1 - u) steps.
    """

    runs_on_state = True

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {"input": (inputs, units), "recurrent": (1, units), "bias": (1, units)}

    def initialise(self, inputs: int, generator: Generator) -> dict[str, Tensor]:
        drawn = super().initialise(inputs, generator)
        recurrent = uniform((1, self.hidden_units), 0.5, generator) + 0.5
        return {**drawn, "recurrent": recurrent}


class IndRNNLayer(Layer, cell=IndRNN):
    def allocate(self) -> None:
        units = self.weights["bias"].shape[-1]
        self.grad_sum, self.scratch = self._buffer(units), self._buffer(units)

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        torch.baddbmm(self.weights["bias"], x, self.weights["input"], out=new_state)
        new_state.addcmul_(state, self.weights["recurrent"]).relu_()

    def backward(self, at: BackwardStep) -> None:
        g = self.gradients
        torch.sign(at.new_state, out=self.scratch)  # a relu is never negative
        grad_sum = torch.mul(at.grad_new_state, self.scratch, out=self.grad_sum)
        torch.mul(grad_sum, self.weights["recurrent"], out=at.grad_state)
        self.through_input(at, grad_sum)
        torch.mul(grad_sum, at.state, out=self.scratch)
        g["recurrent"].baddbmm_(self.ones, self.scratch)
