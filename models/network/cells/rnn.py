"""The plain recurrent cell with tanh (Elman 1990)."""

from models.network.cells.cell import BackwardStep, Layer, UnitCell, times_tanh_slope
from models.tensors import MemberBatchUnit, torch


class RNN(UnitCell, name="rnn", label="RNN", source="Elman (1990)", rank=1, searched=True):
    """The plain recurrent cell with tanh, as `torch.nn.RNN` with its two biases as one.

    h' = tanh(x W + h U + b).
    """

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {"input": (inputs, units), "recurrent": (units, units), "bias": (1, units)}


class RNNLayer(Layer, cell=RNN):
    products = ("input", "recurrent")

    def allocate(self) -> None:
        units = self.weights["bias"].shape[-1]
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w = self.weights
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, w["recurrent"], out=new_state).tanh_()

    def backward(self, at: BackwardStep) -> None:
        g = self.gradients
        grad_sum = times_tanh_slope(at.grad_new_state, at.new_state, out=self.grad_sum)
        torch.bmm(grad_sum, self.transposed["recurrent"], out=at.grad_state)
        self.through_input(at, grad_sum)
        g["recurrent"].baddbmm_(at.state.transpose(1, 2), grad_sum)
