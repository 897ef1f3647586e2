"""What makes a forecast at the core of a candidate: a recurrent cell, or a closed form."""

from __future__ import annotations

from typing import Any, ClassVar

from models.methods.method import Method, Selector
from models.methods.setting import Ablation, Stage


class Core(Method):
    """A cell or a closed form; a candidate has exactly one, which the setting `cell` names.

    The attributes say what it can do; conditions ask for them by their names, see `Selects`.
    """

    selector: ClassVar[Selector] = Selector(
        name="cell",
        stage=Stage.CELL,
        description="The recurrent cell of a network, or the closed form that is fitted.",
        ablation=Ablation("RNN cells of 16 units", {"cell": "rnn", "hidden_units": 16}),
    )
    shapes_forecast = True

    # It is trained by gradient descent, and not fitted.
    is_trained: ClassVar[bool] = False
    # Its state and its output are linear functions of what it reads.
    is_linear: ClassVar[bool] = False
    # It is trained, and not linear.
    is_nonlinear: ClassVar[bool] = False
    # It is trained, and reads value by value; one that is not reads a whole window in one step.
    is_recurrent: ClassVar[bool] = False
    reads_whole_window: ClassVar[bool] = False
    # Its state goes on by itself when nothing is read; that of a gated cell fades.
    runs_on_state: ClassVar[bool] = False
    # It is warmed up on the values before a free run, as a state is.
    is_warmed_up: ClassVar[bool] = False
    # Two initialisations of the same settings differ.
    is_random: ClassVar[bool] = False
    # It can forecast changes from the last value instead of values.
    can_add_to_last: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.is_trained:
            cls.is_nonlinear = not cls.is_linear
            cls.is_recurrent = not cls.reads_whole_window

    def is_nonlinear_part(self) -> bool:
        return not self.is_linear

    def needs_loop(self) -> bool:
        return not self.is_linear

    @property
    def own_context_steps(self) -> int | None:
        """True values that are read before a free run; None where a context says so."""
        return None

    def size(self) -> str:
        """The size in words: "16 units"."""
        raise NotImplementedError
