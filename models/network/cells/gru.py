"""The gated recurrent unit (Cho et al. 2014)."""

from models.network.cells.cell import (
    BackwardStep,
    Layer,
    UnitCell,
    sigmoid_,
    times_sigmoid_slope,
    times_tanh_slope,
)
from models.tensors import MemberBatchUnit, torch


class GRU(UnitCell, name="gru", label="GRU", source="Cho et al. (2014)", rank=2, searched=True):
    """The gated recurrent unit, in the variant of cuDNN and `torch.nn.GRU`.

    r, z = sigmoid(x W + h U + b); n = tanh(x W_n + b_n + r (h U_n + c_n)); h' = n + z (h - n).
    """

    gates = 3

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {
            "input": (inputs, 3 * units),
            "recurrent": (units, 3 * units),
            "input_bias": (1, 3 * units),
            "recurrent_bias": (1, 3 * units),
        }


class GRULayer(Layer, cell=GRU):
    """The gates share one product for the input and one for the state, in torch's order r, z, n.

    Both products have a bias, since the state's bias of n is gated by r.
    """

    products = ("input", "recurrent")

    def allocate(self) -> None:
        self.units = units = self.weights["recurrent"].shape[1]
        self.from_input = self._buffer(3 * units)
        self.from_state = self._slots(3 * units)
        self.reset_update = self._slots(2 * units)
        self.proposal = self._slots(units)
        self.difference = self._buffer(units)
        # Gradients of r, z and n before their squashing, as each of the two products sees them.
        self.grad_of_input = self._buffer(3 * units)
        self.grad_of_state = self._buffer(3 * units)
        self.scratch = self._buffer(units)

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, units = self.weights, self.units
        from_input = torch.baddbmm(w["input_bias"], x, w["input"], out=self.from_input)
        from_state = self.from_state[slot]
        torch.baddbmm(w["recurrent_bias"], state, w["recurrent"], out=from_state)
        reset_update, proposal = self.reset_update[slot], self.proposal[slot]
        torch.add(from_input[..., : 2 * units], from_state[..., : 2 * units], out=reset_update)
        sigmoid_(reset_update)
        reset, update = reset_update[..., :units], reset_update[..., units:]
        torch.addcmul(
            from_input[..., 2 * units :], reset, from_state[..., 2 * units :], out=proposal
        ).tanh_()
        torch.sub(state, proposal, out=self.difference)
        torch.addcmul(proposal, update, self.difference, out=new_state)

    def backward(self, at: BackwardStep) -> None:
        g, units = self.gradients, self.units
        reset_update, proposal = self.reset_update[at.slot], self.proposal[at.slot]
        reset, update = reset_update[..., :units], reset_update[..., units:]
        gated = self.from_state[at.slot][..., 2 * units :]
        of_input, of_state, scratch = self.grad_of_input, self.grad_of_state, self.scratch
        grad_proposal, grad_gated = of_input[..., 2 * units :], of_state[..., 2 * units :]

        torch.mul(at.grad_new_state, update, out=at.grad_state)
        torch.sub(at.grad_new_state, at.grad_state, out=scratch)  # (1 - z) dh
        times_tanh_slope(scratch, proposal, out=grad_proposal)
        torch.mul(grad_proposal, reset, out=grad_gated)
        torch.mul(grad_proposal, gated, out=scratch)
        times_sigmoid_slope(scratch, reset, out=of_input[..., :units])
        torch.sub(at.state, proposal, out=scratch).mul_(at.grad_new_state)
        times_sigmoid_slope(scratch, update, out=of_input[..., units : 2 * units])
        of_state[..., : 2 * units] = of_input[..., : 2 * units]

        at.grad_state.baddbmm_(of_state, self.transposed["recurrent"])
        self.through_input(at, of_input, bias="input_bias")
        g["recurrent"].baddbmm_(at.state.transpose(1, 2), of_state)
        g["recurrent_bias"].baddbmm_(self.ones, of_state)
