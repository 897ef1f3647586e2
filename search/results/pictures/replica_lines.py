"""A thin line for each replica and their median over them, on a logarithmic scale of errors."""

from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from search.results.pictures.canvas import ACCENT, SOFT, Canvas
from search.series import FloatArray

# Zero has no place on a logarithmic axis.
LEAST_ERROR = 1e-12
# Where a free run crosses the truth its error dips; what is lower than this share of the largest is
# cut off.
_SHOWN_RATIO = 1e-4
# Up to so many decades, the ticks are 1, 2, 5, 10; beyond, powers of ten, at most so many.
_FINE_DECADES, _MOST_TICKS = 2.5, 8


class ReplicaLines(Canvas):
    """Lines over a common axis; marker: of their points, "" for none."""

    def __init__(self, x_title: str, y_title: str, marker: str) -> None:
        super().__init__(x_title, y_title)
        look: dict[str, Any] = {"marker": marker, "markersize": 4}
        (self._each,) = self.axes.plot([], [], color=SOFT, linewidth=0.9, **look)
        (self._median,) = self.axes.plot([], [], color=ACCENT, linewidth=2.2, **look)
        self.axes.set_yscale("log")
        self.axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        self.add_legend([self._median, self._each], ("", ""))

    def draw(self, x: FloatArray, lines: FloatArray, heading: str) -> bytes:
        """Return lines `[replica, x]` as PNG; what is not finite is left out."""
        shown = np.where(np.isfinite(lines), np.maximum(lines, LEAST_ERROR), np.nan)
        median = np.median(np.where(np.isnan(shown), np.inf, shown), axis=0)
        with self.lock:
            # One line with gaps, for any number of replicas.
            gap = np.full((len(shown), 1), np.nan)
            self._each.set_data(
                np.tile(np.append(x, np.nan), len(shown)), np.hstack([shown, gap]).ravel()
            )
            self._median.set_data(x, np.where(np.isfinite(median), median, np.nan))
            self.rename(("median over replicas", f"each of {len(shown)} replicas"))
            self._scale(shown[np.isfinite(shown)])
            return self.png(heading)

    def _scale(self, shown: FloatArray) -> None:
        high = float(shown.max(initial=LEAST_ERROR))
        low = max(float(shown.min(initial=high)), high * _SHOWN_RATIO)
        middle = float(np.sqrt(low * high))
        # A decade at least, so that there are ticks to read.
        low, high = min(low / 1.3, middle / 3.2), max(high * 1.3, middle * 3.2)
        self.axes.set_ylim(low, high)
        logarithmic_ticks(self.axes.yaxis, low, high)


def logarithmic_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers at 1, 2, 5, 10, or at powers of ten where these would be too many."""
    is_fine = np.log10(high / low) <= _FINE_DECADES
    subs = (1.0, 2.0, 5.0) if is_fine else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=_MOST_TICKS if not is_fine else 12))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
