"""How many layers a network has, and what turns the top one's output into a forecast."""

from __future__ import annotations

from models.methods import Ablation, Choices, Method, Stage, Whole, setting
from models.methods.when import TRAINED


class Size(Method, name="size", rank=100):
    """The number of recurrent layers, and of fully connected tanh layers before the output."""

    kind = "network"
    stage = Stage.SIZE
    applies = TRAINED
    is_always_there = True
    shapes_forecast = True

    layers: int = setting(
        Whole(1, 16),
        Choices((1, 2)),
        "Recurrent layers.",
        neutral=1,
        shared=True,
        without="one recurrent layer",
    )
    head_layers: int = setting(
        Whole(0, 16),
        Choices((0, 1)),
        "Fully connected tanh layers before the linear output layer.",
        neutral=0,
        shared=True,
        without=Ablation("a linear output", name="head"),
    )

    def is_nonlinear_part(self) -> bool:
        return self.head_layers > 0

    def needs_loop(self) -> bool:
        return self.is_nonlinear_part()
