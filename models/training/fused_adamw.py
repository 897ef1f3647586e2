"""A step of AdamW by compiled code: one pass over a member's parameters instead of a dozen."""

import sys
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.network.kernels import compiled, vectors
from models.network.kernels.compiled import digest_of, entry, inlined, part
from models.network.kernels.vectors import LANES, broadcast, filled, fma, lane, load, root, store
from models.training.options.optimiser import BETA1, BETA2, EPSILON, NORM_EPSILON

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

PARTS = (compiled, vectors)


@lru_cache(maxsize=1024)
def constants(step: int) -> NDArray[np.float32]:
    """What a step of this number needs beside its members' settings, in single precision.

    One, what is new in each moment, the inverse of its bias, EPSILON and NORM_EPSILON.
    """
    inverse = [1.0 / (1.0 - beta ** (step + 1)) for beta in (BETA1, BETA2)]
    numbers = [1.0, 1.0 - BETA1, 1.0 - BETA2, *inverse, EPSILON, NORM_EPSILON]
    return np.array(numbers, dtype=np.float32)


@part
def _norm(grads, trained, parameters, first):
    """The norm of a member's gradient, which begins at `first`."""
    whole = parameters // LANES * LANES
    sums = filled(broadcast(grads, first), 0.0)
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

    constants: those of `constants` but the last one, and the rate.
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
    def run(step, weights, grads, trained, decay, first, second, rates, bounds, constants):
        """Take a step in place, as `AdamW` says.

        weights, grads, trained, decay, first, second: `[member, parameter]`. rates: `[member,
        step]`. bounds: of the norm of a member's gradient, `[member, 1]`. constants: see there.
        """
        sources  # noqa: B018
        members, parameters = weights.shape
        weights, grads, trained = weights.reshape(-1), grads.reshape(-1), trained.reshape(-1)
        decay, first, second = decay.reshape(-1), first.reshape(-1), second.reshape(-1)
        whole = parameters // LANES * LANES
        scales = np.empty(2, dtype=weights.dtype)
        for member in range(members):
            begin = member * parameters
            norm = _norm(grads, trained, parameters, begin)
            if not np.isfinite(norm):
                continue
            scales[0] = min(constants[0], bounds[member, 0] / (norm + constants[6]))
            scales[1] = rates[member, step]
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


run = _entry(digest_of((sys.modules[__name__], *PARTS)))
