"""Long expressive memory (Rusch, Mishra, Erichson & Mahoney 2022)."""

from models.methods import FloatRange, Real, setting
from models.network.cells.cell import (
    BackwardStep,
    Layer,
    UnitCell,
    sigmoid_,
    times_sigmoid_slope,
    times_tanh_slope,
)
from models.tensors import MemberBatchUnit, Tensor, torch


class LEM(
    UnitCell,
    name="lem",
    label="long expressive memory",
    source="Rusch et al. (2022), arXiv 2110.04744",
    rank=6,
):
    """Long expressive memory: each unit steps through time at a rate of its own.

    z' = z + p (tanh(y W_z + x V_z + b_z) - z); y' = y + q (tanh(z' W_y + x V_y + b_y) - y):
    eq. 3 of the paper. p = s sigmoid(y W_p + x V_p + b_p) and q likewise, with s the longest step
    (Δt of the paper). The state holds y, then z.
    """

    gates = 4
    runs_on_state = True

    lem_step: float = setting(
        Real(1e-6, 1),
        FloatRange(0.05, 1.0, log=True),
        "The longest time step of a long expressive memory.",
        neutral=1.0,
        is_stored=True,
    )

    @property
    def state_units(self) -> int:
        return 2 * self.hidden_units

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {
            "input": (inputs, 4 * units),
            "recurrent": (units, 3 * units),
            "memory": (units, units),
            "bias": (1, 4 * units),
        }


class LEMLayer(Layer, cell=LEM):
    """What y is multiplied with shares one product, in the order p, q, z.

    So does what x is multiplied with, where the y of the last comes after these.
    """

    products = ("input", "recurrent", "memory")

    def allocate(self) -> None:
        self.units = units = self.weights["memory"].shape[1]
        self.from_input = self._buffer(4 * units)
        self.gates = self._slots(3 * units)  # sigmoid(.) of p and q, the content of z
        self.content = self._slots(units)  # that of y
        self.difference = self._buffer(units)
        self.grad_gates, self.grad_content = self._buffer(4 * units), self._buffer(units)
        self.grad_hidden, self.grad_memory = self._buffer(units), self._buffer(units)
        self.scratch, self.rate = self._buffer(units), self._buffer(units)

    def begin(self) -> None:
        self.step = self.weights["lem_step"].contiguous()

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, units, gates, content = self.weights, self.units, self.gates[slot], self.content[slot]
        hidden, memory = state[..., :units], state[..., units:]
        new_hidden, new_memory = new_state[..., :units], new_state[..., units:]
        from_input = torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(from_input[..., : 3 * units], hidden, w["recurrent"], out=gates)
        sigmoid_(gates[..., : 2 * units])
        gates[..., 2 * units :].tanh_()
        of_memory, of_hidden, new_content = gates.split(units, dim=-1)

        torch.sub(new_content, memory, out=self.difference).mul_(self.step)
        torch.addcmul(memory, of_memory, self.difference, out=new_memory)
        torch.baddbmm(from_input[..., 3 * units :], new_memory, w["memory"], out=content).tanh_()
        torch.sub(content, hidden, out=self.difference).mul_(self.step)
        torch.addcmul(hidden, of_hidden, self.difference, out=new_hidden)

    def backward(self, at: BackwardStep) -> None:
        g, units = self.gradients, self.units
        of_memory, of_hidden, new_content = self.gates[at.slot].split(units, dim=-1)
        hidden, memory = at.state[..., :units], at.state[..., units:]
        content = self.content[at.slot]
        upper = self.grad_gates[..., : 3 * units]
        grad_of_memory, grad_of_hidden, grad_new_content = upper.split(units, dim=-1)

        grad_hidden = self._relax(
            at.grad_new_state[..., :units], hidden, content, of_hidden, grad_of_hidden
        )
        self.grad_hidden.copy_(grad_hidden)
        times_tanh_slope(self.scratch, content, out=self.grad_content)
        self.grad_gates[..., 3 * units :] = self.grad_content

        torch.baddbmm(
            at.grad_new_state[..., units:],
            self.grad_content,
            self.transposed["memory"],
            out=self.grad_memory,
        )
        grad_memory = self._relax(self.grad_memory, memory, new_content, of_memory, grad_of_memory)
        at.grad_state[..., units:] = grad_memory
        times_tanh_slope(self.scratch, new_content, out=grad_new_content)

        at.grad_state[..., :units] = self.grad_hidden.baddbmm_(upper, self.transposed["recurrent"])
        self.through_input(at, self.grad_gates)
        g["recurrent"].baddbmm_(hidden.transpose(1, 2), upper)
        g["memory"].baddbmm_(at.new_state[..., units:].transpose(1, 2), self.grad_content)

    def _relax(
        self, grad: Tensor, before: Tensor, content: Tensor, gate: Tensor, grad_gate: Tensor
    ) -> Tensor:
        """Back through before + step * gate * (content - before).

        Writes the gradient before the gate's sigmoid into `grad_gate` and that of the content into
        `scratch`; returns that of `before`, which the next call overwrites.
        """
        torch.sub(content, before, out=self.difference).mul_(self.step).mul_(grad)
        times_sigmoid_slope(self.difference, gate, out=grad_gate)
        torch.mul(gate, self.step, out=self.rate)
        torch.mul(grad, self.rate, out=self.scratch)
        return torch.sub(grad, self.scratch, out=self.rate)
