"""Matrix products of one member, in tiles whose sums stay in registers.

All numbers lie in one flat array, `work`; arguments are indices into it, strides in numbers, and
counts. Columns are counted with their padding, a multiple of `LANES`, which holds zeros. A row
beyond the last one of a tile is the last one again: it is computed twice, and written twice alike.
"""

from models.network.kernels.compiled import part
from models.network.kernels.vectors import LANES, broadcast, fma, load, store

# mypy: disable-error-code="no-untyped-def"


@part
def multiply(
    work, x, x_stride, terms, matrix, matrix_stride, columns, start, start_stride, out, stride, rows
):
    """out[row] = start[row] + sum over k of x[row, k] matrix[k]; `start` may be `out` itself."""
    last = rows - 1
    for row in range(0, rows, 4):
        a, b, c, d = row, min(row + 1, last), min(row + 2, last), min(row + 3, last)
        xa, xb, xc, xd = (x + a * x_stride, x + b * x_stride, x + c * x_stride, x + d * x_stride)
        sa, sb = start + a * start_stride, start + b * start_stride
        sc, sd = start + c * start_stride, start + d * start_stride
        oa, ob, oc, od = out + a * stride, out + b * stride, out + c * stride, out + d * stride
        j = 0
        while j + 2 * LANES <= columns:
            a0, a1 = load(work, sa + j), load(work, sa + j + LANES)
            b0, b1 = load(work, sb + j), load(work, sb + j + LANES)
            c0, c1 = load(work, sc + j), load(work, sc + j + LANES)
            d0, d1 = load(work, sd + j), load(work, sd + j + LANES)
            at = matrix + j
            for k in range(terms):
                m0, m1 = load(work, at), load(work, at + LANES)
                one, two = broadcast(work, xa + k), broadcast(work, xb + k)
                a0, a1 = fma(one, m0, a0), fma(one, m1, a1)
                b0, b1 = fma(two, m0, b0), fma(two, m1, b1)
                one, two = broadcast(work, xc + k), broadcast(work, xd + k)
                c0, c1 = fma(one, m0, c0), fma(one, m1, c1)
                d0, d1 = fma(two, m0, d0), fma(two, m1, d1)
                at += matrix_stride
            store(work, oa + j, a0)
            store(work, oa + j + LANES, a1)
            store(work, ob + j, b0)
            store(work, ob + j + LANES, b1)
            store(work, oc + j, c0)
            store(work, oc + j + LANES, c1)
            store(work, od + j, d0)
            store(work, od + j + LANES, d1)
            j += 2 * LANES
        if j < columns:
            a0, b0, c0, d0 = (
                load(work, sa + j),
                load(work, sb + j),
                load(work, sc + j),
                load(work, sd + j),
            )
            at = matrix + j
            for k in range(terms):
                m0 = load(work, at)
                a0, b0 = (
                    fma(broadcast(work, xa + k), m0, a0),
                    fma(broadcast(work, xb + k), m0, b0),
                )
                c0, d0 = (
                    fma(broadcast(work, xc + k), m0, c0),
                    fma(broadcast(work, xd + k), m0, d0),
                )
                at += matrix_stride
            store(work, oa + j, a0)
            store(work, ob + j, b0)
            store(work, oc + j, c0)
            store(work, od + j, d0)


@part
def add_outer(work, x, x_stride, terms, grad, grad_stride, columns, rows, out, stride):
    """out[k] += sum over rows of x[row, k] grad[row]: a matrix's gradient from its product's."""
    last = terms - 1
    for k in range(0, terms, 4):
        a, b, c, d = k, min(k + 1, last), min(k + 2, last), min(k + 3, last)
        oa, ob, oc, od = out + a * stride, out + b * stride, out + c * stride, out + d * stride
        j = 0
        while j + 2 * LANES <= columns:
            a0, a1 = load(work, oa + j), load(work, oa + j + LANES)
            b0, b1 = load(work, ob + j), load(work, ob + j + LANES)
            c0, c1 = load(work, oc + j), load(work, oc + j + LANES)
            d0, d1 = load(work, od + j), load(work, od + j + LANES)
            at, g = x, grad + j
            for _ in range(rows):
                g0, g1 = load(work, g), load(work, g + LANES)
                one, two = broadcast(work, at + a), broadcast(work, at + b)
                a0, a1 = fma(one, g0, a0), fma(one, g1, a1)
                b0, b1 = fma(two, g0, b0), fma(two, g1, b1)
                one, two = broadcast(work, at + c), broadcast(work, at + d)
                c0, c1 = fma(one, g0, c0), fma(one, g1, c1)
                d0, d1 = fma(two, g0, d0), fma(two, g1, d1)
                at += x_stride
                g += grad_stride
            store(work, oa + j, a0)
            store(work, oa + j + LANES, a1)
            store(work, ob + j, b0)
            store(work, ob + j + LANES, b1)
            store(work, oc + j, c0)
            store(work, oc + j + LANES, c1)
            store(work, od + j, d0)
            store(work, od + j + LANES, d1)
            j += 2 * LANES
        if j < columns:
            a0, b0, c0, d0 = (
                load(work, oa + j),
                load(work, ob + j),
                load(work, oc + j),
                load(work, od + j),
            )
            at, g = x, grad + j
            for _ in range(rows):
                g0 = load(work, g)
                a0, b0 = (
                    fma(broadcast(work, at + a), g0, a0),
                    fma(broadcast(work, at + b), g0, b0),
                )
                c0, d0 = (
                    fma(broadcast(work, at + c), g0, c0),
                    fma(broadcast(work, at + d), g0, d0),
                )
                at += x_stride
                g += grad_stride
            store(work, oa + j, a0)
            store(work, ob + j, b0)
            store(work, oc + j, c0)
            store(work, od + j, d0)


@part
def add_rows(work, grad, grad_stride, columns, rows, out):
    """out += sum over rows of grad[row]: an offset's gradient."""
    for j in range(0, columns, LANES):
        total = load(work, out + j)
        at = grad + j
        for _ in range(rows):
            total = total + load(work, at)
            at += grad_stride
        store(work, out + j, total)
