"""Names of tensor axes, torch when it is first used, its threads, members as rows, and bounds.

Every docstring in `models` uses these axes:

member   one network; a cohort of P networks has P members, P >= 2
batch    subsequences or start points that are processed side by side
time     steps of the series
channel  value columns
unit     hidden units or state components

Files that declare methods are read to know what a study file may say, which should not take the
seconds that torch needs to start. They import torch and its types from here; a plug-in may import
torch itself.
"""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

if TYPE_CHECKING:
    import torch as torch
    from torch import Generator as Generator
    from torch import Tensor as Tensor
else:

    class _Later:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self._name), attribute)
            setattr(self, attribute, value)  # the next access goes straight to it
            return value

    torch = _Later("torch")
    Generator = Tensor = Any

MemberParameter: TypeAlias = Tensor  # [member, parameter]
MemberTimeChannel: TypeAlias = Tensor  # [member, time, channel]
MemberBatchUnit: TypeAlias = Tensor  # [member, batch, unit]
MemberBatchChannel: TypeAlias = Tensor  # [member, batch, channel]
MemberBatchTimeChannel: TypeAlias = Tensor  # [member, batch, time, channel]
# Contiguous rows over time.
MemberBatchChannelTime: TypeAlias = Tensor  # [member, batch, channel, time]
# Contiguous steps for unrolling.
TimeMemberBatchChannel: TypeAlias = Tensor  # [time, member, batch, channel]

# In training, a fed-back value is held within this many training standard deviations of the
# training mean, so that a network that diverges has gradients of some use.
CLIP_STD = 10.0
# In a free run that is scored or written, it is held within so many, which no series comes near:
# this keeps numbers finite, and no growth is cut. Their squares are finite in single precision.
RUN_BOUND = 1e18


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as all workers do, and give the process its threads back.

    Several would share the sums of linear algebra out, which then round in another way.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def clipped(forecast: Tensor, bound: float = CLIP_STD) -> Tensor:
    """The forecast itself, held in place within a bound, where it was not a number, too."""
    forecast.nan_to_num_(nan=bound, posinf=bound, neginf=-bound)
    return forecast.clamp_(-bound, bound)


class PerMember:
    """What is kept of each member in the attributes that `by_member` names.

    They are tensors whose first axis is the member, lists of one item each, and other `PerMember`.
    """

    by_member: ClassVar[tuple[str, ...]] = ()

    def keep(self, members: Sequence[int]) -> None:
        """Go on with the members at these positions only, in this order; ValueError for none.

        One that is named twice has copies, so that its twin changes nothing of it.
        """
        if not members:
            raise ValueError("at least one member must be kept, but got none")
        for name in self.by_member:
            own = getattr(self, name)
            if isinstance(own, PerMember):
                own.keep(members)
            else:
                setattr(self, name, _rows(own, members))

    def part(self, members: Sequence[int]) -> Self:
        """A copy that has the members at these positions only; ValueError for none.

        What becomes of the copy changes nothing here, and the other way round.
        """
        if not members:
            raise ValueError("a part must have at least one member, but got none")
        part = copy(self)
        for name in self.by_member:
            own = getattr(self, name)
            rows = own.part(members) if isinstance(own, PerMember) else _rows(own, members)
            setattr(part, name, rows)
        return part

    def join(self, other: Self) -> None:
        """Go on with the members of another one as well, behind those that are here.

        Both are parts of one whole, so that they agree in all that is not by member.
        """
        for name in self.by_member:
            own, others = getattr(self, name), getattr(other, name)
            if isinstance(own, PerMember):
                own.join(others)
            else:
                joined = own + others if isinstance(own, list) else torch.cat([own, others])
                setattr(self, name, joined)


def _rows(own: Any, members: Sequence[int]) -> Any:
    if isinstance(own, list):
        return [_copied(own[i]) for i in members]
    # A copy, since it is indexed by a tensor.
    return own[torch.tensor(members, dtype=torch.long)]


def _copied(item: Any) -> Any:
    return item.clone_state() if isinstance(item, torch.Generator) else copy(item)


def in_company(rows: Sequence[int]) -> list[int]:
    """The rows, a single one twice: products of one network alone round differently."""
    return list(rows) * 2 if len(rows) == 1 else list(rows)
