"""Parts of a span with gaps: they lie within its pieces, and every place in one can be drawn."""

from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from models.training.batches import Subsequences
from models.training.places import Places
from models.training.subsequence import SubsequenceShape
from models.training.trained_network import TrainedNetwork

Lengths = list[tuple[int, ...]]


def lengths_of(span: int, gaps: list[int]) -> Lengths:
    """A member for each gap, whose span is cut there."""
    return [tuple(own for own in (gap, span - gap) if own) for gap in gaps]


def piece_at(lengths: tuple[int, ...]) -> torch.Tensor:
    return torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))


@settings(deadline=None)
@given(steps=st.integers(1, 9), more=st.integers(9, 30), data=st.data())
def test_the_positions_are_those_that_cross_no_gap(
    steps: int, more: int, data: st.DataObject
) -> None:
    span = steps + more
    # At least one piece has room.
    gaps = data.draw(st.lists(st.integers(0, span), min_size=1, max_size=4))
    lengths = [own for own in lengths_of(span, gaps) if max(own) >= steps] or [(span,)]
    places = Places(lengths, steps)
    spread = places.spread(5)
    for member, own in enumerate(lengths):
        piece = piece_at(own)
        allowed = [s for s in range(span - steps + 1) if piece[s] == piece[s + steps - 1]]
        assert places.counts[member] == len(allowed)
        numbers = torch.arange(len(allowed)).expand(len(lengths), -1)
        numbers = torch.minimum(numbers, places.counts.unsqueeze(1) - 1)
        assert places.positions(numbers)[member].tolist() == allowed
        assert set(spread[member].tolist()) <= set(allowed)
        assert spread[member].max() == allowed[-1]


@settings(deadline=None, max_examples=40)
@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=3),
    rollout=st.integers(1, 9),
    is_stateful=st.booleans(),
    reversal=st.booleans(),
)
def test_no_subsequence_and_no_stream_crosses_a_gap(
    make_candidate: Callable[..., TrainedNetwork],
    gaps: list[int],
    rollout: int,
    is_stateful: bool,
    reversal: bool,
) -> None:
    chosen = {"context": "state", "stateful": True} if is_stateful else {}
    candidate = make_candidate(
        rollout_steps=rollout, batch_size=4, training_steps=60, time_reversal=reversal, **chosen
    )
    shape = SubsequenceShape.of_training(candidate)
    lengths = lengths_of(40, gaps)
    generators = [Generator().manual_seed(seed) for seed in range(len(gaps))]
    found = Subsequences([candidate] * len(gaps), shape, lengths, generators)
    positions = torch.stack([found.positions(step) for step in range(60)])
    for member, own in enumerate(lengths):
        pieces = piece_at(own)[positions[:, member]]  # [step, batch, time]
        assert (pieces == pieces[..., :1]).all()
        # A state is carried within a piece alone, and on from where it was left.
        carried = ~found.fresh[member, 1:]
        before, now = positions[:-1, member], positions[1:, member]
        assert torch.equal(now[..., 0][carried], before[..., -1][carried])
        # Every piece that has room is trained on.
        rooms = [piece for piece, length in enumerate(own) if length >= shape.steps + 4]
        assert set(rooms) <= set(pieces.unique().tolist())


def test_a_member_with_a_gap_changes_nothing_of_one_without(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(context="state", stateful=True, training_steps=30)
    shape = SubsequenceShape.of_training(candidate)

    def found(lengths: Lengths) -> Subsequences:
        generators = [Generator().manual_seed(7) for _ in lengths]
        return Subsequences([candidate] * len(lengths), shape, lengths, generators)

    alone, together = found([(40,)]), found([(40,), (11, 29), (3, 37)])
    for step in range(30):
        assert torch.equal(alone.positions(step)[0], together.positions(step)[0])
