"""AdamW for a population: every member has its own rate, decay, clipping and schedule."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.axes import MemberParameter
from models.candidate import Strategy

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class AdamW:
    """Kingma & Ba (2015) with decoupled weight decay (Loshchilov & Hutter 2019, alg. 2).

    Everything is done in place: fresh memory would cost more than the arithmetic.

    Where `trained` (shaped like the weights) is zero a weight keeps its value, and one elsewhere.
    The gradient of each member is clipped to its own norm first. A member whose gradient is not
    finite keeps its weights and moments for that step: a diverged network must not stop its
    cohort, and has a finite, bad score.
    """

    def __init__(
        self, strategies: Sequence[Strategy], weights: MemberParameter, trained: MemberParameter
    ) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=weights.dtype, device=weights.device).unsqueeze(1)

        self.learning_rate = column([s.learning_rate for s in strategies])
        self.weight_decay = column([s.weight_decay for s in strategies])
        self.clip_norm = column([s.clip_norm for s in strategies])
        self.is_cosine = column([float(s.schedule == "cosine") for s in strategies])
        self.training_steps = strategies[0].training_steps
        self.weights, self.trained = weights, trained
        self.first_moment = torch.zeros_like(weights)
        self.second_moment = torch.zeros_like(weights)
        self.steps_done = 0

    def step(self, grads: MemberParameter) -> None:
        """One update of the weights in place; `grads` `[member, parameter]` is overwritten."""
        # A zero-based cosine: the first step has the full rate, the step after the last none.
        angle = torch.tensor(torch.pi * self.steps_done / self.training_steps)
        cosine = 0.5 * (1.0 + torch.cos(angle))
        rate = self.learning_rate * torch.lerp(
            torch.ones_like(self.is_cosine), cosine.to(self.is_cosine), self.is_cosine
        )
        self.steps_done += 1
        grads.mul_(self.trained)
        norm = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
        diverged = torch.nonzero(~torch.isfinite(norm[:, 0])).squeeze(1)
        updated = (self.weights, self.first_moment, self.second_moment)
        before = [values[diverged] for values in updated]
        grads.mul_(torch.clamp(self.clip_norm / (norm + 1e-6), max=1.0))

        self.first_moment.lerp_(grads, 1.0 - BETA1)
        self.second_moment.mul_(BETA2).addcmul_(grads, grads, value=1.0 - BETA2)
        bias1 = 1.0 - BETA1**self.steps_done
        bias2 = 1.0 - BETA2**self.steps_done
        scale = torch.div(self.second_moment, bias2, out=grads).sqrt_().add_(EPSILON)
        direction = torch.div(self.first_moment, scale, out=grads)
        self.weights.mul_(1.0 - rate * self.weight_decay * self.trained)
        self.weights.addcmul_(direction, rate / bias1, value=-1.0)
        for values, kept in zip(updated, before, strict=True):
            values[diverged] = kept

    def keep(self, rows: Tensor, weights: MemberParameter) -> None:
        """Go on with the members `rows` only, whose weights are now `weights`."""
        self.weights = weights
        for name in (
            "learning_rate",
            "weight_decay",
            "clip_norm",
            "is_cosine",
            "trained",
            "first_moment",
            "second_moment",
        ):
            setattr(self, name, getattr(self, name)[rows].clone())
