"""The outputs of one member whose state is estimated by least squares.

The modes of a linear recurrent unit are complex numbers on a diagonal: row t of what a state is
multiplied with consists of their powers, and what leads to it is exp(t log lambda). See
`models.network.linear.EstimatedRun`, which does the same by matrices. All numbers are in double
precision.
"""

import numpy as np

from models.network.kernels.compiled import part
from models.network.kernels.layout import BY_LAST
from models.network.kernels.products import add_outer, multiply
from models.network.kernels.vectors import LANES, broadcast, filled, load, store
from models.network.kernels.walk import clear
from models.network.linear import LEAST_RIDGE
from models.network.options.instance_norm import EPSILON

# mypy: disable-error-code="no-untyped-def"


@part
def gather(work, s, b, series, start, is_backwards, factor):
    """Cut the truth of a subsequence out of its series."""
    at, last, channels, wide = s.at_truth + b, s.true_steps - 1, s.channels, s.wide
    place, step = (start + last, -1) if is_backwards else (start, 1)
    for _ in range(last + 1):
        for channel in range(channels):
            work[at] = factor * series[place * channels + channel]
            at += wide
        place += step


@part
def read(work, member, s, weights, noise, displacement):
    """What the state is fitted to: the warm-up, in the network's units, without the offset.

    noise: of the input, `[member, time, subsequence, channel]`. What is computed of the padding of
    `[..., subsequence]` goes nowhere.
    """
    channels, wide, warm_up, deviations = s.channels, s.wide, s.warm_up, s.at_deviations
    stride = channels * wide
    end = deviations + warm_up * stride
    for i in range(0, warm_up * stride, LANES):
        store(work, deviations + i, load(work, s.at_truth + i))
    if s.has_input_noise:
        add_noise(work, member, s, deviations, noise, 0, warm_up)
    has_norm, level, std = s.instance_norm, s.at_level, s.at_std
    if has_norm:
        _adapt(work, s)
    for i in range(end - stride, end):
        work[i] += displacement
    for column in range(0, stride, LANES):
        own_level, own_std = load(work, level + column), load(work, std + column)
        offset = filled(own_level, weights[s.of_offset + column // wide])
        for at in range(deviations + column, end, stride):
            value = load(work, at)
            if has_norm:
                value = (value - own_level) / own_std
            store(work, at, value - offset)


@part
def add_noise(work, member, s, to, noise, first, end):
    """Add noise `[member, time, subsequence, channel]` to values from the first step to the end."""
    channels, wide, batch = s.channels, s.wide, s.batch
    for time in range(first, end):
        for channel in range(channels):
            at = to + (time * channels + channel) * wide
            for b in range(batch):
                work[at + b] += noise[member, time, b, channel]


@part
def _adapt(work, s):
    """Take level and standard deviation of each subsequence's warm-up."""
    stride, steps = s.channels * s.wide, s.warm_up
    for own in range(stride):
        total, squares = 0.0, 0.0
        first = s.at_deviations + own
        for i in range(first, first + steps * stride, stride):
            total += work[i]
        mean = total / steps
        for i in range(first, first + steps * stride, stride):
            squares += (work[i] - mean) ** 2
        level = mean
        if s.instance_norm == BY_LAST:
            level = work[first + (steps - 1) * stride]
        work[s.at_level + own] = level
        work[s.at_std + own] = np.sqrt(squares / steps + EPSILON)


@part
def forward(work, member, s, weights, noise):
    """Write the outputs, in the units of the series.

    noise: of the outputs, `[member, time, subsequence, channel]`.
    """
    numbers, p, wide, channels = s.numbers, s.padded, s.wide, s.channels
    _respond(work, s, weights)
    seen, states = s.warm_up * channels, s.at_states
    clear(work, s.at_factor, numbers * p)
    add_outer(work, s.at_rows, p, numbers, s.at_rows, p, p, seen, s.at_factor, p)
    clear(work, states, numbers * wide)
    add_outer(work, s.at_rows, p, numbers, s.at_deviations, wide, wide, seen, states, wide)
    _factorise(work, s, np.exp(np.float64(weights[s.of_ridge])) + LEAST_RIDGE)
    solve(work, s, states)
    first = s.one_step_from * channels
    multiply(
        *(work, s.at_rows + first * p, p, numbers, states, wide, wide, s.at_zeros, 0),
        *(s.at_outputs + first * wide, wide, s.steps * channels - first),
    )
    _restore(work, member, s, weights, noise)


@part
def _respond(work, s, weights):
    """Write what a state is multiplied with for each output."""
    modes, numbers, channels, p = s.modes, s.numbers, s.channels, s.padded
    powers, rows, steps, readout = s.at_powers, s.at_rows, s.steps, s.of_readout
    for mode in range(modes):
        modulus = np.exp(-np.exp(np.float64(weights[s.of_nu + mode])))
        phase = np.exp(np.float64(weights[s.of_theta + mode]))
        real, imaginary = modulus * np.cos(phase), modulus * np.sin(phase)
        x, y = 1.0, 0.0
        for time in range(steps):
            at = powers + time * numbers + mode
            work[at], work[at + modes] = x, y
            x, y = x * real - y * imaginary, x * imaginary + y * real
    for mode in range(modes):
        for channel in range(channels):
            one = weights[readout + mode * channels + channel]
            other = weights[readout + (modes + mode) * channels + channel]
            of, to = powers + mode, rows + channel * p + mode
            for _ in range(steps):
                x, y = work[of], work[of + modes]
                work[to] = x * one + y * other
                work[to + modes] = x * other - y * one
                of += numbers
                to += channels * p


@part
def _factorise(work, s, ridge):
    """Add the ridge to the Gram matrix, and put Cholesky's lower factor in its place."""
    numbers, p, factor = s.numbers, s.padded, s.at_factor
    power = 0.0
    for i in range(numbers):
        power += work[factor + i * p + i]
    power /= numbers
    work[s.at_power] = power
    for i in range(numbers):
        row = factor + i * p
        work[row + i] += ridge * power
        for j in range(i + 1):
            of, total = factor + j * p, work[row + j]
            for k in range(j):
                total -= work[row + k] * work[of + k]
            work[row + j] = np.sqrt(total) if i == j else total / work[of + j]


@part
def solve(work, s, right):
    """Solve the equations of the state for right sides `[number, subsequence]`, in their place."""
    numbers, p, wide, factor = s.numbers, s.padded, s.wide, s.at_factor
    for column in range(right, right + wide, LANES):
        for i in range(numbers):
            total = load(work, column + i * wide)
            for k in range(i):
                own = broadcast(work, factor + i * p + k)
                total = total - own * load(work, column + k * wide)
            store(work, column + i * wide, total / broadcast(work, factor + i * p + i))
        for i in range(numbers - 1, -1, -1):
            total = load(work, column + i * wide)
            for k in range(i + 1, numbers):
                own = broadcast(work, factor + k * p + i)
                total = total - own * load(work, column + k * wide)
            store(work, column + i * wide, total / broadcast(work, factor + i * p + i))


@part
def _restore(work, member, s, weights, noise):
    """From what states put out to the units of the series."""
    channels, wide, has_norm, level, std = s.channels, s.wide, s.instance_norm, s.at_level, s.at_std
    stride, first, end = channels * wide, s.one_step_from, s.steps
    for column in range(0, stride, LANES):
        own_level, own_std = load(work, level + column), load(work, std + column)
        offset = filled(own_level, weights[s.of_offset + column // wide])
        outputs = s.at_outputs + column
        for at in range(outputs + first * stride, outputs + end * stride, stride):
            value = load(work, at) + offset
            if has_norm:
                value = value * own_std + own_level
            store(work, at, value)
    if s.has_output_noise:
        add_noise(work, member, s, s.at_outputs, noise, first, end)
