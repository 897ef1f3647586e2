"""Where parts of a training span may lie: within one of its pieces, never across a gap."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.tensors import PerMember


class Places(PerMember):
    """The positions in each member's span at which a part of so many steps can start.

    pieces: by member, the lengths of the stretches without a gap that its span consists of, in the
    order of time. steps: of a part; at least one piece of each
    member has room for one, and pieces without room have no position.

    ends: the last position of a part in each member's span if that had no gap, `[member]`.
    counts: how many positions there are, `[member]`. firsts, lasts: the first and the last position
    in each piece that has room, `[member, piece]`; used: how many of these there are, `[member]`.
    Rows of members with fewer pieces are filled up with their last one.
    """

    by_member = ("ends", "counts", "firsts", "lasts", "used")

    def __init__(self, pieces: Sequence[Sequence[int]], steps: int) -> None:
        self.ends = torch.tensor([sum(own) - steps for own in pieces])
        rows = [_rooms(own, steps) for own in pieces]
        most = max(len(row) for row in rows)
        filled = [row + row[-1:] * (most - len(row)) for row in rows]
        self.firsts = torch.tensor([[first for first, _ in row] for row in filled])
        self.lasts = torch.tensor([[last for _, last in row] for row in filled])
        self.used = torch.tensor([len(row) for row in rows])
        self.counts = torch.tensor([sum(last - first + 1 for first, last in row) for row in rows])

    def piece_of(self, numbers: Tensor) -> Tensor:
        """In which piece, of those with room, the positions of these numbers are.

        numbers: `[member, *]`, from 0 up to the member's count.
        """
        piece = torch.zeros_like(numbers)
        for before in self._before()[:, 1:].T:
            piece += numbers >= before.view(-1, *[1] * (numbers.dim() - 1))
        return piece

    def positions(self, numbers: Tensor) -> Tensor:
        """The positions of these numbers, counted from the span's start; see `piece_of`."""
        member = torch.arange(len(numbers)).view(-1, *[1] * (numbers.dim() - 1))
        piece = self.piece_of(numbers)
        return numbers + (self.firsts - self._before())[member, piece]

    def spread(self, count: int) -> Tensor:
        """Evenly spread positions `[member, place]`, at most `count`; some twice where few are."""
        count = min(count, int(self.ends.max()) + 1)
        numbers = [torch.linspace(0, own - 1, count).round().long() for own in self.counts.tolist()]
        return self.positions(torch.stack(numbers))

    def _before(self) -> Tensor:
        """How many positions there are before each piece, `[member, piece]`; no number gets to
        those that are filled up.
        """
        rooms = self.lasts - self.firsts + 1
        before = rooms.cumsum(1) - rooms
        is_filled = torch.arange(before.shape[1]) >= self.used.unsqueeze(1)
        return before.masked_fill(is_filled, torch.iinfo(torch.long).max)


def _rooms(lengths: Sequence[int], steps: int) -> list[tuple[int, int]]:
    """First and last position in each piece that is long enough."""
    rooms, begins = [], 0
    for length in lengths:
        if length >= steps:
            rooms.append((begins, begins + length - steps))
        begins += length
    return rooms
