"""The squared error: a weighted mean of the one-step error and the free-run error."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from models.methods import Ablation, Method, MethodSet, Stage, choice, flag, setting
from models.methods.condition import (
    BRANCHES,
    TRAINED,
    UNROLLS,
    WITH_STATE,
    WITH_WINDOW,
    Above,
    AllOf,
    Condition,
    Is,
    IsNot,
)
from models.methods.values import SHARE, STEPS, WEIGHT, Choices, FloatRange
from models.network.options.context import Context, WarmedUpState, Window
from models.network.options.hybrid import HYBRIDS
from models.network.options.instance_norm import InstanceNorm

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties


class Rollout(Method):
    """Over how many steps training runs freely; a network has exactly one."""

    kind = "rollout"
    stage = Stage.LOSS
    applies: ClassVar[Condition] = TRAINED
    context: ClassVar[type[Context]]
    is_always_there = True

    steps: int

    def phrase(self) -> str:
        if self.steps == 1:
            return "one-step loss"
        return f"free-running loss over {self.steps} steps"


_ONE_STEP = Ablation(
    "one-step loss on true inputs alone",
    {"rollout_steps": 1, "window_rollout_steps": 1, "teacher_weight": 1.0},
    name="rollout loss",
)


def suited_rollouts(series: SeriesProperties) -> Choices:
    """Choices of `rollout_steps` to try on a series.

    A wave whose period is hardly seen: a quarter and half of the training span. Seasons: a few
    values, one season and two. Else from a single step to 256.
    """
    if series.period is None:
        return Choices((1, 16, 64, 256))
    if series.is_wave:
        return Choices(tuple(sorted({max(series.train_steps // n, 1) for n in (4, 2)})))
    return Choices(tuple(sorted({16, *(round(n * series.period) for n in (1, 2))})))


class StateRollout(Rollout, name="state_rollout", rank=200):
    """The rollout of a network with a warmed-up state."""

    applies = WITH_STATE
    context = WarmedUpState

    steps: int = setting(
        STEPS,
        Choices((1, 16, 64, 256)),
        "Steps that training runs freely after a warm-up.",
        suits=suited_rollouts,
        shared=True,
        without=_ONE_STEP,
        name="rollout_steps",
    )


class WindowRollout(Rollout, name="window_rollout", rank=201):
    """The rollout of a network that reads windows."""

    applies = WITH_WINDOW
    context = Window

    steps: int = setting(
        STEPS,
        Choices((1, 4, 16)),
        "Steps that training runs freely from a window.",
        shared=True,
        name="window_rollout_steps",
    )


class SquaredError(Method, name="squared_error", label="squared error", rank=202):
    """The squared error of one-step forecasts on true inputs, and that of the free run.

    The one-step forecasts are those of the warm-up's second half, which cost nothing more; or those
    of the rollout itself, where a second branch of the network reads the truth beside the free run.
    """

    kind = "loss"
    stage = Stage.LOSS
    applies = TRAINED
    is_always_there = True

    teacher_weight: float = setting(
        SHARE,
        FloatRange(0.0, 1.0),
        "The share of the one-step loss on true inputs; the rest goes to the free-running loss.",
        neutral=1.0,
        when=UNROLLS,
        without=Ablation("free-running loss alone", {"teacher_weight": 0.0}, name="one-step loss"),
    )
    curriculum_fraction: float = setting(
        SHARE,
        FloatRange(0.0, 1.0),
        "The share of training over which the rollout grows from one step to its full length.",
        neutral=0.0,
        when=UNROLLS,
        without=Ablation("the whole rollout from the start", name="curriculum"),
    )
    teacher_span: str = choice(
        ("warm-up", "rollout"),
        "Where the one-step loss is taken: over the warm-up, or beside the free run.",
        shared=True,
        searched=False,
        loops=True,
        when=BRANCHES,
        without="one-step loss over the warm-up",
    )


class ProfessorForcing(
    Method,
    name="professor_forcing",
    label="professor forcing",
    source="Lamb et al. (2016), simplified",
    rank=203,
):
    """Simplified professor forcing: hidden values of the free run match those of teacher forcing.

    The match stands in for the discriminator of the paper, as the recipe "recursive three-loss" of
    chickenbestlover's RNN-Time-series-Anomaly-Detection does. It is the mean squared difference
    between what the top layer puts out in the two branches, before any dropout, whose masks would
    add noise to it that no training can remove. With the free run held fixed, teacher forcing is
    drawn to what the free run does; with none, both give way, as with the paper's two losses of the
    generator.
    """

    kind = "loss"
    stage = Stage.LOSS
    applies = TRAINED

    professor_weight: float = setting(
        WEIGHT,
        FloatRange(0.01, 10.0, log=True),
        "The weight of the match between hidden values; it is added, and no share.",
        neutral=0.0,
        searched=False,
        when=Is("teacher_span", ("rollout",)),
        without="none",
    )
    professor_detach: str = choice(
        ("teacher", "free", "none"),
        "Which branch is held fixed in the match: teacher forcing, the free run, or none.",
        searched=False,
        when=Is("teacher_span", ("rollout",)),
    )


class Stateful(
    Method,
    name="stateful",
    label="stateful truncated back-propagation",
    source="Williams & Peng (1990)",
    rank=204,
):
    """Stateful training: the span is read chunk by chunk, and the state is carried between chunks.

    Truncated back-propagation through time with non-overlapping chunks of the rollout's length.
    """

    kind = "loss"
    stage = Stage.LOSS
    applies = WITH_STATE

    stateful: bool = flag(
        "Whether the state is carried from chunk to chunk of the training span.",
        shared=True,
        searched=False,
        loops=True,
        when=AllOf(
            Above("rollout_steps", 1),
            BRANCHES,
            IsNot("instance_norm", (True,)),
            # A chunk begins with fewer values than an autoregression reads.
            IsNot("hybrid", HYBRIDS[1:]),
        ),
    )

    def check(self, others: MethodSet) -> None:
        if self.stateful and others.find(InstanceNorm):
            raise ValueError(f"instance_norm must not go with stateful, but got {others}")
