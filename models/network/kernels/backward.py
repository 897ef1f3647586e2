"""The way of one member back over the steps of its plan, to the gradients of its matrices."""

from models.network.kernels.cells import GATES, KEPT, LSTM, add_gradients, step_backward
from models.network.kernels.compiled import part
from models.network.kernels.layout import (
    AFTER,
    AT,
    BEFORE,
    EMISSION,
    EMITS,
    FIRST,
    KEEPS,
    LAYER_MATRICES,
    READS,
    RELU,
    RESETS,
    STEPS,
    TRANSPOSED,
)
from models.network.kernels.products import add_outer, add_rows, multiply
from models.network.kernels.vectors import LANES, broadcast, filled, gated, load, store
from models.network.kernels.walk import (
    add,
    clear,
    kept_of,
    lags_of,
    mask,
    mask_of,
    matrices_of,
    states_of,
    x_of,
)

# mypy: disable-error-code="no-untyped-def"


@part
def backward(work, s, matrices, steps, runs):
    """Walk back over all steps, from the gradients of the outputs, which are added to."""
    state, top = s.rows * s.padded, s.layers - 1
    clear(work, s.at_dh, s.layers * state)
    if s.cell == LSTM:
        clear(work, s.at_dc, s.layers * state)
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        leads_on = step[READS] >= s.warm_up and not s.is_autonomous
        if step[EMITS] >= 0:
            if s.lags > 0:
                _autoregression_backward(work, s, matrices, step[EMITS])
            _head_backward(work, s, matrices, step)
            if s.has_masks:
                mask(work, s.at_d_top, mask_of(s, top, index), s.at_d_top, state)
            add(work, s.at_dh + top * state, s.at_d_top, state)
            if s.has_match:
                _add_match(work, s, step)
        for layer in range(top, -1, -1):
            h, c = states_of(s, layer, step[BEFORE])
            new_h, _ = states_of(s, layer, step[AFTER])
            dh, dc = s.at_dh + layer * state, s.at_dc + layer * state
            kept = kept_of(s, layer, step)
            transposed = matrices[layer * LAYER_MATRICES + 1, TRANSPOSED]
            step_backward(
                *(work, s.cell, transposed, s.padded, s.rows),
                *(h, new_h, c, kept, dh, dc, step[RESETS]),
            )
            if step[RESETS]:
                clear(work, dh, state)
                if s.cell == LSTM:
                    clear(work, dc, state)
            if layer > 0:
                _input_backward(work, s, matrices, layer, kept, s.at_d_x, s.padded)
                if s.has_masks:
                    mask(work, s.at_d_x, mask_of(s, layer - 1, index), s.at_d_x, state)
                add(work, dh - state, s.at_d_x, state)
        if s.read_in > 0 or leads_on:
            _read_backward(work, s, matrices, step, leads_on)
        if work[s.at_cuts + index] != 1:
            _cut(work, s, work[s.at_cuts + index])
    _matrix_gradients(work, s, matrices, steps, runs)


@part
def _out_backward(work, s, step, to):
    """From the gradient of a forecast to that of the head's last sums, and of the newest value."""
    width, channels, wide, rows = s.width, s.channels, s.wide, s.rows
    is_residual, is_scaled, has_norm = s.residual, s.increments >= 0, s.instance_norm
    stds, std, newest = s.at_increment_stds, s.at_std, s.at_d_newest
    grads = s.at_d_outputs + step[EMITS] * rows * wide
    for row in range(0, rows * wide, wide):
        for j in range(0, wide, LANES):
            grad = load(work, grads + row + j)
            if has_norm:
                grad = grad * load(work, std + row + j)
            store(work, to + row + j, grad)
        if is_residual:
            for channel in range(channels):
                total = work[to] * 0
                for v in range(channel, width, channels):
                    total += work[to + row + v]
                work[newest + channel] = total
            newest += channels
        if is_scaled:
            for j in range(0, wide, LANES):
                store(work, to + row + j, load(work, to + row + j) * load(work, stds + j))


@part
def _autoregression_backward(work, s, matrices, position):
    """Add the gradient of a forecast to those of what was fed back, by way of an autoregression."""
    rows, wide, channels, segment = s.rows, s.wide, s.channels, s.segment
    lags_wide, steps_wide, batch = s.lags_wide, s.steps_wide, s.batch
    lagged, ahead, zeros, bound = s.at_lagged, s.at_ahead, s.at_zeros, work[s.at_bound]
    begin = lags_of(s, position)
    first = max(begin, s.warm_up)
    if first >= position:
        return
    for channel in range(channels):
        of = ahead + channel * rows * steps_wide
        for row in range(s.own):
            grad = s.at_d_outputs + (position * rows + row) * wide + channel
            for i in range(segment):
                work[of + row * steps_wide + i] = work[grad + i * channels]
        m, to = (
            matrices[s.autoregression + channel, TRANSPOSED],
            lagged + channel * rows * lags_wide,
        )
        multiply(
            *(work, of, steps_wide, segment, m, lags_wide, lags_wide),
            *(zeros, 0, to, lags_wide, s.own),
        )
        for place in range(first, position):
            later = place - s.warm_up
            passes = work[s.at_passes + later]
            for row in range(s.own):
                gate = passes
                if s.has_shares:
                    gate = passes * (1 - work[s.at_shares + later * batch + row % batch])
                own = (place * rows + row) * wide + channel
                grads = to + row * lags_wide + (place - begin) * segment
                for i in range(segment):
                    at = own + i * channels
                    # Beyond the bound the value that was fed back is a constant.
                    if abs(work[s.at_outputs + at]) < bound:
                        work[s.at_d_outputs + at] += work[grads + i] * gate


@part
def _head_backward(work, s, matrices, step):
    """From the gradient of a step's forecast to that of what the head read, `d_top`."""
    state, p, wide = s.rows * s.padded, s.padded, s.wide
    d_forecast = s.at_d_forecast + step[EMISSION] * s.rows * wide
    _out_backward(work, s, step, d_forecast)
    first = s.layers * LAYER_MATRICES + 2 * s.head_layers
    zeros, d_top, m = s.at_zeros, s.at_d_top, matrices[first, TRANSPOSED]
    multiply(work, d_forecast, wide, s.width, m, p, p, zeros, 0, d_top, p, s.rows)
    for i in range(s.head_layers - 1, -1, -1):
        place = (i * s.emissions + step[EMISSION]) * state
        d_sum, y = s.at_d_head + place, s.at_head + place
        for j in range(0, state, LANES):
            out, grad = load(work, y + j), load(work, d_top + j)
            store(work, d_sum + j, grad - grad * out * out)
        first -= 2
        m = matrices[first, TRANSPOSED]
        multiply(work, d_sum, p, p, m, p, p, zeros, 0, d_top, p, s.rows)


@part
def _add_match(work, s, step):
    """Draw the top outputs of the first branch and the last together."""
    top, _ = states_of(s, s.layers - 1, step[AFTER])
    dh, p = s.at_dh + (s.layers - 1) * s.rows * s.padded, s.padded
    match = s.at_match + step[EMITS] * s.branches
    move, teacher_move = work[match], work[match + s.branches - 1]
    teacher = (s.rows - s.batch) * p
    for i in range(s.batch * p):
        apart = work[top + i] - work[top + teacher + i]
        work[dh + i] += apart * move
        work[dh + teacher + i] -= apart * teacher_move


@part
def _input_backward(work, s, matrices, layer, kept, d_x, columns):
    """From the gradients of a layer's sums to that of what it read."""
    m, sums = matrices[layer * LAYER_MATRICES, TRANSPOSED], GATES[s.cell] * s.padded
    stride, zeros = KEPT[s.cell] * s.padded, s.at_zeros
    multiply(work, kept, stride, sums, m, columns, columns, zeros, 0, d_x, columns, s.rows)


@part
def _read_backward(work, s, matrices, step, leads_on):
    """Go back to what a step read, and from there to the forecast that was fed back."""
    kept, wide = kept_of(s, 0, step), s.read_wide
    if s.read_in > 0:
        p = s.bottom_stride
        place = step[KEEPS] * s.rows * p
        dx = s.at_dx + place
        _input_backward(work, s, matrices, 0, kept, dx, p)
        if s.read_in == RELU:
            for i in range(s.rows * p):
                if not work[s.at_x + place + i] > 0:
                    work[dx + i] = 0
        if leads_on:
            first = s.layers * LAYER_MATRICES + 2 * (s.head_layers + 1)
            m, zeros = matrices[first, TRANSPOSED], s.at_zeros
            multiply(work, dx, p, p, m, wide, wide, zeros, 0, s.at_d_x, wide, s.rows)
    else:
        _input_backward(work, s, matrices, 0, kept, s.at_d_x, wide)
    if leads_on:
        _fed_back_backward(work, s, step)


@part
def _fed_back_backward(work, s, step):
    """Add the gradient of what a step read to that of the forecast that was fed back."""
    later, channels, wide, read_wide = step[READS] - s.warm_up, s.channels, s.wide, s.read_wide
    passes, last, batch = broadcast(work, s.at_passes + later), s.width - s.channels, s.batch
    is_residual, has_norm = s.residual and step[EMITS] >= 0, s.instance_norm
    has_shares, shares = s.has_shares, s.at_shares + later * s.batch
    std, newest, d_x, bound = s.at_std, s.at_d_newest, s.at_d_x, broadcast(work, s.at_bound)
    first = step[READS] * s.rows * wide
    outputs, d_outputs = s.at_outputs + first, s.at_d_outputs + first
    for row in range(s.own):
        gate, own, grads = passes, row * wide, d_x + row * read_wide
        if has_shares:
            gate = passes * (filled(passes, 1.0) - broadcast(work, shares + row % batch))
        if is_residual:
            for channel in range(channels):
                work[grads + last + channel] += work[newest + row * channels + channel]
        for j in range(own, own + wide, LANES):
            grad = load(work, grads + j - own)
            if has_norm:
                grad = grad / load(work, std + j)
            # Beyond the bound the value that was fed back is a constant.
            grad = gated(grad, load(work, outputs + j), bound)
            store(work, d_outputs + j, load(work, d_outputs + j) + grad * gate)


@part
def _cut(work, s, keeps):
    """End the gradient of the free runs' states before a step of a pushforward."""
    for layer in range(s.layers):
        first = layer * s.rows * s.padded
        for i in range(first, first + s.own * s.padded):
            work[s.at_dh + i] *= keeps
            if s.cell == LSTM:
                work[s.at_dc + i] *= keeps


@part
def _matrix_gradients(work, s, matrices, steps, runs):
    state, shift, units, p = s.rows * s.padded, s.at_gradients - s.at_weights, s.units, s.padded
    clear(work, s.at_gradients, s.at_transposed - s.at_gradients)
    dense = s.layers * LAYER_MATRICES
    read_in = dense + 2 * (s.head_layers + 1)
    for run in range(len(runs)):
        step, rows = steps[runs[run, FIRST]], runs[run, STEPS] * s.rows
        for layer in range(s.layers):
            x, stride, inputs = x_of(s, layer, step)
            h, _ = states_of(s, layer, step[BEFORE])
            gradients = matrices_of(matrices, layer, shift)
            add_gradients(
                *(work, s.cell, gradients, p, x, stride, inputs, h, units),
                *(kept_of(s, layer, step), rows, s.rows * step[RESETS]),
            )
        if s.read_in > 0:
            read, wide = s.at_values + step[READS] * s.rows * s.read_wide, s.read_wide
            dx, q = s.at_dx + step[KEEPS] * s.rows * s.bottom_stride, s.bottom_stride
            weight = matrices[read_in, AT] + shift
            add_outer(work, read, wide, s.read_width, dx, q, q, rows, weight, q)
            add_rows(work, dx, q, q, rows, matrices[read_in + 1, AT] + shift)
    below, rows = s.at_head_in, s.emissions * s.rows
    for i in range(s.head_layers + 1):
        weight, bias = matrices[dense + 2 * i, AT] + shift, matrices[dense + 2 * i + 1, AT] + shift
        grads, q = s.at_d_head + i * s.emissions * state, p
        if i == s.head_layers:
            grads, q = s.at_d_forecast, s.wide
        add_outer(work, below, p, units, grads, q, q, rows, weight, q)
        add_rows(work, grads, q, q, rows, bias)
        below = s.at_head + i * s.emissions * state
