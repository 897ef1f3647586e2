"""Free runs of linear forecasters without a loop over time.

Without a nonlinearity anywhere, warm-up and free run are powers of one matrix applied to a vector:
with v = (state, value, 1), reading the value and feeding the forecast back is v' = v M. Powers are
built by doubling, so that a segment of T steps costs about 2 log2(T) small matrix products where
the loop takes T times a dozen. Random errors enter linearly, too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from models.network.architecture import Architecture
from models.network.parameters import INCREMENT_STD, under
from models.tensors import MemberBatchTimeChannel

# The logarithm of the ridge of an estimated state before training: enough to tell modes of one
# frequency apart. The least ridge is added, so that the equations for the state stay solvable.
INITIAL_LOG_RIDGE = math.log(1e-3)
LEAST_RIDGE = 1e-6


@dataclass(frozen=True)
class LinearRun:
    """The matrices of a population of linear forecasters of one channel.

    s' = s F + x G, y = s' H + d + r x, for states s `[member, batch, state]`.
    """

    transition: Tensor  # F [member, state, state]
    injection: Tensor  # G [member, 1, state]
    readout: Tensor  # H [member, state, 1]
    offset: Tensor  # d [member, 1, 1]
    residual: float  # r
    autonomous: bool  # whether the free run reads zeros instead of its own forecasts

    @classmethod
    def of(cls, architecture: Architecture, parameters: Mapping[str, Tensor]) -> Self:
        """From a population's named parameters `[member, *shape]`; differentiable."""
        transition, readout, offset = autonomous_system(architecture, parameters)
        injection = parameters["cell.0.input"]
        width = injection.shape[2]
        for layer in range(1, architecture.layers):
            passed_up = injection[:, :, -width:] @ parameters[f"cell.{layer}.input"]
            injection = torch.cat([injection, passed_up], dim=2)
        residual = float(architecture.residual)
        return cls(transition, injection, readout, offset, residual, architecture.autonomous)

    def one_step(self, context: Tensor, first: int) -> Tensor:
        """Forecasts of the context's values from position `first` on, `[member, batch, time]`.

        `context` `[member, batch, time]` is read from a state of zero; the last forecast is that
        of the value after the context.
        """
        steps = context.shape[2]
        states = powers_after(self.injection, self.transition, steps)  # G F^j
        response = (states @ self.readout).squeeze(2)  # [member, lag]
        response = response + self.residual * torch.eye(1, steps, device=context.device)
        forecasts: Tensor = _Convolve.apply(context, response)  # type: ignore[no-untyped-call]
        return forecasts[:, :, first - 1 :] + self.offset

    def free_run(self, context: Tensor, steps: int, feedback_noise: Tensor | None) -> Tensor:
        """Forecasts `[member, batch, steps]` after the context, each from the one before.

        `feedback_noise` `[member, batch, steps]` is added to each forecast when it is fed back; an
        autonomous run feeds nothing back.
        """
        if self.autonomous:
            return self._autonomous_run(context, steps)
        states = powers_after(self.injection, self.transition, context.shape[2] - 1)
        state = context[:, :, :-1].flip(2) @ states
        vector = torch.cat([state, context[:, :, -1:], torch.ones_like(context[:, :, :1])], dim=2)
        forecasts_of = self._observed(steps)
        forecast = vector @ forecasts_of
        if feedback_noise is None:
            return forecast
        # An error in the value fed back at step k adds to the forecast at k + j what the value
        # component alone leads to after j steps.
        value = self.transition.shape[1]
        later = torch.nn.functional.pad(forecasts_of[:, value, :-1], (1, 0))
        response: Tensor = _Convolve.apply(feedback_noise, later)  # type: ignore[no-untyped-call]
        return forecast + response

    def _autonomous_run(self, context: Tensor, steps: int) -> Tensor:
        states = powers_after(self.injection, self.transition, context.shape[2])
        state = context.flip(2) @ states
        columns = powers_after(
            self.readout.transpose(1, 2), self.transition.transpose(1, 2), steps
        ).transpose(1, 2)
        read = torch.nn.functional.pad(context[:, :, -1:], (0, steps - 1))
        return state @ columns + self.offset + self.residual * read

    def _observed(self, steps: int) -> Tensor:
        """Column k is what v must be multiplied with to get the forecast k + 1 steps ahead."""
        ahead = self.transition @ self.readout
        value = self.injection @ self.readout + self.residual
        closed = torch.cat(
            [
                torch.cat([self.transition, ahead], dim=2),
                torch.cat([self.injection, value], dim=2),
                torch.cat([torch.zeros_like(self.injection), self.offset], dim=2),
            ],
            dim=1,
        )
        one = torch.zeros_like(closed[:, :, :1])
        one[:, -1] = 1.0
        matrix = torch.cat([closed, one], dim=2)
        columns = matrix[:, :, -2:-1]
        return powers_after(columns.transpose(1, 2), matrix.transpose(1, 2), steps).transpose(1, 2)


@dataclass(frozen=True)
class EstimatedRun:
    """The matrices of a population whose state is estimated by least squares; all differentiable.

    An autonomous linear forecaster puts out y_t = s A^t H + d, which is linear in the state s in
    which it starts. Instead of reading its warm-up from a state of zero, whose trace takes long to
    die away where modes live long, it takes the state whose outputs lie closest to the warm-up's
    values, and runs on. Training then moves the modes alone, the states being projected out: the
    method of variable projection (Golub & Pereyra 1973).
    """

    transition: Tensor  # A [member, state, state]
    readout: Tensor  # H [member, state, channel]
    offset: Tensor  # d [member, 1, channel]
    # [member, 1, 1], relative to the mean square of what the state's numbers put out in a warm-up
    ridge: Tensor

    @classmethod
    def of(cls, architecture: Architecture, parameters: Mapping[str, Tensor]) -> Self:
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
        rows = self.rows(warm_up + steps)
        deviations = (context - self.offset.unsqueeze(1)).reshape(members, batch, -1)
        states = self.states(rows[:, : warm_up * channels], deviations)
        fitted = states.to(rows.dtype).transpose(1, 2) @ rows[:, first * channels :].transpose(1, 2)
        outputs: Tensor = fitted.unflatten(2, (-1, channels))
        return outputs + self.offset.unsqueeze(1)

    def rows(self, steps: int) -> Tensor:
        """What a state is multiplied with for `steps` positions, `[member, number, state]`.

        Row t * channels + c is that of channel c of position t.
        """
        return powers_after(self.readout.transpose(1, 2), self.transition.transpose(1, 2), steps)

    def states(self, rows: Tensor, deviations: Tensor) -> Tensor:
        """States `[member, state, batch]` in double precision, whose outputs lie closest to values.

        rows: of the positions of the values. deviations: the values without the offset, `[member,
        batch, number]`.
        """
        # Products of the rows lose half of their digits: they are taken in double precision.
        seen = rows.double()
        gram = seen.transpose(1, 2) @ seen
        power = gram.diagonal(dim1=1, dim2=2).mean(1).view(-1, 1, 1)
        gram = gram + self.ridge * power * torch.eye(gram.shape[1], device=gram.device)
        moments = seen.transpose(1, 2) @ deviations.double().transpose(1, 2)
        states: Tensor = _Solve.apply(gram, moments)  # type: ignore[no-untyped-call]
        return states


def autonomous_system(
    architecture: Architecture, parameters: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """F, H and d of a population of linear forecasters, as if nothing were read.

    F `[member, state, state]` with the states of all layers side by side, H `[member, state,
    channel]`, d `[member, 1, channel]`.
    """
    cell = architecture.cell
    transition = cell.transition(under(parameters, "cell.0."))
    for layer in range(1, architecture.layers):
        own = cell.transition(under(parameters, f"cell.{layer}."))
        # The layer reads the new output of the layer below, which is the end of its state.
        below = transition[:, :, -own.shape[1] :] @ parameters[f"cell.{layer}.input"]
        corner = torch.zeros_like(below.transpose(1, 2))
        transition = torch.cat(
            [torch.cat([transition, below], dim=2), torch.cat([corner, own], dim=2)], dim=1
        )
    readout = parameters["head.0.weight"]
    padding = transition.shape[1] - readout.shape[1]
    readout = torch.nn.functional.pad(readout, (0, 0, padding, 0))
    offset = parameters["head.0.bias"]
    if architecture.scaled_increments:
        scale = parameters[INCREMENT_STD]
        readout, offset = readout * scale, offset * scale
    return transition, readout, offset


def powers_after(first: Tensor, matrix: Tensor, count: int) -> Tensor:
    """R, R A, R A^2, ... below one another, for R `[member, rows, state]`, by doubling."""
    rows, power = first, matrix
    for _ in range(math.ceil(math.log2(max(count, 1)))):
        rows = torch.cat([rows, rows @ power], dim=1)
        power = power @ power
    return rows[:, : count * first.shape[1]]


class _Convolve(torch.autograd.Function):
    """y_j = sum over i <= j of x_i r_(j-i), for x `[member, batch, time]` and r `[member, time]`.

    By Fourier transforms long enough that nothing wraps around. Their products are taken apart into
    real and imaginary parts: torch's complex ones round differently for other cohort sizes.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, response: Tensor) -> Tensor:
        steps = x.shape[2]
        x_spectrum = _spectrum(x)
        spectrum = _spectrum(response).unsqueeze(1)
        ctx.save_for_backward(x_spectrum, spectrum)
        return _series(_product(x_spectrum, spectrum), steps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor]:
        x_spectrum, spectrum = ctx.saved_tensors
        steps = grads[0].shape[2]
        grad_spectrum = _spectrum(grads[0])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = _series(_product(grad_spectrum, _conjugate(spectrum)), steps)
        correlation = _product(grad_spectrum, _conjugate(x_spectrum))
        # The sum over the batch, term by term: a reduction may group its terms by a member's place.
        total = correlation[:, 0]
        for segment in range(1, correlation.shape[1]):
            total = total + correlation[:, segment]
        return grad_x, _series(total, steps)


def _spectrum(x: Tensor) -> Tensor:
    """Fourier transform over the last axis, padded with as many zeros; `[..., frequency, 2]`."""
    return torch.view_as_real(torch.fft.rfft(x, n=2 * x.shape[-1]))


def _series(spectrum: Tensor, steps: int) -> Tensor:
    """The first `steps` values of the series with this spectrum."""
    transformed = torch.view_as_complex(spectrum.contiguous())
    series: Tensor = torch.fft.irfft(transformed, n=2 * (spectrum.shape[-2] - 1))
    return series[..., :steps]


def _product(one: Tensor, other: Tensor) -> Tensor:
    """Complex product (a + bi) (c + di) in real arithmetic."""
    (a, b), (c, d) = one.unbind(-1), other.unbind(-1)
    return torch.stack([a * c - b * d, a * d + b * c], dim=-1)


def _conjugate(spectrum: Tensor) -> Tensor:
    return torch.stack([spectrum[..., 0], -spectrum[..., 1]], dim=-1)


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
