"""The window network: a multilayer perceptron on the last values, as a control.

Lapedes & Farber (1987), "Nonlinear signal processing using neural networks".
"""

from models.network.cells.cell import BackwardStep, Layer, UnitCell, times_tanh_slope, uniform
from models.tensors import Generator, MemberBatchUnit, Tensor, torch


class MLP(UnitCell, name="mlp", label="window MLP", source="Lapedes & Farber (1987)", rank=10):
    """A multilayer perceptron that reads a whole window at once, without recurrence: a control.

    h' = tanh(x W + b). It is a cell so that layers, head, options and training are those of the
    others; the state is written and never read.
    """

    reads_whole_window = True

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        return {"input": (inputs, self.hidden_units), "bias": (1, self.hidden_units)}

    def initialise(self, inputs: int, generator: Generator) -> dict[str, Tensor]:
        bound = inputs**-0.5
        return {n: uniform(shape, bound, generator) for n, shape in self.shapes(inputs).items()}


class MLPLayer(Layer, cell=MLP):
    def allocate(self) -> None:
        self.grad_sum = self._buffer(self.weights["bias"].shape[-1])

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        torch.baddbmm(self.weights["bias"], x, self.weights["input"], out=new_state).tanh_()

    def backward(self, at: BackwardStep) -> None:
        grad_sum = times_tanh_slope(at.grad_new_state, at.new_state, out=self.grad_sum)
        at.grad_state.zero_()
        self.through_input(at, grad_sum)
