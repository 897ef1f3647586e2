"""The long short-term memory (Hochreiter & Schmidhuber 1997)."""

from models.network.cells.cell import (
    BackwardStep,
    Layer,
    UnitCell,
    sigmoid_,
    times_sigmoid_slope,
    times_tanh_slope,
)
from models.tensors import MemberBatchUnit, torch


class LSTM(
    UnitCell,
    name="lstm",
    label="LSTM",
    source="Hochreiter & Schmidhuber (1997), with the forget gate of Gers et al. (1999)",
    rank=3,
    searched=True,
):
    """The long short-term memory, as `torch.nn.LSTM` with its two biases as one.

    i, f, o = sigmoid(.); g = tanh(.); c' = f c + i g; h' = o tanh(c'). The state holds h, then c.
    """

    gates = 4

    @property
    def state_units(self) -> int:
        return 2 * self.hidden_units

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {
            "input": (inputs, 4 * units),
            "recurrent": (units, 4 * units),
            "bias": (1, 4 * units),
        }


class LSTMLayer(Layer, cell=LSTM):
    """All gates share one product each for the input and the state, in the order i, f, o, g.

    The three sigmoids are then one call.
    """

    products = ("input", "recurrent")

    def allocate(self) -> None:
        self.units = units = self.weights["recurrent"].shape[1]
        self.from_input = self._buffer(4 * units)
        self.gates = self._slots(4 * units)
        self.squashed = self._slots(units)  # tanh(c')
        self.grad_gates = self._buffer(4 * units)
        self.grad_memory = self._buffer(units)
        self.scratch = self._buffer(units)

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, units = self.weights, self.units
        gates, squashed = self.gates[slot], self.squashed[slot]
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state[..., :units], w["recurrent"], out=gates)
        sigmoid_(gates[..., : 3 * units])
        gates[..., 3 * units :].tanh_()
        write, keep, read, content = gates.split(units, dim=-1)
        memory = new_state[..., units:]
        torch.mul(keep, state[..., units:], out=memory)
        memory.addcmul_(write, content)
        torch.tanh(memory, out=squashed)
        torch.mul(read, squashed, out=new_state[..., :units])

    def backward(self, at: BackwardStep) -> None:
        g, units = self.gradients, self.units
        write, keep, read, content = self.gates[at.slot].split(units, dim=-1)
        grad_write, grad_keep, grad_read, grad_content = self.grad_gates.split(units, dim=-1)
        squashed, grad_output = self.squashed[at.slot], at.grad_new_state[..., :units]
        scratch, grad_memory = self.scratch, self.grad_memory

        torch.mul(grad_output, read, out=scratch)
        times_tanh_slope(scratch, squashed, out=grad_memory).add_(at.grad_new_state[..., units:])
        torch.mul(grad_output, squashed, out=scratch)
        times_sigmoid_slope(scratch, read, out=grad_read)
        torch.mul(grad_memory, content, out=scratch)
        times_sigmoid_slope(scratch, write, out=grad_write)
        torch.mul(grad_memory, at.state[..., units:], out=scratch)
        times_sigmoid_slope(scratch, keep, out=grad_keep)
        torch.mul(grad_memory, write, out=scratch)
        times_tanh_slope(scratch, content, out=grad_content)

        torch.mul(grad_memory, keep, out=at.grad_state[..., units:])
        torch.bmm(self.grad_gates, self.transposed["recurrent"], out=scratch)
        at.grad_state[..., :units] = scratch
        self.through_input(at, self.grad_gates)
        g["recurrent"].baddbmm_(at.state[..., :units].transpose(1, 2), self.grad_gates)
