"""The coupled oscillatory recurrent network (Rusch & Mishra 2021)."""

from models.methods import FloatRange, Real, setting
from models.network.cells.cell import BackwardStep, Layer, UnitCell, times_tanh_slope, uniform
from models.tensors import Generator, MemberBatchUnit, Tensor, torch


class CoRNN(
    UnitCell,
    name="cornn",
    label="coupled oscillators",
    source="Rusch & Mishra (2021), arXiv 2010.00951",
    rank=5,
):
    """Coupled oscillators (coRNN): each unit is a driven oscillator of a position and a velocity.

    z' = z + s (tanh(y W + z U + x V + b) - stiffness y - damping z'); y' = y + s z': eq. 3 of the
    paper with the damping taken implicitly (its n' = n), so that no damping is too strong for the
    step s. A unit turns by about s sqrt(stiffness) radians a step, and loses half of s times the
    damping. The three are Δt, γ and ε of the paper. The state holds y, then z.
    """

    gates = 2
    runs_on_state = True

    cornn_step: float = setting(
        Real(1e-6, 10),
        FloatRange(0.01, 0.1, log=True),
        "The time step of coupled oscillators.",
        neutral=0.06,
        is_stored=True,
    )
    cornn_stiffness: float = setting(
        Real(0, 1e6),
        FloatRange(0.1, 100.0, log=True),
        "The stiffness of coupled oscillators.",
        neutral=10.0,
        is_stored=True,
    )
    cornn_damping: float = setting(
        Real(0, 1e6),
        FloatRange(0.01, 30.0, log=True),
        "The damping of coupled oscillators.",
        neutral=1.0,
        is_stored=True,
    )

    @property
    def state_units(self) -> int:
        return 2 * self.hidden_units

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {"input": (inputs, units), "recurrent": (2 * units, units), "bias": (1, units)}

    def initialise(self, inputs: int, generator: Generator) -> dict[str, Tensor]:
        # The authors' code has one torch.nn.Linear for the input and both halves of the state.
        bound = (inputs + 2 * self.hidden_units) ** -0.5
        return {n: uniform(shape, bound, generator) for n, shape in self.shapes(inputs).items()}


class CoRNNLayer(Layer, cell=CoRNN):
    products = ("input", "recurrent")

    def allocate(self) -> None:
        self.units = units = self.weights["bias"].shape[-1]
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)
        self.force = self._slots(units)  # tanh(.)
        self.grad_velocity, self.scratch = self._buffer(units), self._buffer(units)

    def begin(self) -> None:
        self.step = self.weights["cornn_step"].contiguous()
        self.spring = self.step * self.weights["cornn_stiffness"]
        self.kept = 1.0 / (1.0 + self.step * self.weights["cornn_damping"])

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, units, force = self.weights, self.units, self.force[slot]
        position, velocity = state[..., :units], state[..., units:]
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, w["recurrent"], out=force).tanh_()
        new_velocity = new_state[..., units:]
        torch.addcmul(velocity, force, self.step, out=new_velocity)
        new_velocity.addcmul_(position, self.spring, value=-1.0).mul_(self.kept)
        torch.addcmul(position, new_velocity, self.step, out=new_state[..., :units])

    def backward(self, at: BackwardStep) -> None:
        g, units, grad_sum = self.gradients, self.units, self.grad_sum
        grad_position = at.grad_new_state[..., :units]
        # Of the velocity before it is damped.
        grad_velocity = torch.addcmul(
            at.grad_new_state[..., units:], grad_position, self.step, out=self.grad_velocity
        ).mul_(self.kept)
        torch.mul(grad_velocity, self.step, out=self.scratch)
        times_tanh_slope(self.scratch, self.force[at.slot], out=grad_sum)

        torch.bmm(grad_sum, self.transposed["recurrent"], out=at.grad_state)
        at.grad_state[..., :units].add_(grad_position)
        at.grad_state[..., :units].addcmul_(grad_velocity, self.spring, value=-1.0)
        at.grad_state[..., units:].add_(grad_velocity)
        self.through_input(at, grad_sum)
        g["recurrent"].baddbmm_(at.state.transpose(1, 2), grad_sum)
