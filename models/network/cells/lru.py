"""The linear recurrent unit: complex modes on a diagonal, in real arithmetic.

Orvieto et al. (2023), "Resurrecting recurrent neural networks for long sequences".
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

from models.methods import Ablation, Choices, Stage, Whole, choice, flag, setting
from models.network.cells.cell import BackwardStep, Cell, Layer
from models.tensors import Generator, MemberBatchUnit, Tensor, torch

# Where initial eigenvalues lie: decay times of 100 to 100,000 steps, since a long free run must not
# die away, and periods of 6 to 2,000 steps, both spread evenly over their logarithm, since a
# series' own scale is not known beforehand.
DECAY_RANGE = (1e-5, 1e-2)
PHASE_RANGE = (3e-3, 1.0)
# A nu at which a mode does not decay: |lambda| = exp(-exp(nu)) is 1 in single precision.
UNDAMPED = -40.0


class LRU(
    Cell,
    name="lru",
    label="linear recurrent unit",
    source="Orvieto et al. (2023), arXiv 2303.06349",
    rank=4,
    searched=True,
):
    """The linear recurrent unit: complex modes that turn and fade, without any gate.

    h' = lambda h + gamma B x, lambda = exp(-exp(nu) + i exp(theta)); the output is (Re h, Im h).
    The paper's direct term D x is left to the residual output.
    """

    is_linear = True
    runs_on_state = True
    unit_name = "complex mode"
    # Modes that turn on the spot from where the whole warm-up says that they are.
    typical = MappingProxyType(
        {
            "context": "state",
            "autonomous": True,
            "state_estimate": "least-squares",
            "initial_phases": "spectrum",
        }
    )

    modes: int = setting(
        Whole(1, 2048),
        Choices((1, 2, 4)),
        "Complex modes of each layer.",
        shared=True,
        without=Ablation("a single mode", {"modes": 1}),
    )
    damping: bool = flag(
        "Whether modes may die away; without it their eigenvalues stay on the unit circle.",
        neutral=True,
        stage=Stage.MODES,
        without=Ablation("modes that may die away", name="no damping"),
    )
    initial_phases: str = choice(
        ("random", "spectrum"),
        "Initial frequencies: spread over all scales, or from the peaks of the spectrum.",
        stage=Stage.START,
        without=Ablation("first phases at random", name="phases"),
    )

    @property
    def units(self) -> int:
        return self.modes

    @property
    def output_units(self) -> int:
        return 2 * self.modes

    @property
    def state_units(self) -> int:
        return 2 * self.modes

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        modes = self.modes
        return {"nu": (1, modes), "theta": (1, modes), "input": (inputs, 2 * modes)}

    def initialise(self, inputs: int, generator: Generator) -> dict[str, Tensor]:
        nu = _log_uniform(self.modes, DECAY_RANGE, generator)
        theta = _log_uniform(self.modes, PHASE_RANGE, generator)
        # Orvieto et al. (2023), eq. 7: gamma = sqrt(1 - |lambda|^2) keeps the state's variance
        # near the input's. It scales the initial input weights instead of being trained apart.
        gamma = torch.sqrt(1.0 - torch.exp(-2.0 * torch.exp(nu)))
        weights = torch.randn(inputs, 2 * self.modes, generator=generator) / math.sqrt(2 * inputs)
        return {"nu": nu, "theta": theta, "input": weights * torch.cat([gamma, gamma], dim=1)}

    def adjust(
        self, parameters: Mapping[str, Tensor], layer: int, series: Tensor, generator: Generator
    ) -> None:
        if not self.damping:
            parameters["nu"].fill_(UNDAMPED)
        if layer == 0 and self.initial_phases == "spectrum":
            parameters["theta"][0].copy_(phases_of_spectrum(series, self.modes, generator))

    def frozen(self) -> frozenset[str]:
        return frozenset() if self.damping else frozenset({"nu"})

    def transition(self, parameters: Mapping[str, Tensor]) -> Tensor:
        nu, theta = parameters["nu"], parameters["theta"]
        modulus, phase = torch.exp(-torch.exp(nu)), torch.exp(theta)
        return rotation(modulus * torch.cos(phase), modulus * torch.sin(phase))

    def phrase(self) -> str:
        return "" if self.damping else "undamped"


class LRULayer(Layer, cell=LRU):
    """The rotation is a real matrix `[Re | Im]`, as complex products may round by cohort size.

    Its gradient is mapped back to nu and theta once per unroll.
    """

    def allocate(self) -> None:
        modes = self.weights["nu"].shape[-1]
        self.grad_transition = torch.empty(self.members, 2 * modes, 2 * modes, device=self.device)
        self.from_input = self._buffer(2 * modes)

    def begin(self) -> None:
        nu, theta = self.weights["nu"], self.weights["theta"]
        modulus, phase = torch.exp(-torch.exp(nu)), torch.exp(theta)
        self.real, self.imaginary = modulus * torch.cos(phase), modulus * torch.sin(phase)
        self.transition = rotation(self.real, self.imaginary)

    def begin_backward(self) -> None:
        super().begin_backward()
        self.transition_t = self.transition.transpose(1, 2).contiguous()
        self.grad_transition.zero_()

    def forward(
        self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new_state: MemberBatchUnit
    ) -> None:
        torch.bmm(x, self.weights["input"], out=self.from_input)
        torch.baddbmm(self.from_input, state, self.transition, out=new_state)

    def backward(self, at: BackwardStep) -> None:
        torch.bmm(at.grad_new_state, self.transition_t, out=at.grad_state)
        self.through_input(at, at.grad_new_state, bias=None)
        self.grad_transition.baddbmm_(at.state.transpose(1, 2), at.grad_new_state)

    def end(self) -> None:
        modes = self.real.shape[-1]
        blocks = self.grad_transition.diagonal(dim1=1, dim2=2)
        upper = self.grad_transition[:, :modes, modes:].diagonal(dim1=1, dim2=2)
        lower = self.grad_transition[:, modes:, :modes].diagonal(dim1=1, dim2=2)
        grad_real = (blocks[:, :modes] + blocks[:, modes:]).unsqueeze(1)
        grad_imaginary = (upper - lower).unsqueeze(1)
        # d lambda / d nu = -exp(nu) lambda, d lambda / d theta = i exp(theta) lambda.
        decay, phase = torch.exp(self.weights["nu"]), torch.exp(self.weights["theta"])
        along = grad_real * self.real + grad_imaginary * self.imaginary
        across = grad_imaginary * self.real - grad_real * self.imaginary
        self.gradients["nu"].sub_(along * decay)
        self.gradients["theta"].add_(across * phase)


def rotation(real: Tensor, imaginary: Tensor) -> Tensor:
    """The real matrices of complex eigenvalues `[member, 1, mode]`, `[member, 2 mode, 2 mode]`."""
    real, imaginary = torch.diag_embed(real[:, 0]), torch.diag_embed(imaginary[:, 0])
    return torch.cat(
        [torch.cat([real, imaginary], dim=2), torch.cat([-imaginary, real], dim=2)], dim=1
    )


def phases_of_spectrum(values: Tensor, modes: int, generator: Generator) -> Tensor:
    """Initial theta `[1, mode]` for a series `[time, channel]`: where its power is.

    Each mode's phase is drawn from the periodogram (zero-padded, all channels) as if it were a
    density, from half a cycle in the record up to half the sampling rate. A mode that starts
    within about one cycle per record of a frequency finds it by descent; one that starts further
    away rarely does (Rife & Boorstyn 1974 on the threshold of frequency estimation).
    """
    size = 4 * len(values)
    power = torch.fft.rfft(values.double(), n=size, dim=0).abs().square().sum(1)
    power[:2] = 0.0
    cumulated = torch.cumsum(power, 0)
    drawn = torch.rand(modes, generator=generator, dtype=torch.float64) * cumulated[-1]
    line = torch.searchsorted(cumulated, drawn).clamp(2, len(power) - 1)
    return torch.log(2 * math.pi / size * line).float().unsqueeze(0)


def _log_uniform(units: int, bounds: tuple[float, float], generator: Generator) -> Tensor:
    low, high = (math.log(bound) for bound in bounds)
    return torch.empty(1, units).uniform_(low, high, generator=generator)
