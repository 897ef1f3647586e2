"""What a kernel is given of a cohort, beside its layout."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.tensors import Tensor

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# What a kernel does with each member; they may be added up.
FORWARD, ERRORS, BACKWARD = 1, 2, 4


class Given(NamedTuple):
    """What the members of a cohort read and are trained with; an empty array where there is none.

    weights, grads: parameters and their gradients, `[member, parameter]`.
    series: the truth, `[series, number]`, the channels of a step side by side; sources: which one a
    subsequence is of, `[member, batch]`. Of each step of the optimiser, `[member, step, batch]`:
    starts: the lowest position of a subsequence in its series; backwards: whether it is read from
    its end; factors: what it is multiplied by; fresh: whether it starts from zero although there
    are streams. Behind the last step of a subsequence, that is repeated. exogenous: known columns
    of the same positions, `[series, time, column]`.
    input_noise, label_noise, feedback_noise, output_noise: `[member, time, batch, channel]`, whole
    segments. shares: of the truth in what free runs read, `[member, rollout position, batch, 1]`.
    masks, state_noise: `[step, layer, member, row, unit]`. outputs, d_outputs: forecasts, and the
    gradients of their losses beside squared errors, `[member, time, row, channel]`. horizons: of
    each member's loss, `[member, step]`; terms: the steps before those that count, and the share of
    one-step errors, `[member, 2]`; see `Objective.error_weights`.
    passes: whether gradients flow through what is fed back, `[member, rollout position, 1, 1]`.
    cuts: what the gradient of free runs' states is multiplied by before each step, `[member, step,
    1, 1]`. match: see `Objective.match_weights`, `[member, position, branch, 1]`. stream: states to
    start from, and those that are left, `[member, layer, batch, unit]`. displaced: by how much the
    last value before a branch's free run is moved, `[branch]`. bound: of what is fed back, in
    training standard deviations, `[1]`.
    """

    weights: FloatArray
    grads: FloatArray
    series: FloatArray
    sources: IntArray
    starts: IntArray
    backwards: BoolArray
    fresh: BoolArray
    factors: FloatArray
    exogenous: FloatArray
    input_noise: FloatArray
    label_noise: FloatArray
    feedback_noise: FloatArray
    output_noise: FloatArray
    shares: FloatArray
    masks: FloatArray
    state_noise: FloatArray
    outputs: FloatArray
    d_outputs: FloatArray
    horizons: FloatArray
    terms: FloatArray
    passes: FloatArray
    cuts: FloatArray
    match: FloatArray
    stream: FloatArray
    displaced: FloatArray
    bound: FloatArray


def nothing() -> Given:
    """Empty arrays."""
    axes = dict.fromkeys(Given._fields, 4)
    axes |= dict.fromkeys(("weights", "grads", "series", "horizons", "terms"), 2)
    axes |= {"factors": 3, "exogenous": 3, "masks": 5, "state_noise": 5, "displaced": 1, "bound": 1}
    arrays: dict[str, Any] = {name: array(None, number) for name, number in axes.items()}
    arrays["sources"] = np.empty((0, 0), dtype=np.int64)
    arrays["starts"] = np.empty((0, 0, 0), dtype=np.int64)
    for name in ("backwards", "fresh"):
        arrays[name] = np.empty((0, 0, 0), dtype=np.bool_)
    return Given(**arrays)


def array(values: Tensor | None, axes: int) -> FloatArray:
    """The numbers of a tensor, contiguous; an empty array for None."""
    if values is None or values.numel() == 0:
        return np.empty((0,) * axes, dtype=np.float32)
    numbers: FloatArray = values.detach().contiguous().numpy()
    return numbers
