"""The free run of a population whose states are estimated by least squares, by a kernel."""

from functools import lru_cache

import numpy as np
import torch

from models.network.forecaster import Forecaster
from models.network.kernels.estimated_layout import EstimatedLayout
from models.network.kernels.estimated_members import run
from models.network.kernels.given import FORWARD, array, nothing
from models.tensors import MemberBatchTimeChannel, MemberParameter


def estimated_free_run(
    forecaster: Forecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    first: int,
    displacement: float,
) -> MemberBatchTimeChannel:
    """What `free_run` returns but for its bound, where `covers_estimate` holds.

    first: its `one_step_from`.
    """
    members, batch, warm_up, channels = context.shape
    layout = _layout(forecaster, warm_up, steps, first, batch)
    rows = np.arange(members * batch, dtype=np.int64).reshape(members, batch)
    outputs = torch.empty(members, warm_up + steps, batch, channels)
    given = nothing()._replace(
        weights=array(weights, 2),
        series=array(context.flatten(0, 1).flatten(1), 2),
        sources=rows,
        starts=np.zeros((members, 1, batch), dtype=np.int64),
        backwards=np.zeros((members, 1, batch), dtype=np.bool_),
        factors=np.ones((members, 1, batch), dtype=np.float32),
        outputs=outputs.numpy(),
        displaced=np.array([displacement], dtype=np.float32),
    )
    run(FORWARD, 0, np.zeros((1, layout.size)), layout.record, given)
    return outputs[:, first:].transpose(1, 2).contiguous()


@lru_cache(maxsize=64)
def _layout(
    forecaster: Forecaster, warm_up: int, steps: int, first: int, batch: int
) -> EstimatedLayout:
    return EstimatedLayout.of(
        forecaster,
        batch=batch,
        warm_up=warm_up,
        steps=warm_up + steps,
        true_steps=warm_up,
        one_step_from=first,
    )
