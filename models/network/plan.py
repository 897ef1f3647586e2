"""Which value is read at each step of an unroll, when the state is reset, what is forecast."""

from __future__ import annotations

from dataclasses import dataclass

from models.network.architecture import Architecture
from models.tensors import MemberBatchChannel, TimeMemberBatchChannel


@dataclass(frozen=True)
class Step:
    """One step of an unroll.

    `reads` is the position of the value that is read, counted from the first warm-up value:
    below the warm-up's length it is the truth, from there on what stands in for it.
    `emits` is the position that is forecast, or None where nothing is asked for. `count` values are
    read at once, the first of them at `reads`.
    """

    reads: int
    reset: bool
    emits: int | None
    count: int = 1

    @property
    def newest(self) -> int:
        """The last position that is read."""
        return self.reads + self.count - 1

    def read(self, values: TimeMemberBatchChannel) -> MemberBatchChannel:
        """What is read of the values by position; several lie one after another, oldest first."""
        if self.count == 1:
            return values[self.reads]
        return values[self.reads : self.reads + self.count].permute(1, 2, 0, 3).flatten(2)


def plan(
    architecture: Architecture,
    warm_up: int,
    rollout_steps: int,
    one_step_from: int,
    *,
    carries_state: bool = False,
) -> list[Step]:
    """The steps of a warm-up followed by a rollout of `rollout_steps`.

    A warmed-up state reads each value once, and from position `one_step_from` on forecasts during
    the warm-up too; with `carries_state` it is not reset at the start. A window is read anew, from
    a state of zero, for every forecast: value by value, or as a whole in one step.
    """
    if architecture.core.reads_whole_window:
        return [
            Step(reads=start, reset=True, emits=start + warm_up, count=warm_up)
            for start in range(rollout_steps)
        ]
    if architecture.has_state:
        return [
            Step(
                reads=i,
                reset=i == 0 and not carries_state,
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
