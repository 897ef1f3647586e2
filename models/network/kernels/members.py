"""The entry into compiled code: one member after the other, from its parameters to its gradient."""

import sys

import numpy as np

from models.network.kernels import backward as way_back
from models.network.kernels import cells, compiled, layout, products, squashing, vectors, walk
from models.network.kernels import given as arguments
from models.network.kernels.backward import backward
from models.network.kernels.cells import GRU, LSTM
from models.network.kernels.compiled import digest_of, entry, part
from models.network.kernels.given import BACKWARD, ERRORS, FORWARD
from models.network.kernels.layout import (
    AFTER,
    AT,
    BEFORE,
    BLOCKS,
    BY_LAST,
    COLUMNS,
    FLAT,
    LAYER_MATRICES,
    ROWS,
    TRANSPOSED,
)
from models.network.kernels.vectors import LANES, broadcast, lane, load, store, turned
from models.network.kernels.walk import add, forward, move, states_of
from models.network.options.instance_norm import EPSILON

# mypy: disable-error-code="no-untyped-def"

PARTS = (arguments, way_back, cells, compiled, layout, products, squashing, vectors, walk)


@part
def _pack(work, s, matrices, weights):
    """Copy the parameters, matrices into padded rows. The two offsets of a GRU's gates are one."""
    for number in range(len(matrices)):
        matrix = matrices[number]
        if matrix[FLAT] < 0:
            continue
        of, to, columns = matrix[FLAT], matrix[AT], matrix[COLUMNS]
        wide = (columns + LANES - 1) // LANES * LANES
        for _ in range(matrix[ROWS] * matrix[BLOCKS]):
            move(weights, of, work, to, columns)
            of += columns
            to += wide
    if s.cell == GRU:
        for layer in range(s.layers):
            first = layer * LAYER_MATRICES
            one, other = matrices[first + 2, AT], matrices[first + 3, AT]
            for j in range(2 * s.padded):
                work[one + j] += work[other + j]
    if s.increments >= 0:
        for v in range(s.width):
            work[s.at_increment_stds + v] = weights[s.increments + v]
    if s.lags > 0 and s.instance_norm:
        for channel in range(s.channels):
            m, to = matrices[s.autoregression + channel, AT], s.at_lag_sums + channel * s.steps_wide
            for j in range(s.steps_wide):
                total = 0.0
                for lag in range(s.lags):
                    total += work[m + lag * s.steps_wide + j]
                work[to + j] = total


@part
def _transpose(work, matrices):
    for number in range(len(matrices)):
        matrix = matrices[number]
        if matrix[FLAT] < 0:
            continue
        rows = matrix[ROWS]
        columns = (matrix[COLUMNS] + LANES - 1) // LANES * LANES * matrix[BLOCKS]
        wide = (rows + LANES - 1) // LANES * LANES
        for i in range(rows):
            for j in range(0, columns, LANES):
                own = load(work, matrix[AT] + i * columns + j)
                to = matrix[TRANSPOSED] + j * wide + i
                for k in range(LANES):
                    work[to + k * wide] = lane(own, k)


@part
def _unpack(work, s, matrices, grads):
    """Copy the gradients out of padded rows."""
    for number in range(len(matrices)):
        matrix = matrices[number]
        if matrix[FLAT] < 0:
            continue
        to, columns = matrix[FLAT], matrix[COLUMNS]
        of = matrix[AT] + s.at_gradients - s.at_weights
        wide = (columns + LANES - 1) // LANES * LANES
        for _ in range(matrix[ROWS] * matrix[BLOCKS]):
            move(work, of, grads, to, columns)
            to += columns
            of += wide


@part
def _copy(work, to, array):
    """Copy a member's numbers in their order."""
    for i in range(array.shape[0]):
        for j in range(array.shape[1]):
            work[to] = array[i, j, 0]
            to += 1


@part
def _pad(work, member, s, to, array, blocks):
    """Copy a member's numbers of units into rows of whole vectors, block by block of units."""
    for step in range(array.shape[0]):
        for layer in range(s.layers):
            for block in range(blocks):
                for row in range(s.rows):
                    for j in range(s.units):
                        work[to + j] = array[step, layer, member, row, block * s.units + j]
                    to += s.padded


@part
def _fold(work, s, at, array, rows, writes):
    """Copy a member's values by time to segments by position, or back where it `writes`."""
    # Sizes are read once: numbers that are written could be theirs, as far as a compiler knows.
    segment, channels, wide = s.segment, s.channels, s.wide
    for time in range(0, s.positions * segment, segment):
        for row in range(rows):
            own = at
            for i in range(segment):
                for channel in range(channels):
                    if writes:
                        array[time + i, row, channel] = work[own]
                    else:
                        work[own] = array[time + i, row, channel]
                    own += 1
            at += wide


@part
def _add_folded(work, s, at, array, rows):
    """Add a member's values by time to segments by position."""
    segment, channels, wide = s.segment, s.channels, s.wide
    for time in range(0, s.positions * segment, segment):
        for row in range(rows):
            own = at
            for i in range(segment):
                for channel in range(channels):
                    work[own] += array[time + i, row, channel]
                    own += 1
            at += wide


@part
def _gather(work, s, b, series, start, is_backwards, factors, row):
    """Cut the truth of a subsequence out of its series, whose channels lie side by side.

    factors[row]: what it is multiplied by.
    """
    last, channels, segment, width = s.true_steps - 1, s.channels, s.segment, s.width
    first, step = (start + last, -1) if is_backwards else (start, 1)
    to, stride, factor = s.at_truth + b * s.wide, s.batch * s.wide, broadcast(factors, row)
    in_order = width >= LANES and (channels == 1 or not is_backwards)
    for time in range(0, s.positions * segment, segment):
        if in_order and time + segment <= s.true_steps:
            place = (first + step * time) * channels
            for j in range(0, width, LANES):
                # The last vector ends with the segment, and repeats a part of the one before.
                v = min(j, width - LANES)
                if is_backwards:
                    value = turned(load(series, place - v - (LANES - 1)))
                else:
                    value = load(series, place + v)
                store(work, to + v, factor * value)
        else:
            own = to
            for order in range(time, time + segment):
                place = (first + step * min(order, last)) * channels
                for channel in range(channels):
                    work[own] = factors[row] * series[place + channel]
                    own += 1
        to += stride


@part
def _read(work, s, displaced):
    """Put the values that are read into the network's units, once for each branch."""
    numbers, branches, rows, wide = s.batch * s.wide, s.branches, s.rows, s.wide
    values, read_wide, level, std = s.at_truth, s.read_wide, s.at_level, s.at_std
    if s.has_input_noise:
        values = s.at_input_noise
        add(work, values, s.at_truth, s.positions * numbers)
    if s.instance_norm:
        _adapt(work, s, values)
    to = s.at_values
    for of in range(values, values + s.positions * numbers, numbers):
        for _ in range(branches):
            for row in range(of, of + numbers, wide):
                for j in range(0, wide, LANES):
                    store(work, to + j, load(work, row + j))
                to += read_wide
    for branch in range(branches):
        if displaced[branch] != 0:
            for row in range(branch * s.batch, (branch + 1) * s.batch):
                last = s.at_values + ((s.warm_up - 1) * rows + row) * read_wide + s.width
                for i in range(last - s.channels, last):
                    work[i] += displaced[branch]
    if s.instance_norm:
        to = s.at_values
        for _ in range(s.positions):
            for own in range(0, rows * wide, wide):
                for j in range(0, wide, LANES):
                    value = load(work, to + j) - load(work, level + own + j)
                    store(work, to + j, value / load(work, std + own + j))
                to += read_wide


@part
def _read_known(work, s, b, exogenous, start, is_backwards):
    """Put the known columns of a subsequence beside what is read: those of the next segment."""
    last, segment, columns, read_wide = s.known_steps - 1, s.segment, s.exogenous, s.read_wide
    first, step = (start + s.true_steps - 1, -1) if is_backwards else (start, 1)
    for time in range(0, s.positions * segment, segment):
        for branch in range(s.branches):
            row = (time // segment * s.branches + branch) * s.batch + b
            to = s.at_values + row * read_wide + s.width
            for order in range(time + segment, time + 2 * segment):
                place = first + step * min(order, last)
                for column in range(columns):
                    work[to] = exogenous[place, column]
                    to += 1


@part
def _adapt(work, s, values):
    """Take level and standard deviation of each row's context, in double precision."""
    steps, wide = s.warm_up * s.segment, s.wide
    for b in range(s.batch):
        for channel in range(s.channels):
            total, squares = 0.0, 0.0
            for position in range(s.warm_up):
                first = values + (position * s.batch + b) * wide + channel
                for i in range(first, first + s.width, s.channels):
                    total += work[i]
            mean = total / steps
            for position in range(s.warm_up):
                first = values + (position * s.batch + b) * wide + channel
                for i in range(first, first + s.width, s.channels):
                    squares += (work[i] - mean) ** 2
            level = mean
            if s.instance_norm == BY_LAST:
                after = values + ((s.warm_up - 1) * s.batch + b) * wide + s.width
                level = work[after - s.channels + channel]
            std = np.sqrt(squares / steps + EPSILON)
            for row in range(b, s.rows, s.batch):
                for own in range(row * wide + channel, (row + 1) * wide, s.channels):
                    work[s.at_level + own] = level
                    work[s.at_std + own] = std


@part
def _resume(work, s, slot, stream, fresh):
    """Start the walk from the streams' states, in every branch."""
    for layer in range(s.layers):
        h, c = states_of(s, layer, slot)
        for row in range(s.rows):
            b = row % s.batch
            for j in range(s.units):
                at = row * s.padded + j
                work[h + at] = 0 if fresh[b] else stream[layer, b, j]
                if s.cell == LSTM:
                    work[c + at] = 0 if fresh[b] else stream[layer, b, s.units + j]


@part
def _leave(work, s, slot, stream):
    """Leave the states of the last branch, which read the truth, to the streams."""
    for layer in range(s.layers):
        h, c = states_of(s, layer, slot)
        for b in range(s.batch):
            for j in range(s.units):
                at = (s.rows - s.batch + b) * s.padded + j
                stream[layer, b, j] = work[h + at]
                if s.cell == LSTM:
                    stream[layer, b, s.units + j] = work[c + at]


@part
def _errors(work, s, horizon, terms):
    """The gradient of the squared errors with respect to the forecasts.

    Weights of errors are those of `Objective.error_weights`.
    """
    first, share = terms[0], terms[1]
    end, branches, batch = max(horizon, first + 1), s.branches, s.batch
    warm_up, scale = s.warm_up * s.segment, 2 / (s.batch * s.channels)
    segment, channels, wide, teacher_end = s.segment, s.channels, s.wide, warm_up + s.segment
    one_step_from, is_over_rollout = s.one_step_from, s.is_over_rollout
    weights, outputs, d_outputs = s.at_error_weights, s.at_outputs, s.at_d_outputs
    for position in range(s.positions):
        for branch in range(branches):
            for i in range(segment):
                time = position * segment + i
                later, weight = time - warm_up, 0.0
                if branch == 0 and first <= later < end:
                    weight = (1 - share) / (end - first)
                if is_over_rollout:
                    if branch == branches - 1 and 0 <= later < horizon:
                        weight = share / horizon
                elif branch == 0 and one_step_from <= time < teacher_end:
                    weight += share / (teacher_end - one_step_from)
                for channel in range(channels):
                    work[weights + i * channels + channel] = weight * scale
            truth = s.at_truth + position * batch * wide
            for row in range(truth, truth + batch * wide, wide):
                for j in range(0, wide, LANES):
                    error = load(work, outputs + j) - load(work, row + j)
                    store(work, d_outputs + j, error * load(work, weights + j))
                outputs += wide
                d_outputs += wide


def _entry(sources):
    """The function that Python calls.

    sources: what it is compiled from. numba keeps machine code on disk until the function itself or
    what it closes over changes, and does not look at the functions that it calls.
    """

    @entry
    def run(tasks, step, memory, unroll, matrices, steps, runs, given):
        """Do the tasks for each member, in a step of the optimiser.

        memory: `[member, number]`, or one row that all use in turn. unroll, matrices, steps, runs:
        those of a `Layout`. d_outputs of `given` are added to the gradients of squared errors.
        """
        sources  # noqa: B018
        s, batch = unroll[0], unroll[0].batch
        for member in range(len(given.weights)):
            work = memory[member % len(memory)]
            if tasks & FORWARD:
                _pack(work, s, matrices, given.weights[member])
                if s.has_output_noise:
                    _fold(work, s, s.at_output_noise, given.output_noise[member], batch, False)
                if s.has_feedback_noise:
                    _fold(work, s, s.at_feedback_noise, given.feedback_noise[member], batch, False)
                if s.has_input_noise:
                    _fold(work, s, s.at_input_noise, given.input_noise[member], batch, False)
                if s.has_shares:
                    _copy(work, s.at_shares, given.shares[member])
                if s.has_masks:
                    _pad(work, member, s, s.at_masks, given.masks, 1)
                if s.has_state_noise:
                    blocks = 2 if s.cell == LSTM else 1
                    _pad(work, member, s, s.at_state_noise, given.state_noise, blocks)
                for b in range(batch):
                    _gather(
                        *(work, s, b, given.series[given.sources[member, b]]),
                        *(given.starts[member, step, b], given.backwards[member, step, b]),
                        *(given.factors[member, step], b),
                    )
                _read(work, s, given.displaced)
                if s.exogenous > 0:
                    for b in range(batch):
                        _read_known(
                            *(work, s, b, given.exogenous[given.sources[member, b]]),
                            *(given.starts[member, step, b], given.backwards[member, step, b]),
                        )
                work[s.at_bound] = given.bound[0]
                if s.has_stream:
                    fresh = given.fresh[member, step]
                    _resume(work, s, steps[0, BEFORE], given.stream[member], fresh)
                forward(work, s, matrices, steps)
                if s.has_stream:
                    _leave(work, s, steps[-1, AFTER], given.stream[member])
                if given.outputs.size > 0:
                    _fold(work, s, s.at_outputs, given.outputs[member], s.rows, True)
            if tasks & ERRORS:
                if s.has_label_noise:
                    _fold(work, s, s.at_label_noise, given.label_noise[member], batch, False)
                    add(work, s.at_truth, s.at_label_noise, s.positions * batch * s.wide)
                _errors(work, s, given.horizons[member, step], given.terms[member])
                if given.d_outputs.size > 0:
                    _add_folded(work, s, s.at_d_outputs, given.d_outputs[member], s.rows)
            if tasks & BACKWARD:
                _copy(work, s.at_passes, given.passes[member])
                _copy(work, s.at_cuts, given.cuts[member])
                if s.has_match:
                    _copy(work, s.at_match, given.match[member])
                _transpose(work, matrices)
                backward(work, s, matrices, steps, runs)
                _unpack(work, s, matrices, given.grads[member])

    return run


run = _entry(digest_of((sys.modules[__name__], *PARTS), EPSILON, BY_LAST))
