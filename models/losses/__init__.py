"""Losses of the free run beside its squared errors, one a file.

Each takes forecast and truth over the rollout, and the window of steps that count, and returns the
gradient of the loss with respect to the forecast, all `[member, batch, channel, time]`: written by
hand, since the rest of the backward step is, and member by member, bit for bit.
"""

from collections.abc import Callable

from models.axes import MemberBatchChannelTime
from models.losses.amplitude import amplitude
from models.losses.spectral import spectral
from models.losses.velocity import velocity
from models.losses.window import Window

Loss = Callable[[MemberBatchChannelTime, MemberBatchChannelTime, Window], MemberBatchChannelTime]

# By the name of their weight: `velocity_weight` is that of `velocity`.
LOSSES: dict[str, Loss] = {"velocity": velocity, "spectral": spectral, "amplitude": amplitude}

__all__ = ["LOSSES", "Loss", "Window"]
