"""Which value is read at each step of a free run, when the state is reset, what is forecast."""

from dataclasses import dataclass

from models.candidate import Architecture


@dataclass(frozen=True)
class Step:
    """One step of an unroll.

    `reads` is the position of the value that is read, counted from the first warm-up value:
    below the warm-up's length it is the truth, from there on the forecaster's own output. None
    stands for reading zero.
    `emits` is the position that is forecast, or None where nothing is asked for.
    """

    reads: int | None
    reset: bool
    emits: int | None


def plan(architecture: Architecture, rollout_steps: int, one_step_from: int) -> list[Step]:
    """The steps of a warm-up followed by a free run of `rollout_steps`.

    A warmed-up state reads each value once, and from position `one_step_from` on forecasts during
    the warm-up too. A window reads its values anew, from a state of zero, for every forecast.
    """
    warm_up = architecture.context_steps
    if architecture.context == "state":
        return [
            Step(
                reads=None if architecture.autonomous and i >= warm_up else i,
                reset=i == 0,
                emits=i + 1 if i + 1 >= one_step_from else None,
            )
            for i in range(warm_up + rollout_steps - 1)
        ]
    return [
        Step(
            reads=start + i,
            reset=i == 0,
            emits=start + warm_up if i == warm_up - 1 else None,
        )
        for start in range(rollout_steps)
        for i in range(warm_up)
    ]
