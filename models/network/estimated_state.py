"""Free runs of linear forecasters whose state is estimated by least squares.

An autonomous linear forecaster puts out y_t = s A^t H + d, which is linear in the state s in which
it starts. Instead of reading its warm-up from a state of zero, whose echo takes long to die away
where modes live long, it takes the state whose outputs lie closest to the warm-up's values, and
runs on. Training then moves the modes alone, the states being projected out: the method of variable
projection (Golub & Pereyra 1973).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.network.architecture import Architecture
from models.network.linear import autonomous_system, powers_after
from models.tensors import MemberBatchTimeChannel

# Added to the trained ridge, so that the equations for the state stay solvable.
LEAST_RIDGE = 1e-6


def initial_log_ridge() -> Tensor:
    """The trained ridge before training, `[1, 1]`: enough to tell modes of one frequency apart."""
    return torch.full((1, 1), math.log(1e-3))


@dataclass(frozen=True)
class EstimatedRun:
    """The matrices of a population: transition `[member, state, state]`, readout `[member, state,
    channel]`, offset `[member, 1, channel]`, ridge `[member, 1, 1]`; all differentiable.

    The ridge is relative to the mean square of what the state's numbers put out in a warm-up.
    """

    transition: Tensor
    readout: Tensor
    offset: Tensor
    ridge: Tensor

    @classmethod
    def of(cls, architecture: Architecture, parameters: Mapping[str, Tensor]) -> EstimatedRun:
        """From a population's named parameters `[member, *shape]`."""
        transition, readout, offset = autonomous_system(architecture, parameters)
        ridge = torch.exp(parameters["state.log_ridge"]) + LEAST_RIDGE
        return cls(transition, readout, offset, ridge)

    def outputs(
        self, context: MemberBatchTimeChannel, steps: int, first: int
    ) -> MemberBatchTimeChannel:
        """Outputs from position `first` of the context to `steps` after it.

        Those within the context are the fit to it, the others the free run.
        """
        members, batch, warm_up, channels = context.shape
        # Row t * channels + c is what the state is multiplied with for channel c of position t.
        rows = powers_after(
            self.readout.transpose(1, 2), self.transition.transpose(1, 2), warm_up + steps
        )
        # Products of the rows lose half of their digits: they are taken in double precision.
        seen = rows[:, : warm_up * channels].double()
        deviations = (context - self.offset.unsqueeze(1)).reshape(members, batch, -1).double()
        gram = seen.transpose(1, 2) @ seen
        power = gram.diagonal(dim1=1, dim2=2).mean(1).view(-1, 1, 1)
        gram = gram + self.ridge * power * torch.eye(gram.shape[1], device=gram.device)
        moments = seen.transpose(1, 2) @ deviations.transpose(1, 2)
        states: Tensor = _Solve.apply(gram, moments)  # type: ignore[no-untyped-call]
        fitted = states.float().transpose(1, 2) @ rows[:, first * channels :].transpose(1, 2)
        outputs: Tensor = fitted.unflatten(2, (-1, channels))
        return outputs + self.offset.unsqueeze(1)


class _Solve(torch.autograd.Function):
    """X with G X = R, for positive definite G `[member, n, n]` and R `[member, n, right side]`.

    By Cholesky's factors, which the backward step uses once more. What has no factors (weights that
    are not finite) gives numbers that are not finite either, and no error.
    """

    @staticmethod
    def forward(ctx: Any, gram: Tensor, right: Tensor) -> Tensor:
        factor = torch.linalg.cholesky_ex(gram).L
        solution = torch.cholesky_solve(right, factor)
        ctx.save_for_backward(factor, solution)
        return solution

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        factor, solution = ctx.saved_tensors
        grad_right = torch.cholesky_solve(grads[0].contiguous(), factor)
        return -grad_right @ solution.transpose(1, 2), grad_right
