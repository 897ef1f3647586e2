"""A candidate: the architecture and the training strategy that one trial samples."""

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

FittedCellName = Literal["esn", "nvar", "ar", "ssa"]
CellName = Literal[
    "rnn",
    "gru",
    "lstm",
    "lru",
    "cornn",
    "lem",
    "antisymmetric",
    "orthogonal",
    "shplrnn",
    "mlp",
    "esn",
    "nvar",
    "ar",
    "ssa",
]
ContextName = Literal["window", "state"]
ScheduleName = Literal["constant", "cosine"]
PhasesName = Literal["random", "spectrum"]
TeacherSpanName = Literal["warm-up", "rollout"]
DetachName = Literal["teacher", "free", "none"]
StateEstimateName = Literal["recurrence", "least-squares"]
ForcingName = Literal[
    "none",
    "scheduled-linear",
    "scheduled-exponential",
    "scheduled-sigmoid",
    "increasing",
    "generalised",
    "adaptive",
    "sparse",
]
AverageName = Literal["none", "exponential", "tail"]
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

    `reflections` and `expanded_units` are sizes of the orthogonal and of the shallow
    piecewise-linear cell, which no other cell has. The window MLP reads its `window` in one step,
    and has no state to warm up. With `layer_norm` each layer's output is normalised on its way up,
    see `LayerNorm`; with `instance_norm` values are read and forecast in standard deviations from
    the mean of their own context, see `InstanceScale`. A `residual` forecast is the last value plus
    an increment; `scaled_increments` are in standard deviations of the training span's.

    Of cells that are fitted in closed form, `units` counts the units of an echo state network or
    the delays of an NVAR, and `context_steps` the values that a free run starts from: an AR's
    order, the window of an SSA. `fan_in` is the number of units that each unit of an echo state
    network reads, `delay_stride` the steps from one delay of an NVAR to the next, and `degree` that
    of its monomials.

    Raises ValueError where least squares are asked for of what is not linear, for a window MLP with
    another context, and for scaled increments of what has none.
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
    reflections: int = 8
    expanded_units: int = 64
    layer_norm: bool = False
    instance_norm: bool = False
    scaled_increments: bool = False
    fan_in: int = 1
    delay_stride: int = 1
    degree: int = 1

    def __post_init__(self) -> None:
        is_linear = self.has_linear_layers and not self.residual
        if self.estimates_state and not (is_linear and self.autonomous and self.context == "state"):
            raise ValueError(
                'state_estimate "least-squares" must go with cell "lru", context "state", '
                f"autonomous, no residual, no head_layers and no layer_norm, but got {self}"
            )
        if self.reads_whole_window and self.context != "window":
            raise ValueError(f'cell "mlp" must go with context "window", but got {self}')
        if self.scaled_increments and not self.residual:
            raise ValueError(f"scaled_increments must go with residual, but got {self}")

    @property
    def reads_whole_window(self) -> bool:
        """Whether a window is read in one step, and not value by value."""
        return self.cell == "mlp"

    @property
    def has_linear_layers(self) -> bool:
        """Whether everything between the value that is read and the forecast is linear."""
        return self.cell == "lru" and self.head_layers == 0 and not self.layer_norm

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

    `forcing` says how much of the truth a free run reads in training, with one number for each
    kind: see `models.forcing`. Its first `pushforward_steps` are run without a gradient and do not
    count. With `data_as_demonstrator`, no gradient flows through the values that are fed back.
    With a `growth_penalty`, a second free run starts beside the first from a displaced value, and
    `growth_weight` holds the two at their distance: see `models.losses.growth`.

    `velocity_weight`, `spectral_weight` and `amplitude_weight` add further losses of the free run,
    see `models.losses`; they are no shares either.

    `state_noise_std` is noise on the state that is carried from step to step, in the state's own
    units; `sign_augmentation` and `scale_augmentation_std` train on multiples of the series, see
    `Augmentation`. `weight_average` is what is scored and exported instead of the last weights,
    over `average_fraction` of training: see `Averages`.

    What begins with a cell's name are that cell's knobs, which are not trained; see there. They are
    here and not in the architecture since members of one cohort may differ in them.

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
    growth_penalty: bool = False
    growth_weight: float = 0.0
    forcing: ForcingName = "none"
    forcing_midpoint: float = 0.25
    forcing_strength: float = 0.2
    forcing_interval: int = 16
    pushforward_steps: int = 0
    data_as_demonstrator: bool = False
    velocity_weight: float = 0.0
    spectral_weight: float = 0.0
    amplitude_weight: float = 0.0
    sign_augmentation: bool = False
    scale_augmentation_std: float = 0.0
    state_noise_std: float = 0.0
    weight_average: AverageName = "none"
    average_fraction: float = 0.1
    cornn_step: float = 0.06
    cornn_stiffness: float = 10.0
    cornn_damping: float = 1.0
    lem_step: float = 1.0
    antisymmetric_step: float = 0.1
    antisymmetric_diffusion: float = 0.01
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

    Raises ValueError where training asks more of a state by least squares than to run freely, and
    where a state is carried between segments that are normalised each by itself.
    """

    architecture: Architecture
    strategy: Strategy
    restarts: int

    def __post_init__(self) -> None:
        if self.architecture.estimates_state and not self.is_linear:
            raise ValueError(
                'state_estimate "least-squares" must go with a strategy that runs freely and needs '
                "no loop over time (no second branch, no forcing, no dropout, no state noise), "
                f"but got {self.strategy}"
            )
        if self.architecture.instance_norm and self.carries_state:
            raise ValueError(f"instance_norm must not go with stateful, but got {self}")

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
        """How often training runs its segments: freely, once or twice, and last on the truth."""
        return self.free_branches + self.has_teacher_branch

    @property
    def free_branches(self) -> int:
        """Free runs of each segment: a second one is displaced, for the growth penalty."""
        return 2 if self.strategy.growth_penalty else 1

    @property
    def has_teacher_branch(self) -> bool:
        """Whether the truth is read beside the free run.

        For its loss, or for the state that the next chunk starts from.
        """
        return self.strategy.teacher_span == "rollout" or self.carries_state

    @property
    def is_linear(self) -> bool:
        """Whether training is linear in the values that are read, and needs no loop over time.

        Reading some of the truth would be linear as well, but that run is not written down.
        """
        architecture, strategy = self.architecture, self.strategy
        return (
            architecture.has_linear_layers
            and architecture.context == "state"
            and self.branches == 1
            and strategy.dropout == 0.0
            and strategy.state_noise_std == 0.0
            and strategy.forcing == "none"
            and strategy.pushforward_steps == 0
            and not strategy.data_as_demonstrator
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
            strategy.growth_penalty,
            self.is_linear,
        )
