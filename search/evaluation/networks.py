"""Running trained networks on data in the series' own units."""

import numpy as np
import torch

from models.candidate import forecaster_of, free_run
from models.checkpoint import Checkpoint
from models.tensors import in_company
from search.series import FloatArray


def run_networks(
    checkpoint: Checkpoint,
    contexts: FloatArray,
    steps: int,
    truth: FloatArray | None = None,
) -> FloatArray:
    """Forecast `steps` values after each context: `[member, batch, step, channel]`.

    contexts: `[member, batch, time, channel]` in the series' units, or with 1 for member where all
    networks read the same; as many steps as the architecture's context has. truth: `[member,
    batch, step, channel]`; where given it is read in place of the forecasts, so that each is a
    one-step forecast.

    Raises OverflowError where scaled contexts are no finite numbers in the networks' precision.
    """
    forecaster = forecaster_of(checkpoint.architecture, checkpoint.channels)
    members = len(checkpoint.weights)
    rows = in_company(range(members))
    shift = checkpoint.shift.double().numpy()[rows][:, np.newaxis, np.newaxis]
    scale = checkpoint.scale.double().numpy()[rows][:, np.newaxis, np.newaxis]

    def scaled(values: FloatArray) -> torch.Tensor:
        own = values if len(values) == 1 else values[rows]
        read = torch.from_numpy((own - shift) / scale).to(forecaster.dtype)
        if not torch.isfinite(read).all():
            raise OverflowError("values are too large for the scale of the networks")
        return read

    forecast = free_run(
        forecaster,
        checkpoint.weights[rows],
        scaled(contexts),
        steps,
        truth=None if truth is None else scaled(truth),
    )
    values = forecast.double().numpy() * scale + shift
    return np.asarray(values[:members])
