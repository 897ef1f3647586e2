"""The antisymmetric recurrent network (Chang, Chen, Haber & Chi 2019)."""

from models.methods import FloatRange, Real, setting
from models.network.cells.cell import BackwardStep, Layer, UnitCell, times_tanh_slope, uniform
from models.tensors import Generator, MemberBatchUnit, Tensor, torch


class Antisymmetric(
    UnitCell,
    name="antisymmetric",
    label="antisymmetric RNN",
    source="Chang et al. (2019), arXiv 1902.09689",
    rank=7,
):
    """An RNN whose recurrence is antisymmetric, so that its state neither grows nor dies quickly.

    h' = h + step * tanh(h (W - W^T - diffusion I) + x V + b): the paper's AntisymmetricRNN without
    gates, one step of Euler's method for an equation whose Jacobian has eigenvalues with a small
    negative real part. Step and diffusion are ε and γ of the paper.
    """

    runs_on_state = True

    antisymmetric_step: float = setting(
        Real(1e-6, 10),
        FloatRange(0.01, 1.0, log=True),
        "The time step of an antisymmetric RNN.",
        neutral=0.1,
        is_stored=True,
    )
    antisymmetric_diffusion: float = setting(
        Real(0, 1000),
        FloatRange(0.001, 1.0, log=True),
        "The diffusion of an antisymmetric RNN.",
        neutral=0.01,
        is_stored=True,
    )

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units = self.hidden_units
        return {"input": (inputs, units), "recurrent": (units, units), "bias": (1, units)}

    def initialise(self, inputs: int, generator: Generator) -> dict[str, Tensor]:
        units, shapes = self.hidden_units, self.shapes(inputs)
        return {
            "input": uniform(shapes["input"], units**-0.5, generator),
            # The paper's N(0, 1 / units).
            "recurrent": torch.randn(shapes["recurrent"], generator=generator) * units**-0.5,
            "bias": torch.zeros(shapes["bias"]),
        }


class AntisymmetricLayer(Layer, cell=Antisymmetric):
    """The gradient of the antisymmetric matrix is mapped back to W once per unroll."""

    def allocate(self) -> None:
        units = self.weights["bias"].shape[-1]
        self.from_input, self.grad_sum = self._buffer(units), self._buffer(units)
        self.change = self._slots(units)  # tanh(.)
        self.scratch = self._buffer(units)
        self.transition = torch.empty(self.members, units, units, device=self.device)
        self.transition_t = torch.empty_like(self.transition)
        self.grad_transition = torch.empty_like(self.transition)

    def begin(self) -> None:
        weight = self.weights["recurrent"]
        self.step = self.weights["antisymmetric_step"].contiguous()
        torch.sub(weight, weight.transpose(1, 2), out=self.transition)
        diagonal = self.transition.diagonal(dim1=1, dim2=2)
        diagonal.sub_(self.weights["antisymmetric_diffusion"][:, 0])

    def begin_backward(self) -> None:
        super().begin_backward()
        self.transition_t.copy_(self.transition.transpose(1, 2))
        self.grad_transition.zero_()

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, change = self.weights, self.change[slot]
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, self.transition, out=change).tanh_()
        torch.addcmul(state, change, self.step, out=new_state)

    def backward(self, at: BackwardStep) -> None:
        grad_sum = self.grad_sum
        torch.mul(at.grad_new_state, self.step, out=self.scratch)
        times_tanh_slope(self.scratch, self.change[at.slot], out=grad_sum)
        torch.baddbmm(at.grad_new_state, grad_sum, self.transition_t, out=at.grad_state)
        self.through_input(at, grad_sum)
        self.grad_transition.baddbmm_(at.state.transpose(1, 2), grad_sum)

    def end(self) -> None:
        self.gradients["recurrent"].add_(self.grad_transition)
        self.gradients["recurrent"].sub_(self.grad_transition.transpose(1, 2))
