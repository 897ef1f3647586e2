"""The steps of a walk over time: what each reads, where its state comes from, what it forecasts."""

from __future__ import annotations

from dataclasses import dataclass

from models.network.architecture import Architecture
from models.network.options.segments import padded
from models.tensors import MemberBatchChannel, TimeMemberBatchChannel


@dataclass(frozen=True)
class Step:
    """One step of a walk. Positions are those of segments, single values where they have one step.

    `reads` is the position that is read, counted from the first of the warm-up: below the warm-up's
    length it is the truth, from there on what stands in for it. `count` segments are read at once,
    the first of them at `reads`. `emits` is the position that is forecast, or None where nothing is
    asked for. The step starts from a state of zero with `reset`, else from the state after the step
    with the index `follows`, None for the one before.

    A step of parallel decoding reads the embedding number `embeds` instead, and `reads` is the last
    position that was read before it. is_followed: whether a later step names this one.
    """

    reads: int
    reset: bool
    emits: int | None
    count: int = 1
    follows: int | None = None
    embeds: int | None = None
    is_followed: bool = False

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
    """The steps of a warm-up over `warm_up` values, then of a rollout over `rollout_steps`.

    A warmed-up state reads each segment once, and from value `one_step_from` on forecasts during
    the warm-up too; with `carries_state` it is not reset at the start. A window is read anew, from
    a state of zero, for every forecast: segment by segment, or as a whole in one step. Parallel
    decoding never forecasts during the warm-up. warm_up, one_step_from: multiples of a segment.
    """
    segment = architecture.segment_steps
    read, rollout = warm_up // segment, padded(rollout_steps, segment) // segment
    if architecture.core.reads_whole_window:
        return [
            Step(reads=start, reset=True, emits=start + read, count=read)
            for start in range(rollout)
        ]
    if architecture.parallel_segments is not None:
        return _parallel(architecture, read, rollout, architecture.parallel_segments)
    if architecture.has_state:
        first = one_step_from // segment
        return [
            Step(
                reads=i,
                reset=i == 0 and not carries_state,
                emits=i + 1 if i + 1 >= first else None,
            )
            for i in range(read + rollout - 1)
        ]
    return [
        Step(reads=start + i, reset=i == 0, emits=start + read if i == read - 1 else None)
        for start in range(rollout)
        for i in range(read)
    ]


def _parallel(architecture: Architecture, read: int, rollout: int, together: int) -> list[Step]:
    """Blocks of `together` segments that are decoded from one state, each after a warm-up.

    A warmed-up state reads on where it was; a window is read anew for each block.
    """
    steps: list[Step] = []
    state: int | None = None  # the index of the step whose state the last block was decoded from
    for done in range(0, rollout, together):
        fresh = state is None or not architecture.has_state
        first = done if fresh else read + done - together
        for position in range(first, read + done):
            begins = position == first
            steps.append(
                Step(
                    reads=position,
                    reset=begins and fresh,
                    emits=None,
                    follows=state if begins and not fresh else None,
                    is_followed=position == read + done - 1,
                )
            )
        state = len(steps) - 1
        steps += [
            Step(
                reads=read + done - 1,
                reset=False,
                emits=read + done + number,
                follows=state,
                embeds=number,
            )
            for number in range(min(together, rollout - done))
        ]
    return steps
