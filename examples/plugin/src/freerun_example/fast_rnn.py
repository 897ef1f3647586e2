"""FastRNN (Kusupati et al. 2018), arXiv 1901.02358: an RNN with a weighted residual connection."""

from __future__ import annotations

from models.methods import FloatRange, Real, setting
from models.network.cells.cell import BackwardStep, Layer, UnitCell, times_tanh_slope
from models.tensors import MemberBatchUnit, torch


class FastRNN(UnitCell, name="fast_rnn", label="FastRNN", source="Kusupati et al. (2018)"):
    """An RNN whose state moves towards a tanh by a fixed share at each step.

    h' = (1 - a) h + a tanh(x W + h U + b). The paper trains a; here it is searched, so that it
    differs between members of a cohort and is kept among the weights (`is_stored`).
    """

    runs_on_state = True

    share: float = setting(
        Real(0, 1),
        FloatRange(0.01, 1.0, log=True),
        "The share by which the state of a FastRNN moves at each step.",
        name="fast_rnn_share",
        neutral=0.1,
        is_stored=True,
    )

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {"input": (inputs, units), "recurrent": (units, units), "bias": (1, units)}


class FastRNNLayer(Layer, cell=FastRNN):
    """See `FastRNN`."""

    products = ("input", "recurrent")

    def allocate(self) -> None:
        units = self.weights["bias"].shape[-1]
        self.squashed = self._slots(units)
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)
        self.scratch = self._buffer(units)

    def begin(self) -> None:
        self.share = self.weights["fast_rnn_share"].contiguous()
        self.kept = 1.0 - self.share

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, squashed = self.weights, self.squashed[slot]
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, w["recurrent"], out=squashed).tanh_()
        torch.mul(state, self.kept, out=new_state).addcmul_(squashed, self.share)

    def backward(self, at: BackwardStep) -> None:
        torch.mul(at.grad_new_state, self.share, out=self.scratch)
        grad_sum = times_tanh_slope(self.scratch, self.squashed[at.slot], out=self.grad_sum)
        torch.bmm(grad_sum, self.transposed["recurrent"], out=at.grad_state)
        at.grad_state.addcmul_(at.grad_new_state, self.kept)
        self.through_input(at, grad_sum)
        self.gradients["recurrent"].baddbmm_(at.state.transpose(1, 2), grad_sum)
