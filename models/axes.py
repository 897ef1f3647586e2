"""Names of tensor axes, written once; every docstring in `models` uses them.

member   one network; a cohort of P networks has P members, P >= 2
batch    segments or start points that are processed side by side
time     steps of the series
channel  value columns
unit     hidden units or state components
"""

from torch import Tensor

MemberParameter = Tensor  # [member, parameter]
MemberTimeChannel = Tensor  # [member, time, channel]
MemberBatchUnit = Tensor  # [member, batch, unit]
MemberBatchChannel = Tensor  # [member, batch, channel]
MemberBatchTimeChannel = Tensor  # [member, batch, time, channel]
MemberBatchChannelTime = Tensor  # [member, batch, channel, time]: contiguous rows over time
TimeMemberBatchChannel = Tensor  # [time, member, batch, channel]: contiguous steps for unrolling
