"""The shallow piecewise-linear recurrent network (Hess et al. 2023)."""

from models.methods import Choices, Whole, setting
from models.network.cells.cell import BackwardStep, Layer, UnitCell, uniform
from models.tensors import Generator, MemberBatchUnit, Tensor, torch

# The largest eigenvalue of R^T R / M + I for a large Gaussian M x M matrix R.
LARGEST_EIGENVALUE = 5.0


class ShPLRNN(
    UnitCell,
    name="shplrnn",
    label="shallow piecewise-linear RNN",
    source="Hess et al. (2023), arXiv 2306.04406",
    rank=9,
):
    """A shallow piecewise-linear RNN: the state is linear between kinks, and never saturates.

    z' = A z + W1 relu(W2 z + h2) + h1 + C x, with a diagonal A. `hidden_units` are the latent ones,
    M of the paper; `expanded_units` are L. In our transposed notation W2 is "expand" `(M, L)` and
    W1 "contract" `(L, M)`.
    """

    runs_on_state = True

    expanded_units: int = setting(
        Whole(1, 4096),
        Choices((32, 64, 128)),
        "Units of the hidden layer within a shallow piecewise-linear RNN.",
        neutral=64,
        shared=True,
    )

    @property
    def width(self) -> int:
        return self.expanded_units

    @property
    def kept_numbers(self) -> int:
        return 10 * self.hidden_units + self.expanded_units

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        units, expanded = self.hidden_units, self.expanded_units
        return {
            "diagonal": (1, units),
            "expand": (units, expanded),
            "expand_bias": (1, expanded),
            "contract": (expanded, units),
            "bias": (1, units),
            "input": (inputs, units),
        }

    def initialise(self, inputs: int, generator: Generator) -> dict[str, Tensor]:
        units, expanded, shapes = self.hidden_units, self.expanded_units, self.shapes(inputs)
        # As in the authors' code, where A is the diagonal of R^T R / M + I over its largest
        # eigenvalue (Talathi & Vartak 2016), here by that eigenvalue's limit.
        gaussian = torch.randn(units, units, generator=generator)
        diagonal = (gaussian.square().mean(0, keepdim=True) + 1.0) / LARGEST_EIGENVALUE
        return {
            "diagonal": diagonal,
            "expand": uniform(shapes["expand"], units**-0.5, generator),
            "expand_bias": torch.zeros(shapes["expand_bias"]),
            "contract": uniform(shapes["contract"], expanded**-0.5, generator),
            "bias": torch.zeros(shapes["bias"]),
            # Glorot & Bengio (2010).
            "input": uniform(shapes["input"], (6 / (inputs + units)) ** 0.5, generator),
        }

    def phrase(self) -> str:
        return f"expanded to {self.expanded_units}"


class ShPLRNNLayer(Layer, cell=ShPLRNN):
    products = ("input", "expand", "contract")

    def allocate(self) -> None:
        units, expanded = self.weights["expand"].shape[1:]
        self.from_input = self._buffer(units)
        self.expanded = self._slots(expanded)  # relu(.)
        self.grad_expanded, self.is_active = self._buffer(expanded), self._buffer(expanded)
        self.scratch = self._buffer(units)

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        w, expanded = self.weights, self.expanded[slot]
        torch.baddbmm(w["expand_bias"], state, w["expand"], out=expanded).relu_()
        torch.baddbmm(w["bias"], x, w["input"], out=self.from_input)
        torch.baddbmm(self.from_input, expanded, w["contract"], out=new_state)
        new_state.addcmul_(state, w["diagonal"])

    def backward(self, at: BackwardStep) -> None:
        g, w, expanded = self.gradients, self.weights, self.expanded[at.slot]
        torch.sign(expanded, out=self.is_active)  # a relu is never negative
        grad_expanded = torch.bmm(
            at.grad_new_state, self.transposed["contract"], out=self.grad_expanded
        )
        grad_expanded.mul_(self.is_active)
        torch.bmm(grad_expanded, self.transposed["expand"], out=at.grad_state)
        at.grad_state.addcmul_(at.grad_new_state, w["diagonal"])
        self.through_input(at, at.grad_new_state)
        torch.mul(at.grad_new_state, at.state, out=self.scratch)
        g["diagonal"].baddbmm_(self.ones, self.scratch)
        g["expand"].baddbmm_(at.state.transpose(1, 2), grad_expanded)
        g["expand_bias"].baddbmm_(self.ones, grad_expanded)
        g["contract"].baddbmm_(expanded.transpose(1, 2), at.grad_new_state)
