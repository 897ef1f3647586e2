"""A candidate: the architecture and the training strategy that one trial samples."""

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

CellName = Literal["rnn", "gru", "lstm", "lru"]
ContextName = Literal["window", "state"]
ScheduleName = Literal["constant", "cosine"]
PhasesName = Literal["random", "spectrum"]


@dataclass(frozen=True)
class Architecture:
    """What the network is.

    `units` counts hidden units per layer; for the linear recurrent unit it counts complex modes.
    With a `window` context the state starts at zero and reads the last `context_steps` values
    anew for every forecast; with a `state` context it is warmed up on `context_steps` true values
    once and then carried along. An `autonomous` forecaster then runs on its state alone: after the
    warm-up it reads zeros instead of its own output (a `state` context only).
    """

    cell: CellName
    units: int
    layers: int
    head_layers: int
    residual: bool
    context: ContextName
    context_steps: int
    autonomous: bool = False


@dataclass(frozen=True)
class Strategy:
    """How the network is trained. Noise is in units of the training span's standard deviation.

    `teacher_weight` is the share of the one-step loss on true inputs, the rest goes to the
    free-running loss over `rollout_steps`; the rollout grows from one step to its full length
    over the first `curriculum_fraction` of training. With `time_reversal`, every other segment is
    read backwards. `initial_phases` are those of the linear recurrent unit: spread evenly over all
    time scales, or drawn where the training span has its power. Without `offset` the series keeps
    its own zero: no mean is taken off it, and the output has no bias.
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


@dataclass(frozen=True)
class Candidate:
    """An architecture, a strategy, and the number of initialisations tried inside a replica."""

    architecture: Architecture
    strategy: Strategy
    restarts: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Candidate":
        """Rebuild what `to_dict` wrote; unknown or missing fields raise TypeError or KeyError."""
        return cls(
            architecture=Architecture(**plain["architecture"]),
            strategy=Strategy(**plain["strategy"]),
            restarts=plain["restarts"],
        )

    def cohort_key(self) -> Hashable:
        """What must be equal for two candidates to train as one batched computation."""
        strategy = self.strategy
        return (
            self.architecture,
            strategy.rollout_steps,
            strategy.training_steps,
            strategy.batch_size,
        )
