"""A step of AdamW by compiled code: one pass over a member's parameters instead of a dozen."""

import sys

import numpy as np

from models.network.kernels import compiled, vectors
from models.network.kernels.compiled import digest_of, entry, inlined, part
from models.network.kernels.vectors import LANES, broadcast, filled, fma, lane, load, root, store

# mypy: disable-error-code="no-untyped-def"

@part
def _norm(grads, trained, parameters, first):
    """The norm of a member's gradient, which begins at `first`."""
    whole = parameters // LANES * LANES
    sums = filled(load(grads, first), 0.0)
    for j in range(first, first + whole, LANES):
        grad = load(grads, j) * load(trained, j)
        sums = fma(grad, grad, sums)
    total = lane(sums, 0) * 0
    for i in range(LANES):
        total += lane(sums, i)
    for j in range(first + whole, first + parameters):
        grad = grads[j] * trained[j]
        total += grad * grad
    return np.sqrt(total)


@inlined
def _moved(weight, grad, decay, moments, constants):
    """A weight and its moments after a step: numbers, or vectors of them.

    constants: one, what is new in each moment, the inverse of its bias, EPSILON, and the rate.
    """
    moment, square = moments
    one, new, new_square, larger, larger_square, epsilon, rate = constants
    moment = moment + new * (grad - moment)
    square = square + new_square * (grad * grad - square)
    direction = moment * larger / (root(square * larger_square) + epsilon)
    return weight * (one - rate * decay) - rate * direction, moment, square


def _entry(sources):
    """The function that Python calls; sources: as for the kernels of gradients."""

    @entry
    def run(weights, grads, trained, decay, first, second, each, constants):
        """Take a step in place, as `AdamW` says.

        weights, grads, trained, decay, first, second: numbers of all members, one after the other.
        each: of a member, the norm to which a gradient is clipped, and the rate. constants: those
        of `_moved` but the rate, and NORM_EPSILON.
        """
        sources  # noqa: B018
        parameters = len(weights) // len(each)
        whole = parameters // LANES * LANES
        scales = np.empty(2, dtype=weights.dtype)
        for member in range(len(each)):
            begin = member * parameters
            norm = _norm(grads, trained, parameters, begin)
            if not np.isfinite(norm):
                continue
            scales[0] = min(constants[0], each[member, 0] / (norm + constants[6]))
            scales[1] = each[member, 1]
            scale = broadcast(scales, 0)
            for j in range(begin, begin + whole, LANES):
                weight, moment, square = _moved(
                    *(load(weights, j), load(grads, j) * load(trained, j) * scale, load(decay, j)),
                    (load(first, j), load(second, j)),
                    (
                        *(broadcast(constants, 0), broadcast(constants, 1)),
                        *(broadcast(constants, 2), broadcast(constants, 3)),
                        *(broadcast(constants, 4), broadcast(constants, 5), broadcast(scales, 1)),
                    ),
                )
                store(weights, j, weight)
                store(first, j, moment)
                store(second, j, square)
            for j in range(begin + whole, begin + parameters):
                weights[j], first[j], second[j] = _moved(
                    *(weights[j], grads[j] * trained[j] * scales[0], decay[j]),
                    (first[j], second[j]),
                    (
                        *(constants[0], constants[1], constants[2], constants[3]),
                        *(constants[4], constants[5], scales[1]),
                    ),
                )

    return run


run = _entry(digest_of((sys.modules[__name__], compiled, vectors)))
