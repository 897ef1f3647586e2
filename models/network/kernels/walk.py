"""The walk of one member over the steps of its plan, forwards and back."""

from models.network.kernels.cells import KEPT, LSTM, step_forward
from models.network.kernels.compiled import part
from models.network.kernels.layout import (
    AFTER,
    AT,
    BEFORE,
    EMISSION,
    EMITS,
    KEEPS,
    LAYER_MATRICES,
    READS,
    RELU,
    RESETS,
)
from models.network.kernels.products import multiply
from models.network.kernels.squashing import tanh
from models.network.kernels.vectors import LANES, broadcast, clamp, filled, load, store

# mypy: disable-error-code="no-untyped-def"


@part
def matrices_of(matrices, layer, shift):
    """Where a layer's four matrices are, or their gradients, `shift` behind them."""
    first = layer * LAYER_MATRICES
    return (
        matrices[first, AT] + shift,
        matrices[first + 1, AT] + shift,
        matrices[first + 2, AT] + shift,
        matrices[first + 3, AT] + shift,
    )


@part
def x_of(s, layer, step):
    """What a layer reads at a step: where it is, and its stride and numbers."""
    state = s.rows * s.padded
    if layer > 0:
        if s.has_masks:
            return s.at_up + ((layer - 1) * s.slots + step[KEEPS]) * state, s.padded, s.units
        return s.at_h + ((layer - 1) * (s.slots + 1) + step[AFTER]) * state, s.padded, s.units
    if s.read_in > 0:
        return s.at_x + step[KEEPS] * s.rows * s.bottom_stride, s.bottom_stride, s.bottom
    return s.at_values + step[READS] * s.rows * s.read_wide, s.read_wide, s.bottom


@part
def states_of(s, layer, slot):
    """Where a layer's states `h` and `c` of a slot are."""
    place = (layer * (s.slots + 1) + slot) * s.rows * s.padded
    return s.at_h + place, s.at_c + place


@part
def kept_of(s, layer, step):
    """Where a layer's gates of a step are."""
    return s.at_kept + (layer * s.slots + step[KEEPS]) * s.rows * s.padded * KEPT[s.cell]


@part
def mask_of(s, layer, index):
    """Where the mask of a layer's output at step number `index` is."""
    return s.at_masks + (index * s.layers + layer) * s.rows * s.padded


@part
def clear(work, at, numbers):
    """Put zeros into whole vectors."""
    for i in range(at, at + numbers, LANES):
        store(work, i, filled(load(work, i), 0.0))


@part
def add(work, to, of, numbers):
    """Add vectors to others."""
    for i in range(0, numbers, LANES):
        store(work, to + i, load(work, to + i) + load(work, of + i))


@part
def mask(work, of, by, to, numbers):
    """Write the products of vectors."""
    for i in range(0, numbers, LANES):
        store(work, to + i, load(work, of + i) * load(work, by + i))


@part
def move(array, of, to_array, to, numbers):
    """Copy numbers from one array to another."""
    j = 0
    while j + LANES <= numbers:
        store(to_array, to + j, load(array, of + j))
        j += LANES
    while j < numbers:
        to_array[to + j] = array[of + j]
        j += 1


@part
def spread(work, of, to, channels, wide):
    """Repeat the values of a row's channels along a whole row."""
    if channels == 1:
        value = broadcast(work, of)
        for j in range(0, wide, LANES):
            store(work, to + j, value)
        return
    for channel in range(channels):
        for j in range(channel, wide, channels):
            work[to + j] = work[of + channel]


@part
def clipped(value, bound):
    """A value within the bound; what is not a number stays so."""
    if value < -bound:
        return -bound
    if value > bound:
        return bound
    return value


@part
def forward(work, s, matrices, steps):
    """Walk over all steps: `work` then holds what was forecast, and what `backward` needs."""
    state = s.rows * s.padded
    for index in range(len(steps)):
        step = steps[index]
        if s.read_in > 0:
            _read_in_forward(work, s, matrices, step)
        for layer in range(s.layers):
            x, stride, inputs = x_of(s, layer, step)
            h, c = states_of(s, layer, step[BEFORE])
            new_h, new_c = states_of(s, layer, step[AFTER])
            terms = s.units
            if step[RESETS]:
                terms = 0
                clear(work, h, state)
                if s.cell == LSTM:
                    clear(work, c, state)
            elif s.has_state_noise:
                _disturb(work, s, steps, index, layer)
            step_forward(
                *(work, s.cell, matrices_of(matrices, layer, 0), s.padded, s.rows),
                *(x, stride, inputs, h, terms, new_h, c, new_c, kept_of(s, layer, step)),
            )
            if s.has_masks and layer + 1 < s.layers:
                up, _, _ = x_of(s, layer + 1, step)
                mask(work, new_h, mask_of(s, layer, index), up, state)
        if step[EMITS] >= 0:
            _emit(work, s, matrices, index, step)
            if step[EMITS] >= s.warm_up:
                _feed_back(work, s, step)


@part
def _read_in_forward(work, s, matrices, step):
    first = s.layers * LAYER_MATRICES + 2 * (s.head_layers + 1)
    read = s.at_values + step[READS] * s.rows * s.read_wide
    x, p, _ = x_of(s, 0, step)
    weight, bias = matrices[first, AT], matrices[first + 1, AT]
    multiply(work, read, s.read_wide, s.read_width, weight, p, p, bias, 0, x, p, s.rows)
    if s.read_in == RELU:
        for i in range(x, x + s.rows * p):
            work[i] = max(work[i], 0)


@part
def _disturb(work, s, steps, index, layer):
    """Put the state before a step: the one that was left, and noise."""
    # The very first state is where it is.
    last = steps[index - 1, AFTER] if index > 0 else steps[index, BEFORE]
    h, c = states_of(s, layer, steps[index, BEFORE])
    left_h, left_c = states_of(s, layer, last)
    state, is_lstm = s.rows * s.padded, s.cell == LSTM
    noise = s.at_state_noise + (index * s.layers + layer) * (1 + is_lstm) * state
    for i in range(0, state, LANES):
        store(work, h + i, load(work, left_h + i) + load(work, noise + i))
        if is_lstm:
            store(work, c + i, load(work, left_c + i) + load(work, noise + state + i))


@part
def _emit(work, s, matrices, index, step):
    """Write a step's forecast among the outputs."""
    state, p, wide = s.rows * s.padded, s.padded, s.wide
    top, _ = states_of(s, s.layers - 1, step[AFTER])
    below = s.at_head_in + step[EMISSION] * state
    if s.has_masks:
        mask(work, top, mask_of(s, s.layers - 1, index), below, state)
    else:
        for i in range(0, state, LANES):
            store(work, below + i, load(work, top + i))
    first = s.layers * LAYER_MATRICES
    for i in range(s.head_layers):
        weight, bias = matrices[first, AT], matrices[first + 1, AT]
        out = s.at_head + (i * s.emissions + step[EMISSION]) * state
        multiply(work, below, p, s.units, weight, p, p, bias, 0, out, p, s.rows)
        for j in range(out, out + state, LANES):
            store(work, j, tanh(load(work, j)))
        below = out
        first += 2
    weight, bias = matrices[first, AT], matrices[first + 1, AT]
    multiply(work, below, p, s.units, weight, wide, wide, bias, 0, s.at_raw, wide, s.rows)
    _out(work, s, step)
    if s.lags > 0:
        _add_autoregression(work, s, matrices, step[EMITS])
    if s.has_output_noise:
        _add_noise(work, s, step[EMITS])
    if s.clips:
        out, bound = s.at_outputs + step[EMITS] * s.rows * wide, work[s.at_bound]
        for i in range(out, out + s.rows * wide):
            work[i] = clipped(work[i], bound) if work[i] == work[i] else bound


@part
def _out(work, s, step):
    """From the head's last sums to the forecast, in the units of the series."""
    # Sizes are read once: numbers that are written could be theirs, as far as a compiler knows.
    width, channels, wide, rows, read_wide = s.width, s.channels, s.wide, s.rows, s.read_wide
    is_residual, is_scaled, has_norm = s.residual, s.increments >= 0, s.instance_norm
    stds, level, std, newest = s.at_increment_stds, s.at_level, s.at_std, s.at_newest
    raw, out = s.at_raw, s.at_outputs + step[EMITS] * rows * wide
    last = s.at_values + step[READS] * rows * read_wide + width - channels
    for row in range(0, rows * wide, wide):
        if is_residual:
            spread(work, last, newest, channels, wide)
            last += read_wide
        for j in range(0, wide, LANES):
            forecast = load(work, raw + row + j)
            if is_scaled:
                forecast = forecast * load(work, stds + j)
            if is_residual:
                forecast = forecast + load(work, newest + j)
            if has_norm:
                forecast = forecast * load(work, std + row + j) + load(work, level + row + j)
            store(work, out + row + j, forecast)


@part
def lags_of(s, position):
    """The first position that an autoregression reads for the forecast of another."""
    return position - s.lags // s.segment


@part
def _add_autoregression(work, s, matrices, position):
    """Add what the autoregression of a hybrid forecasts to what the network puts out."""
    rows, wide, channels, segment = s.rows, s.wide, s.channels, s.segment
    lags_wide, steps_wide, has_norm = s.lags_wide, s.steps_wide, s.instance_norm
    lagged, ahead, zeros = s.at_lagged, s.at_ahead, s.at_zeros
    level, std, sums = s.at_level, s.at_std, s.at_lag_sums
    first = lags_of(s, position)
    for channel in range(channels):
        for row in range(rows):
            to = lagged + (channel * rows + row) * lags_wide
            for place in range(first, position):
                of = s.at_values + (place * rows + row) * s.read_wide + channel
                for i in range(segment):
                    work[to + i] = work[of + i * channels]
                to += segment
        m = matrices[s.autoregression + channel, AT]
        read, to = lagged + channel * rows * lags_wide, ahead + channel * rows * steps_wide
        multiply(
            *(work, read, lags_wide, s.lags, m, steps_wide, steps_wide),
            *(zeros, 0, to, steps_wide, rows),
        )
        for row in range(rows):
            out = s.at_outputs + (position * rows + row) * wide + channel
            of, own = to + row * steps_wide, row * wide + channel
            for i in range(segment):
                forecast = work[of + i]
                if has_norm:
                    # The output has the level once already.
                    twice = work[level + own] * (work[sums + channel * steps_wide + i] - 1)
                    forecast = forecast * work[std + own] + twice
                work[out + i * channels] += forecast


@part
def _add_noise(work, s, position):
    numbers = s.batch * s.wide
    noise = s.at_output_noise + position * numbers
    for branch in range(s.branches):
        add(work, s.at_outputs + (position * s.branches + branch) * numbers, noise, numbers)


@part
def _feed_back(work, s, step):
    """Put what the free runs read at the position of a forecast in the truth's place."""
    position, width, wide, batch = step[EMITS], s.width, s.wide, s.batch
    read_wide, has_known = s.read_wide, s.exogenous > 0
    has_noise, has_norm, has_shares = s.has_feedback_noise, s.instance_norm, s.has_shares
    reads = s.at_values + position * s.rows * read_wide
    outputs = s.at_outputs + position * s.rows * wide
    noise = s.at_feedback_noise + position * batch * wide
    level, std, aside = s.at_level, s.at_std, s.at_raw
    shares, bound = s.at_shares + (position - s.warm_up) * batch, broadcast(work, s.at_bound)
    zero, one = filled(bound, 0.0), filled(bound, 1.0)
    if s.is_autonomous:
        for row in range(reads, reads + s.own * read_wide, read_wide):
            for i in range(row, row + width):
                work[i] = 0
        return
    for row in range(s.own):
        own, to = row * wide, reads + row * read_wide
        for j in range(0, wide, LANES):
            value = clamp(load(work, outputs + own + j), zero - bound, bound)
            if has_noise:
                value = value + load(work, noise + row % batch * wide + j)
            if has_norm:
                value = (value - load(work, level + own + j)) / load(work, std + own + j)
            if has_shares:
                share = broadcast(work, shares + row % batch)
                value = share * load(work, to + j) + (one - share) * value
            store(work, (aside if has_known else to) + j, value)
        if has_known:
            # These follow at once on the values, in whose last vector they would be lost.
            for i in range(width):
                work[to + i] = work[aside + i]
