"""The free run of a population by compiled kernels, one member after the other."""

from functools import lru_cache

import numpy as np
import torch

from models.network.forecaster import Forecaster
from models.network.kernels.given import FORWARD, array, nothing
from models.network.kernels.layout import Layout
from models.network.kernels.members import run
from models.network.options.segments import padded
from models.network.plan import plan
from models.tensors import MemberBatchTimeChannel, MemberParameter


def fused_free_run(
    forecaster: Forecaster,
    weights: MemberParameter,
    context: MemberBatchTimeChannel,
    steps: int,
    first: int,
    *,
    truth: MemberBatchTimeChannel | None,
    displacement: float,
    bound: float,
    exogenous: MemberBatchTimeChannel | None = None,
) -> MemberBatchTimeChannel:
    """What `free_run` returns, in single precision, for architectures that kernels cover.

    first: its `one_step_from`.
    """
    members, batch, warm_up, channels = context.shape
    known = (context if truth is None else torch.cat([context, truth], dim=2)).float()
    layout = _layout(forecaster, warm_up, steps, first, batch, truth is None)
    rows = np.arange(members * batch, dtype=np.int64).reshape(members, batch)
    segment = forecaster.architecture.segment_steps
    outputs = torch.zeros(members, warm_up + padded(steps, segment), batch, channels)
    given = nothing()._replace(
        weights=array(weights.float(), 2),
        series=array(known.flatten(0, 1).flatten(1), 2),
        exogenous=array(None if exogenous is None else exogenous.flatten(0, 1), 3),
        sources=rows,
        starts=np.zeros((members, 1, batch), dtype=np.int64),
        backwards=np.zeros((members, 1, batch), dtype=np.bool_),
        factors=np.ones((members, 1, batch), dtype=np.float32),
        outputs=outputs.numpy(),
        displaced=np.array([displacement], dtype=np.float32),
        bound=np.array([bound], dtype=np.float32),
    )
    memory = np.zeros((1, layout.size), dtype=np.float32)
    run(FORWARD, 0, memory, layout.unroll, layout.matrices, layout.steps, layout.runs, given)
    return outputs[:, first : warm_up + steps].transpose(1, 2).contiguous()


@lru_cache(maxsize=64)
def _layout(
    forecaster: Forecaster, warm_up: int, steps: int, first: int, batch: int, is_free: bool
) -> Layout:
    architecture = forecaster.architecture
    segment = architecture.segment_steps
    return Layout.of(
        forecaster,
        plan(architecture, warm_up, steps, first),
        keeps=0,
        clips=1,
        batch=batch,
        own=batch if is_free else 0,
        warm_up=warm_up // segment,
        positions=(warm_up + padded(steps, segment)) // segment,
        true_steps=warm_up if is_free else warm_up + steps,
        known_steps=warm_up + steps,
        one_step_from=first,
    )
