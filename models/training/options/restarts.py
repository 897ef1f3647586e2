"""Several initialisations of a network, of which the best by training loss is kept."""

from __future__ import annotations

from models.methods import Choices, Method, Selects, Stage, Whole, setting


class Restarts(Method, name="restarts", rank=320):
    """Restarts: several initialisations within a replica, the best by training loss is kept."""

    kind = "optimiser"
    stage = Stage.OPTIMISER
    applies = Selects("cell", "is_random")
    is_always_there = True

    restarts: int = setting(
        Whole(1, 64),
        Choices((1, 2, 4, 8)),
        "Initialisations of which the best by training loss is kept.",
        neutral=1,
        without="one initialisation",
    )
