"""Names of tensor axes, written once; every docstring in `models` uses them.

member   one network; a cohort of P networks has P members, P >= 2
batch    subsequences or start points that are processed side by side
time     steps of the series
channel  value columns
unit     hidden units or state components
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Generator as Generator
    from torch import Tensor as Tensor
else:
    # Types alone: files that declare methods are read without torch, see `models.later`.
    Generator = Tensor = Any

MemberParameter: TypeAlias = "Tensor"  # [member, parameter]
MemberTimeChannel: TypeAlias = "Tensor"  # [member, time, channel]
MemberBatchUnit: TypeAlias = "Tensor"  # [member, batch, unit]
MemberBatchChannel: TypeAlias = "Tensor"  # [member, batch, channel]
MemberBatchTimeChannel: TypeAlias = "Tensor"  # [member, batch, time, channel]
# Contiguous rows over time.
MemberBatchChannelTime: TypeAlias = "Tensor"  # [member, batch, channel, time]
# Contiguous steps for unrolling.
TimeMemberBatchChannel: TypeAlias = "Tensor"  # [time, member, batch, channel]
