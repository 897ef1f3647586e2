"""What a free run starts from: a window that is read anew for each forecast, or a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from models.methods import Ablation, Method, MethodSet, Selector, Stage, choice, flag, setting
from models.methods.condition import LINEAR, RECURRENT, RUNS_ON_STATE, WITH_WINDOW, AllOf, Is
from models.methods.values import STEPS, Choices
from models.network.options.shape import Residual

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

WARM_UPS = Choices((50, 100, 200, 300))
NOISE_FREE_WARM_UPS = Choices((50, 100))


class Context(Method):
    """What a forecast is made from; a network has exactly one."""

    kind = "context"
    selector: ClassVar[Selector] = Selector(
        name="context",
        stage=Stage.CONTEXT,
        description="What a free run starts from: a warmed-up state, or a window of values.",
        when=RECURRENT,
        ablation=Ablation(
            "windows of 4 from a state of zero",
            {"context": "window", "window_steps": 4, "window_rollout_steps": 16},
        ),
    )
    stage = Stage.CONTEXT
    shapes_forecast = True

    # True values that are read before a free run.
    steps: int


def suited_warm_ups(series: SeriesProperties) -> Choices:
    """Choices of `warm_up_steps` to try on a series.

    A wave whose period is hardly seen: a quarter and half of the training span. Seasons: one to
    four of them. Without noise, few values tell the state. Else the same for every series.
    """
    if series.is_noise_free:
        return NOISE_FREE_WARM_UPS
    if series.period is None:
        return WARM_UPS
    if series.is_wave:
        return Choices(tuple(sorted({max(series.train_steps // n, 1) for n in (4, 2)})))
    return Choices(tuple(round(n * series.period) for n in (1, 2, 4)))


def warm_up_steps(stage: Stage, most: Any = None) -> Any:
    """The setting that a warmed-up network shares with an echo state network; see `setting`."""
    return setting(
        STEPS,
        WARM_UPS,
        "True values that a state reads before a free run.",
        suits=suited_warm_ups,
        shared=True,
        stage=stage,
        most=most,
        name="warm_up_steps",
    )


class WarmedUpState(Context, name="state", rank=110, searched=True):
    """A state that reads true values once before the free run, and is then carried along.

    An autonomous network then runs on its state alone: after the warm-up it reads zeros instead of
    its own output. It starts from what the recurrence leaves after reading the warm-up; or, where
    everything is linear, from the state that explains the warm-up best by least squares.
    """

    applies = RECURRENT

    steps: int = warm_up_steps(Stage.CONTEXT)
    autonomous: bool = flag(
        "Whether a free run goes on from its state alone, and reads nothing after the warm-up.",
        shared=True,
        when=RUNS_ON_STATE,
        without="reads its own forecasts",
    )
    state_estimate: str = choice(
        ("recurrence", "least-squares"),
        "Where the state after the warm-up comes from: the recurrence, or a least-squares fit.",
        shared=True,
        when=AllOf(Is("autonomous", (True,)), LINEAR),
        without=Ablation("state by reading the warm-up", name="state estimate"),
    )

    def check(self, others: MethodSet) -> None:
        if self.state_estimate == "recurrence":
            return
        rest = [method for method in others if method.shapes_forecast]
        if (
            not self.autonomous
            or any(m.is_nonlinear_part() for m in rest)
            or others[Residual].residual
        ):
            raise ValueError(
                'state_estimate "least-squares" needs a linear cell, autonomous, and no residual, '
                f"head_layers or layer_norm, but got {others}"
            )

    def phrase(self) -> str:
        words = [f"warm-up of {self.steps}"]
        if self.autonomous:
            words.append("running on its state")
        if self.state_estimate == "least-squares":
            words.append("state by least squares")
        return ", ".join(words)


class Window(Context, name="window", rank=111, searched=True):
    """A window: the state starts at zero and reads the last values anew for every forecast."""

    steps: int = setting(
        STEPS,
        Choices((4, 16, 64)),
        "True values, and later forecasts, that each forecast is made from.",
        shared=True,
        name="window_steps",
    )

    @classmethod
    def presence(cls) -> AllOf:
        return WITH_WINDOW

    def needs_loop(self) -> bool:
        return True

    def phrase(self) -> str:
        return f"window of {self.steps}"
