"""Names of tensor axes, and torch, imported when it is first used.

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

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Generator as Generator
    from torch import Tensor as Tensor
else:
    # Types alone: files that declare methods are read without torch, see `models.tensors`.
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


if TYPE_CHECKING:
    import torch as torch
else:

    class _Later:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self._name), attribute)
            setattr(self, attribute, value)  # the next access goes straight to it
            return value

    torch = _Later("torch")
