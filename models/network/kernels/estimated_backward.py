"""The way of one member back to its parameters, its state being estimated by least squares."""

import numpy as np

from models.network.kernels.compiled import part
from models.network.kernels.estimated_forward import add_noise, solve
from models.network.kernels.products import add_outer, add_rows, multiply
from models.network.kernels.vectors import LANES, filled, load, store
from models.network.kernels.walk import clear
from models.network.linear import LEAST_RIDGE

# mypy: disable-error-code="no-untyped-def"


@part
def errors(work, member, s, horizon, terms, noise):
    """Put the gradient of the squared errors in the place of the outputs.

    Weights of errors are those of `Objective.error_weights`; noise: of the labels,
    `[member, time, subsequence, channel]`.
    """
    first, share = terms[0], terms[1]
    end, warm_up, one_step_from = max(horizon, first + 1), s.warm_up, s.one_step_from
    stride, steps, outputs, truth = s.channels * s.wide, s.steps, s.at_outputs, s.at_truth
    scale = 2 / (s.batch * s.channels)
    if s.has_label_noise:
        add_noise(work, member, s, truth, noise, one_step_from, steps)
    for time in range(one_step_from, steps):
        later, weight = time - warm_up, 0.0
        if first <= later < end:
            weight = (1 - share) / (end - first)
        if time <= warm_up:
            weight += share / (warm_up + 1 - one_step_from)
        for i in range(time * stride, (time + 1) * stride, LANES):
            error = load(work, outputs + i) - load(work, truth + i)
            store(work, outputs + i, error * filled(error, weight * scale))


@part
def backward(work, s, weights, grads):
    """From the gradients of the outputs, which are in their place, to those of the parameters."""
    numbers, p, wide, channels = s.numbers, s.padded, s.wide, s.channels
    first, seen, rows = s.one_step_from * channels, s.warm_up * channels, s.steps * channels
    if s.instance_norm:
        _scale(work, s)
    outputs, at_d_moments = s.at_outputs + first * wide, s.at_d_moments
    clear(work, at_d_moments, numbers * wide)
    add_outer(
        *(work, s.at_rows + first * p, p, numbers, outputs, wide, wide, rows - first),
        *(at_d_moments, wide),
    )
    solve(work, s, at_d_moments)
    _transpose(work, s, s.at_states, s.at_states_t)
    _transpose(work, s, at_d_moments, s.at_d_moments_t)
    grads[s.of_ridge] = _equations_backward(work, s, np.float64(weights[s.of_ridge]))
    multiply(
        *(work, s.at_rows, p, numbers, s.at_d_gram, p, p, s.at_zeros, 0),
        *(s.at_d_rows, p, seen),
    )
    multiply(
        *(work, s.at_deviations, wide, s.batch, s.at_d_moments_t, p, p, s.at_d_rows, p),
        *(s.at_d_rows, p, seen),
    )
    clear(work, s.at_d_rows + seen * p, (rows - seen) * p)
    d_rows = s.at_d_rows + first * p
    multiply(
        *(work, outputs, wide, s.batch, s.at_states_t, p, p, d_rows, p),
        *(d_rows, p, rows - first),
    )
    _respond_backward(work, s, weights, grads)
    _offset_backward(work, s, grads)


@part
def _scale(work, s):
    """To the network's units, where an instance norm has some."""
    channels, wide, outputs, std = s.channels, s.wide, s.at_outputs, s.at_std
    for row in range(s.one_step_from * channels, s.steps * channels):
        own = row % channels * wide
        for b in range(0, wide, LANES):
            at = outputs + row * wide + b
            store(work, at, load(work, at) * load(work, std + own + b))


@part
def _transpose(work, s, of, to):
    numbers, p, wide = s.numbers, s.padded, s.wide
    for b in range(s.batch):
        for i in range(numbers):
            work[to + b * p + i] = work[of + i * wide + b]


@part
def _equations_backward(work, s, log_ridge):
    """Write the gradient of the Gram matrix and its transpose; returns that of `log_ridge`.

    With G X = R and the gradient V of R, it is -V X^T; the ridge is relative to G's mean diagonal.
    """
    numbers, p, d_gram = s.numbers, s.padded, s.at_d_gram
    clear(work, d_gram, numbers * p)
    add_outer(
        *(work, s.at_d_moments_t, p, numbers, s.at_states_t, p, p, s.batch, d_gram, p),
    )
    trace = 0.0
    for i in range(numbers):
        trace -= work[d_gram + i * p + i]
        for j in range(i + 1):
            both = -work[d_gram + i * p + j] - work[d_gram + j * p + i]
            work[d_gram + i * p + j] = both
            work[d_gram + j * p + i] = both
    ridge = np.exp(log_ridge)
    for i in range(numbers):
        work[d_gram + i * p + i] += 2 * (ridge + LEAST_RIDGE) * trace / numbers
    return ridge * work[s.at_power] * trace


@part
def _respond_backward(work, s, weights, grads):
    """From the gradient of the rows to those of the modes and of the readout.

    A power is exp(t (log modulus + i phase)), so that its derivatives are t and i t times itself.
    """
    modes, channels, p, numbers, steps = s.modes, s.channels, s.padded, s.numbers, s.steps
    for mode in range(modes):
        d_modulus, d_phase = 0.0, 0.0
        for channel in range(channels):
            d_one, d_other, power = 0.0, 0.0, s.at_powers + mode
            row, d_row = s.at_rows + channel * p + mode, s.at_d_rows + channel * p + mode
            for time in range(steps):
                x, y = work[row], work[row + modes]
                grad_x, grad_y = work[d_row], work[d_row + modes]
                d_modulus += time * (x * grad_x + y * grad_y)
                d_phase += time * (y * grad_x - x * grad_y)
                real, imaginary = work[power], work[power + modes]
                d_one += real * grad_x - imaginary * grad_y
                d_other += imaginary * grad_x + real * grad_y
                power += numbers
                row += channels * p
                d_row += channels * p
            grads[s.of_readout + mode * channels + channel] = d_one
            grads[s.of_readout + (modes + mode) * channels + channel] = d_other
        decay, phase = np.float64(weights[s.of_nu + mode]), np.float64(weights[s.of_theta + mode])
        grads[s.of_nu + mode] = -np.exp(decay) * d_modulus
        grads[s.of_theta + mode] = np.exp(phase) * d_phase


@part
def _offset_backward(work, s, grads):
    """It is added to the outputs, and taken from what the state is fitted to."""
    channels, p, wide, sums, first = s.channels, s.padded, s.wide, s.at_sums, s.one_step_from
    for channel in range(channels):
        total = 0.0
        clear(work, sums, wide)
        outputs = s.at_outputs + (first * channels + channel) * wide
        add_rows(work, outputs, channels * wide, wide, s.steps - first, sums)
        for b in range(s.batch):
            total += work[sums + b]
        clear(work, sums, p)
        add_rows(work, s.at_rows + channel * p, channels * p, p, s.warm_up, sums)
        for b in range(s.batch):
            for i in range(s.numbers):
                total -= work[sums + i] * work[s.at_d_moments_t + b * p + i]
        grads[s.of_offset + channel] = total
