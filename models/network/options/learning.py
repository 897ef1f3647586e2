"""What training and fitting have in common: views of the series, and restarts."""

from typing import Any

from models.methods import Ablation, Choices, Method, Stage, Whole, flag, setting
from models.methods.condition import Selects
from models.methods.values import OFF_ON


class TimeReversal(Method, name="time_reversal", label="time reversal", rank=400):
    """Time reversal: every other subsequence is read backwards, a closed form fits both ways."""

    kind = "augmentation"
    stage = Stage.AUGMENTATION

    time_reversal: bool = flag(
        "Whether the training span is read in both directions of time.",
        # Dynamics that lose energy have no mirror image, and without noise that shows in the fit.
        suits=lambda series: (
            OFF_ON if series.is_reversible and not series.is_noise_free else Choices((False,))
        ),
        without=Ablation("read forwards only", name="both ways"),
    )

    def phrase(self) -> str:
        return "both ways in time"


def sign_flag(**more: Any) -> Any:
    """The setting that training shares with regression on nonlinear features; see `setting`."""
    return flag(
        "Whether half of what is trained on, or fitted, is read upside down.",
        name="sign_augmentation",
        stage=Stage.AUGMENTATION,
        searched=False,
        suits=lambda series: OFF_ON if series.is_sign_symmetric else None,
        **more,
    )


class Restarts(Method, name="restarts", rank=320):
    """Restarts: several initialisations within a replica, the best by training loss is kept."""

    kind = "optimiser"
    stage = Stage.OPTIMISER
    applies = Selects("cell", "is_random")
    is_always_there = True

    restarts: int = setting(
        Whole(1, 64),
        Choices((1, 4)),
        "Initialisations of which the best by training loss is kept.",
        neutral=1,
        without="one initialisation",
    )
