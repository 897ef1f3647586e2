"""The entry into compiled code for states by least squares, compiled when it is first called."""

import sys

from models.network.kernels import (
    cells,
    compiled,
    estimated_backward,
    estimated_forward,
    layout,
    products,
    squashing,
    vectors,
    walk,
)
from models.network.kernels import given as arguments
from models.network.kernels.compiled import digest_of, entry, part
from models.network.kernels.estimated_backward import backward, errors
from models.network.kernels.estimated_forward import forward, gather, read
from models.network.kernels.given import BACKWARD, ERRORS, FORWARD
from models.network.linear import LEAST_RIDGE
from models.network.options.instance_norm import EPSILON

# mypy: disable-error-code="no-untyped-def"

PARTS = (
    *(arguments, cells, compiled, estimated_backward, estimated_forward),
    *(layout, products, squashing, vectors, walk),
)


@part
def _write(work, s, outputs):
    """Copy the outputs to an array `[time, subsequence, channel]`."""
    channels, wide = s.channels, s.wide
    for time in range(s.one_step_from, s.steps):
        for channel in range(channels):
            at = s.at_outputs + (time * channels + channel) * wide
            for b in range(s.batch):
                outputs[time, b, channel] = work[at + b]


@part
def _add(work, s, gradients):
    """Add gradients `[time, subsequence, channel]` to those in the outputs' place."""
    channels, wide = s.channels, s.wide
    for time in range(s.one_step_from, s.steps):
        for channel in range(channels):
            at = s.at_outputs + (time * channels + channel) * wide
            for b in range(s.batch):
                work[at + b] += gradients[time, b, channel]


def _entry(sources):
    """The function that Python calls; sources: what it is compiled from, see `members`."""

    @entry
    def run(tasks, step, memory, record, given):
        """Do the tasks for each member, in a step of the optimiser.

        memory: `[member, number]`, or one row that all use in turn. record: of an
        `EstimatedLayout`. d_outputs of `given` are added to the gradients of squared errors.
        """
        sources  # noqa: B018
        s = record[0]
        for member in range(len(given.weights)):
            work, weights = memory[member % len(memory)], given.weights[member]
            if tasks & FORWARD:
                for b in range(s.batch):
                    gather(
                        *(work, s, b, given.series[given.sources[member, b]]),
                        *(given.starts[member, step, b], given.backwards[member, step, b]),
                        given.factors[member, step, b],
                    )
                read(work, member, s, weights, given.input_noise, given.displaced[0])
                forward(work, member, s, weights, given.output_noise)
                if given.outputs.size > 0:
                    _write(work, s, given.outputs[member])
            if tasks & ERRORS:
                terms = given.horizons[member, step], given.terms[member]
                errors(work, member, s, *terms, given.label_noise)
                if given.d_outputs.size > 0:
                    _add(work, s, given.d_outputs[member])
            if tasks & BACKWARD:
                backward(work, s, weights, given.grads[member])

    return run


_CONSTANTS = (EPSILON, LEAST_RIDGE, layout.BY_LAST)
run = _entry(digest_of((sys.modules[__name__], *PARTS), *_CONSTANTS))
