"""The shape of a network around its cell: layers, head, and what the output means."""

from models.methods import Ablation, Method, MethodSet, Stage, flag, setting
from models.methods.condition import FEEDS_BACK, TRAINED, AllOf, Is, Selects
from models.methods.values import Choices, Whole


class Residual(Method, name="residual", rank=120, source="Gauthier et al. (2021)"):
    """Residual output: the forecast is the last value plus what the network puts out."""

    kind = "output"
    stage = Stage.OUTPUT
    shapes_forecast = True

    residual: bool = flag(
        "Whether the last value is added to the output, which then is an increment.",
        shared=True,
        when=AllOf(FEEDS_BACK, Selects("cell", "can_add_to_last")),
        without="no last value added to the output",
    )
    scaled_increments: bool = flag(
        "Whether increments are in standard deviations of the training span's.",
        shared=True,
        searched=False,
        when=AllOf(TRAINED, Is("residual", (True,))),
        without="increments in units of the series",
    )

    def check(self, others: MethodSet) -> None:
        if self.scaled_increments and not self.residual:
            raise ValueError(f"scaled_increments needs residual, but got {others}")

    def phrase(self) -> str:
        return "scaled increments" if self.scaled_increments else "residual"


class Scaling(Method, name="scaling", rank=121):
    """How a series is scaled before a forecaster sees it: with or without its mean taken off.

    It is always taken off where zero is far outside the series, see `models.units.FAR_FROM_ZERO`.
    """

    kind = "output"
    stage = Stage.OUTPUT
    is_always_there = True

    offset: bool = flag(
        "Whether the mean is taken off and the output has a bias; without it, zero stays zero.",
        neutral=True,
        without=Ablation("mean taken off, bias in the output", name="no offset"),
    )


class Size(Method, name="size", rank=100):
    """The number of recurrent layers, and of fully connected tanh layers before the output."""

    kind = "network"
    stage = Stage.SIZE
    applies = TRAINED
    is_always_there = True
    shapes_forecast = True

    layers: int = setting(
        Whole(1, 16),
        Choices((1,)),
        "Recurrent layers.",
        neutral=1,
        shared=True,
        without="one recurrent layer",
    )
    head_layers: int = setting(
        Whole(0, 16),
        Choices((0,)),
        "Fully connected tanh layers before the linear output layer.",
        neutral=0,
        shared=True,
        nonlinear=True,
        without=Ablation("a linear output", name="head"),
    )
