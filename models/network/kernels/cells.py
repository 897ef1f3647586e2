"""One step of a layer, forwards and back: RNN, GRU and LSTM as in `models.network.cells`.

A step keeps its gates, row by row, and its backward step leaves the gradients of the sums before
the gates in their place, from which the gradients of the matrices are made at the end. `h` and `c`
are states before a step, `new_h` and `new_c` after it; `dh` and `dc` gradients of the state after a
step, in whose place those of the state before it are put. All are indices into `work`.
"""

from models.network.kernels.compiled import part
from models.network.kernels.products import add_outer, add_rows, multiply
from models.network.kernels.squashing import logistic, tanh
from models.network.kernels.vectors import LANES, filled, fma, load, store

# mypy: disable-error-code="no-untyped-def"

RNN, GRU, LSTM = 0, 1, 2
# Blocks of as many numbers as the layer has units: of the input's matrix, and kept of each step.
GATES = (1, 3, 4)
KEPT = (1, 4, 5)
# Rows whose gates are in the processor's nearest cache while all products are made of them.
AT_ONCE = 32


@part
def step_forward(work, cell, layer, p, rows, x, x_stride, inputs, h, terms, new_h, c, new_c, kept):
    """Take a step. layer: where its matrices are. p: its units with padding.

    terms: its units, or 0 where the state is zero.
    """
    w, u, b, v = layer
    if cell == RNN:
        multiply(work, x, x_stride, inputs, w, p, p, b, 0, new_h, p, rows)
        multiply(work, h, p, terms, u, p, p, new_h, p, new_h, p, rows)
        for i in range(new_h, new_h + rows * p, LANES):
            store(work, i, tanh(load(work, i)))
    elif cell == GRU:
        multiply(work, x, x_stride, inputs, w, 3 * p, 3 * p, b, 0, kept, 4 * p, rows)
        multiply(work, h, p, terms, u, 3 * p, 2 * p, kept, 4 * p, kept, 4 * p, rows)
        # The state's part of the proposal stays by itself, since a gate multiplies it.
        own, gate = kept + 3 * p, v + 2 * p
        multiply(work, h, p, terms, u + 2 * p, 3 * p, p, gate, 0, own, 4 * p, rows)
        _gru_forward(work, p, rows, h, new_h, kept)
    else:
        multiply(work, x, x_stride, inputs, w, 4 * p, 4 * p, b, 0, kept, 5 * p, rows)
        multiply(work, h, p, terms, u, 4 * p, 4 * p, kept, 5 * p, kept, 5 * p, rows)
        _lstm_forward(work, p, rows, new_h, c, new_c, kept)


@part
def _gru_forward(work, p, rows, h, new_h, kept):
    for row in range(rows):
        at, k = row * p, kept + row * 4 * p
        for j in range(0, p, LANES):
            reset, update = logistic(load(work, k + j)), logistic(load(work, k + p + j))
            proposal = tanh(fma(reset, load(work, k + 3 * p + j), load(work, k + 2 * p + j)))
            state = load(work, h + at + j)
            store(work, new_h + at + j, fma(update, state - proposal, proposal))
            store(work, k + j, reset)
            store(work, k + p + j, update)
            store(work, k + 2 * p + j, proposal)


@part
def _lstm_forward(work, p, rows, new_h, c, new_c, kept):
    for row in range(rows):
        at, k = row * p, kept + row * 5 * p
        for j in range(0, p, LANES):
            write, keep = logistic(load(work, k + j)), logistic(load(work, k + p + j))
            read, content = logistic(load(work, k + 2 * p + j)), tanh(load(work, k + 3 * p + j))
            memory = fma(keep, load(work, c + at + j), write * content)
            squashed = tanh(memory)
            store(work, new_c + at + j, memory)
            store(work, new_h + at + j, read * squashed)
            store(work, k + j, write)
            store(work, k + p + j, keep)
            store(work, k + 2 * p + j, read)
            store(work, k + 3 * p + j, content)
            store(work, k + 4 * p + j, squashed)


@part
def step_backward(work, cell, transposed, p, rows, h, new_h, c, kept, dh, dc, is_reset):
    """Go back through a step. transposed: where the state's matrix is, transposed.

    The gradient of a state that is reset is not asked for.
    """
    terms = 0 if is_reset else p
    if cell == RNN:
        for i in range(0, rows * p, LANES):
            y, d = load(work, new_h + i), load(work, dh + i)
            store(work, kept + i, d - d * y * y)
            store(work, dh + i, filled(d, 0.0))
        multiply(work, kept, p, terms, transposed, p, p, dh, p, dh, p, rows)
    elif cell == GRU:
        _gru_backward(work, p, rows, h, kept, dh)
        multiply(work, kept, 4 * p, 2 * terms, transposed, p, p, dh, p, dh, p, rows)
        own = transposed + 2 * p * p
        multiply(work, kept + 3 * p, 4 * p, terms, own, p, p, dh, p, dh, p, rows)
    else:
        _lstm_backward(work, p, rows, c, kept, dh, dc)
        multiply(work, kept, 5 * p, 4 * terms, transposed, p, p, dh, p, dh, p, rows)


@part
def _gru_backward(work, p, rows, h, kept, dh):
    for row in range(rows):
        at, k = row * p, kept + row * 4 * p
        for j in range(0, p, LANES):
            d = load(work, dh + at + j)
            reset, update = load(work, k + j), load(work, k + p + j)
            proposal, own = load(work, k + 2 * p + j), load(work, k + 3 * p + j)
            through = d * update
            d_proposal = (d - through) * (filled(d, 1.0) - proposal * proposal)
            d_reset = d_proposal * own * (reset - reset * reset)
            d_update = d * (load(work, h + at + j) - proposal) * (update - update * update)
            store(work, k + j, d_reset)
            store(work, k + p + j, d_update)
            store(work, k + 2 * p + j, d_proposal)
            store(work, k + 3 * p + j, d_proposal * reset)
            store(work, dh + at + j, through)


@part
def _lstm_backward(work, p, rows, c, kept, dh, dc):
    for row in range(rows):
        at, k = row * p, kept + row * 5 * p
        for j in range(0, p, LANES):
            d, one = load(work, dh + at + j), filled(load(work, dh + at + j), 1.0)
            write, keep = load(work, k + j), load(work, k + p + j)
            read, content = load(work, k + 2 * p + j), load(work, k + 3 * p + j)
            squashed = load(work, k + 4 * p + j)
            d_memory = fma(d * read, one - squashed * squashed, load(work, dc + at + j))
            store(work, k + j, d_memory * content * (write - write * write))
            d_keep = d_memory * load(work, c + at + j) * (keep - keep * keep)
            store(work, k + p + j, d_keep)
            store(work, k + 2 * p + j, d * squashed * (read - read * read))
            store(work, k + 3 * p + j, d_memory * write * (one - content * content))
            store(work, dc + at + j, d_memory * keep)
            store(work, dh + at + j, filled(d, 0.0))


@part
def add_gradients(work, cell, gradients, p, x, x_stride, inputs, h, units, kept, rows, skipped):
    """Add to the gradients of a layer's matrices what some steps in a row give.

    rows: of all these steps together. skipped: rows at their beginning whose state is zero.
    """
    g, k = GATES[cell] * p, KEPT[cell] * p
    for row in range(0, rows, AT_ONCE):
        few = min(AT_ONCE, rows - row)
        _add_few_gradients(
            *(work, cell, gradients, p, x + row * x_stride, x_stride, inputs, h + row * p, units),
            *(kept + row * k, g, k, few, min(max(skipped - row, 0), few)),
        )


@part
def _add_few_gradients(
    work, cell, gradients, p, x, x_stride, inputs, h, units, kept, g, k, rows, skipped
):
    w, u, b, v = gradients
    add_outer(work, x, x_stride, inputs, kept, k, g, rows, w, g)
    add_rows(work, kept, k, g, rows, b)
    h, later, kept_later = h + skipped * p, rows - skipped, kept + skipped * k
    if cell == GRU:
        add_outer(work, h, p, units, kept_later, k, 2 * p, later, u, g)
        add_outer(work, h, p, units, kept_later + 3 * p, k, p, later, u + 2 * p, g)
        add_rows(work, kept, k, 2 * p, rows, v)
        add_rows(work, kept + 3 * p, k, p, rows, v + 2 * p)
    else:
        add_outer(work, h, p, units, kept_later, k, g, later, u, g)
