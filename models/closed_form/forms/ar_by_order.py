"""Linear autoregression by least squares, whose order a held-out span chooses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.closed_form.closed_form import FittedForm, Fixed, FloatArray, Lagged, lagged
from models.closed_form.ridge import Block
from models.methods import Choices, Whole, setting
from models.tensors import one_thread, torch

# Orders that a held-out span chooses from.
ORDERS = (1, 2, 4, 8, 16, 32, 64, 128)
# Added to the diagonal of the normal equations, as a share of the past's power: on a clean wave
# they are singular, and this picks the smallest of the equally good coefficients.
RIDGE = 1e-12


class ARByOrder(Lagged, name="ar-by-order", label="autoregression of a chosen order", rank=18):
    """Linear autoregression by least squares, each channel by itself; its level is the order.

    x_t = sum over lags k of a_k x_(t-k). It reads as many values as its largest order; the
    coefficients of lags beyond the chosen one are zero.
    """

    is_searchable = False
    levels = tuple(float(order) for order in ORDERS)
    level_name = "order"

    largest_order: int = setting(
        Whole(1, 4096),
        Choices((ORDERS[-1],)),
        "The largest order of an autoregression whose order is chosen.",
        neutral=1,
        shared=True,
    )

    @property
    def context_steps(self) -> int:
        return self.largest_order

    @property
    def given_level(self) -> float:
        return float(self.largest_order)

    def factorise(
        self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed
    ) -> "Orders":
        return Orders(list(candidate.stretches(pieces)), self.largest_order)

    def size(self) -> str:
        return f"orders up to {self.largest_order}"


@dataclass(frozen=True, eq=False)
class Orders:
    """Least squares of any order, each on all values that have as many before them.

    spans: `[time, channel]`, what is fitted together.
    """

    spans: Sequence[FloatArray]
    largest: int

    def at(self, level: float) -> FloatArray:
        """Coefficients `[lag * channel, channel]` of an order, which is cut to the largest one."""
        order, channels = min(int(level), self.largest), self.spans[0].shape[1]
        by_lag = np.zeros((self.largest, channels, channels))
        for channel in range(channels):
            by_lag[-order:, channel, channel] = self._solved(order, channel)
        return by_lag.reshape(-1, channels)

    def _solved(self, order: int, channel: int) -> FloatArray:
        """Coefficients `[lag]` of one channel, that of the latest value last.

        Zero where no span has a value with `order` before it.
        """
        with one_thread():
            gram = torch.zeros(order, order, dtype=torch.float64)
            moment = torch.zeros(order, 1, dtype=torch.float64)
            for values, targets in self._blocks(order, channel):
                windows = torch.from_numpy(np.array(values))
                gram += windows.T @ windows
                moment += windows.T @ torch.from_numpy(np.array(targets))
            ridge = max(RIDGE * float(gram.trace()), np.finfo(np.float64).tiny)
            gram += ridge * torch.eye(order, dtype=torch.float64)
            solved: FloatArray = torch.linalg.solve(gram, moment)[:, 0].numpy()
            return solved

    def _blocks(self, order: int, channel: int) -> Iterator[Block]:
        for span in self.spans:
            yield from lagged(span[:, channel : channel + 1], order)
