"""The bound that free runs are held within, so that every number of a score is finite."""

from __future__ import annotations

from models.tensors import Tensor

# A fed-back value is held within this many training standard deviations of the training mean:
# scores clip the forecast there, and finite inputs keep every later number finite.
CLIP_STD = 10.0


def clipped(forecast: Tensor) -> Tensor:
    """The forecast itself, held in place within the clip, where it was not a number, too."""
    forecast.nan_to_num_(nan=CLIP_STD, posinf=CLIP_STD, neginf=-CLIP_STD)
    return forecast.clamp_(-CLIP_STD, CLIP_STD)
