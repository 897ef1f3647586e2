"""Linear autoregression by least squares, its order chosen by free-running on the training span."""

from typing import Self

import numpy as np

from models.baselines.baseline import Baseline, FloatArray
from models.tensors import CLIP_STD

ORDERS = (1, 2, 4, 8, 16, 32, 64, 128)
# The orders are fitted on the first part of the training span and compared on the rest.
FITTED_SHARE = 0.75
# Added to the diagonal of the normal equations, as a share of the past's power: on a clean wave
# they are singular, and this picks the smallest of the equally good coefficients.
RIDGE = 1e-12


class Autoregression(
    Baseline, name="ar", label="autoregression (AR, order chosen on the training span)", rank=802
):
    """Least-squares autoregression whose order is chosen by free runs on the training span.

    x_t - m = sum over lags k of a_k (x_{t-k} - m), each channel by itself. coefficients: `[order,
    channel]`, that of the latest value last. mean, std: of the training span, `[channel]`. A free
    run is held within CLIP_STD standard deviations of the mean, like those of the networks, so that
    it is finite even where an eigenvalue lies outside the circle.
    """

    short_label = "AR"

    coefficients: FloatArray
    mean: FloatArray
    std: FloatArray

    @classmethod
    def fit(cls, training: FloatArray) -> Self:
        """Choose the order and fit it on the training span `[time, channel]`.

        Each order that fits is fitted on the first three quarters and runs freely over the last
        one, from its own past; the order of the least squared error, in units of each channel's
        variance, is fitted again on all. The channels share the order. The mean is that of the
        whole training span throughout: on less than a period, a part's own mean misleads.
        """
        split = int(FITTED_SHARE * len(training))
        # More equations than coefficients; else noise is fitted exactly.
        orders = [order for order in ORDERS if split > 2 * order]
        if not orders:
            return cls.of_order(training, 1)
        mean, std = training.mean(axis=0), training.std(axis=0)
        fitting, held_out = training[:split], training[split:]
        scale = np.maximum(std, np.finfo(np.float64).tiny)

        def error(order: int) -> float:
            coefficients = _least_squares(fitting - mean, order)
            model = cls(coefficients=coefficients, mean=mean, std=std)
            run = model.forecast(fitting, len(held_out))
            return float(np.mean(((run - held_out) / scale) ** 2))

        return cls.of_order(training, min(orders, key=error))

    @classmethod
    def of_order(cls, training: FloatArray, order: int) -> Self:
        """Fit a given order on the training span `[time, channel]`, centred on its mean."""
        mean = training.mean(axis=0)
        coefficients = _least_squares(training - mean, order)
        return cls(coefficients=coefficients, mean=mean, std=training.std(axis=0))

    def forecast(self, history: FloatArray, steps: int) -> FloatArray:
        """Run freely for `steps` steps after `history` `[time, channel]`: `[steps, channel]`.

        Values before the start of a history shorter than the order count as the mean.
        """
        order = len(self.coefficients)
        run = np.zeros((history.shape[1], order + steps))  # each channel's values side by side
        known = (history - self.mean)[-order:].T
        run[:, order - known.shape[1] : order] = known
        for channel, own in enumerate(run):
            coefficients = np.ascontiguousarray(self.coefficients[:, channel])
            bound = CLIP_STD * float(self.std[channel])
            for step in range(order, order + steps):
                forecast = float(coefficients @ own[step - order : step])
                own[step] = min(max(forecast, -bound), bound)
        return run[:, order:].T + self.mean


def _least_squares(centred: FloatArray, order: int) -> FloatArray:
    """Coefficients `[order, channel]`; zero where the span has no value with `order` before it.

    By the normal equations: numpy's `lstsq` takes a hundred times as long where several processes
    share a processor, since its threads wait for each other.
    """
    coefficients = np.zeros((order, centred.shape[1]))
    if len(centred) <= order:
        return coefficients
    for channel, series in enumerate(centred.T):
        lagged = np.lib.stride_tricks.sliding_window_view(series, order)[:-1]
        gram = lagged.T @ lagged
        ridge = max(RIDGE * np.trace(gram), np.finfo(np.float64).tiny)
        gram[np.diag_indices(order)] += ridge
        coefficients[:, channel] = np.linalg.solve(gram, lagged.T @ series[order:])
    return coefficients
