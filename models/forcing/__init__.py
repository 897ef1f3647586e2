"""What a free run reads in training, one way a file, and where gradients flow through it.

A free run reads its own forecast at each position of the rollout; forced, it reads some of the
truth instead. All of it is a statement about training: what is scored runs on its own.
"""

from models.forcing.forcing import SCHEDULES, Forcing

__all__ = ["SCHEDULES", "Forcing"]
