"""A candidate: the architecture and the training strategy that one trial samples."""

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

FittedCellName = Literal["esn", "nvar", "ar", "ssa"]
CellName = Literal["rnn", "gru", "lstm", "lru", "esn", "nvar", "ar", "ssa"]
ContextName = Literal["window", "state"]
ScheduleName = Literal["constant", "cosine"]
PhasesName = Literal["random", "spectrum"]
TeacherSpanName = Literal["warm-up", "rollout"]
DetachName = Literal["teacher", "free", "none"]
StateEstimateName = Literal["recurrence", "least-squares"]
RegularisationName = Literal["given", "held-out"]

# Cells of forecasters that are fitted in closed form, see `models.closed_form`.
FITTED_CELLS: tuple[str, ...] = get_args(FittedCellName)


@dataclass(frozen=True)
class Architecture:
    """What the network is.

    `units` counts hidden units per layer; for the linear recurrent unit it counts complex modes.
    With a `window` context the state starts at zero and reads the last `context_steps` values
    anew for every forecast; with a `state` context it is warmed up on `context_steps` true values
    once and then carried along. An `autonomous` forecaster then runs on its state alone: after the
    warm-up it reads zeros instead of its own output (a `state` context only). What it starts from
    is what the `recurrence` leaves after reading the warm-up; or, where everything is linear, the
    state that explains the warm-up best, by `least-squares` (see `EstimatedRun`).

    Of cells that are fitted in closed form, `units` counts the units of an echo state network or
    the delays of an NVAR, and `context_steps` the values that a free run starts from: an AR's
    order, the window of an SSA. `fan_in` is the number of units that each unit of an echo state
    network reads, `delay_stride` the steps from one delay of an NVAR to the next, and `degree` that
    of its monomials.

    Raises ValueError where least squares are asked for of what is not linear.
    """

    cell: CellName
    units: int
    layers: int
    head_layers: int
    residual: bool
    context: ContextName
    context_steps: int
    autonomous: bool = False
    state_estimate: StateEstimateName = "recurrence"
    fan_in: int = 1
    delay_stride: int = 1
    degree: int = 1

    def __post_init__(self) -> None:
        is_linear = self.cell == "lru" and self.head_layers == 0 and not self.residual
        if self.estimates_state and not (is_linear and self.autonomous and self.context == "state"):
            raise ValueError(
                'state_estimate "least-squares" must go with cell "lru", context "state", '
                f"autonomous, no residual and no head_layers, but got {self}"
            )

    @property
    def is_fitted(self) -> bool:
        """Whether it is fitted in closed form instead of being trained by gradient descent."""
        return self.cell in FITTED_CELLS

    @property
    def estimates_state(self) -> bool:
        """Whether the state after the warm-up is found by least squares."""
        return self.state_estimate == "least-squares"


@dataclass(frozen=True)
class Strategy:
    """How the network is trained. Noise is in units of the training span's standard deviation.

    `teacher_weight` is the share of the one-step loss on true inputs, the rest goes to the
    free-running loss over `rollout_steps`; the rollout grows from one step to its full length
    over the first `curriculum_fraction` of training. With `time_reversal`, every other segment is
    read backwards. `initial_phases` are those of the linear recurrent unit: spread evenly over all
    time scales, or drawn where the training span has its power. Without `offset` the series keeps
    its own zero: no mean is taken off it, and the output has no bias. Without `damping` the
    eigenvalues of a linear recurrent unit stay on the unit circle: its modes never die away.

    `teacher_span` is where the one-step loss is taken: over the warm-up's second half, which costs
    nothing more; or over the `rollout` itself, where a second branch of the network reads the truth
    beside the free run. Only then is there something that the free run's hidden values can be
    matched with, and `professor_weight` (which is no share, but added) has an effect:
    simplified professor forcing, see `Objective`. `professor_detach` names the branch that is held
    fixed in the match: the `teacher`, the `free` run, or `none` of them.

    A `stateful` candidate of a `state` context walks through the training span in chunks of
    `rollout_steps` and carries its state from chunk to chunk, see `Segments`. `dropout` is the rate
    at which the inputs of the upper layers and of the head are zeroed in training, see `Dropout`.

    What is fitted in closed form is held back by `ridge`, the weight of its squared coefficients
    beside its mean squared error, or by `ssa_rank`, the components that an SSA keeps: as given, or
    (`regularisation` "held-out") as runs freely best over the end of the training span, see
    `Fitting`. With `time_reversal` the span is fitted in both directions of time at once. An echo
    state network has the `spectral_radius` of its connections, bounds of what units are driven by
    (`input_scaling`, `bias_scaling`) and the `leak_rate` at which they forget.
    """

    rollout_steps: int
    teacher_weight: float
    curriculum_fraction: float
    input_noise_std: float
    feedback_noise_std: float
    output_noise_std: float
    label_noise_std: float
    learning_rate: float
    weight_decay: float
    clip_norm: float
    schedule: ScheduleName
    training_steps: int
    batch_size: int
    time_reversal: bool = False
    initial_phases: PhasesName = "random"
    offset: bool = True
    damping: bool = True
    teacher_span: TeacherSpanName = "warm-up"
    professor_weight: float = 0.0
    professor_detach: DetachName = "teacher"
    stateful: bool = False
    dropout: float = 0.0
    regularisation: RegularisationName = "given"
    ridge: float = 0.0
    ssa_rank: int = 1
    spectral_radius: float = 1.0
    input_scaling: float = 1.0
    bias_scaling: float = 0.0
    leak_rate: float = 1.0


@dataclass(frozen=True)
class Candidate:
    """An architecture, a strategy, and the number of initialisations tried inside a replica.

    Raises ValueError where training asks more of a state by least squares than to run freely.
    """

    architecture: Architecture
    strategy: Strategy
    restarts: int

    def __post_init__(self) -> None:
        if self.architecture.estimates_state and not self.is_linear:
            raise ValueError(
                'state_estimate "least-squares" must go with teacher_span "warm-up", not stateful '
                f"and no dropout, but got {self.strategy}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Candidate":
        """Rebuild what `to_dict` wrote; TypeError, KeyError or ValueError where it can't be."""
        return cls(
            architecture=Architecture(**plain["architecture"]),
            strategy=Strategy(**plain["strategy"]),
            restarts=plain["restarts"],
        )

    @property
    def least_steps(self) -> int:
        """The fewest values that a training span must have.

        A closed form fits what follows its context within the first three quarters of them.
        """
        context_steps = self.architecture.context_steps
        if self.architecture.is_fitted:
            return max(2 * context_steps, 3)
        return context_steps + self.strategy.rollout_steps

    @property
    def carries_state(self) -> bool:
        """Whether training carries the state from chunk to chunk; a window has none to carry."""
        return self.strategy.stateful and self.architecture.context == "state"

    @property
    def branches(self) -> int:
        """How often training runs its segments: on its own output, and beside it on the truth.

        The second branch is there for its loss, or for the state that the next chunk starts from.
        """
        return 2 if self.strategy.teacher_span == "rollout" or self.carries_state else 1

    @property
    def is_linear(self) -> bool:
        """Whether training is linear in the values that are read, and needs no loop over time."""
        architecture = self.architecture
        return (
            architecture.cell == "lru"
            and architecture.head_layers == 0
            and architecture.context == "state"
            and self.branches == 1
            and self.strategy.dropout == 0.0
        )

    def cohort_key(self) -> Hashable:
        """What must be equal for two candidates to train as one batched computation."""
        strategy = self.strategy
        return (
            self.architecture,
            strategy.rollout_steps,
            strategy.training_steps,
            strategy.batch_size,
            strategy.teacher_span,
            strategy.stateful,
            self.is_linear,
        )
