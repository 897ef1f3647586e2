"""A drawing of lines as data: `charts` makes a figure of plotly from it, `canvas` a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from search.plotting.palette import Dash, Role, Symbol
from search.series import FloatArray

Position = int | float | str

# Zero has no place on a logarithmic axis: less than this is drawn as this.
LEAST_ERROR = 1e-12
MOST_POINTS = 1500


@dataclass(frozen=True)
class Line:
    """A line in the look of a role.

    x: numbers, or dates as text. y: None where the line has a gap. marked: indices of the points
    that also have the symbol. is_optional: hidden on a page until a reader asks for it.
    """

    name: str
    role: Role
    x: Sequence[Position]
    y: Sequence[float | None]
    width: float = 1.6
    dash: Dash = "solid"
    symbol: Symbol = "circle"
    marked: Sequence[int] = ()
    is_optional: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis; limits: the least and the greatest value to show, None for those of the lines."""

    title: str
    is_log: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Drawing:
    """Lines over a pair of axes, the last one in front.

    mark: a position of the x axis with its name, drawn as a vertical line.
    """

    lines: Sequence[Line]
    x: Axis
    y: Axis
    mark: tuple[Position, str] | None = None


def visible(values: FloatArray, at_most: int = MOST_POINTS) -> list[int]:
    """Return the indices to draw of a line `[time]`: first, last, and each bucket's extremes."""
    if len(values) <= at_most:
        return list(range(len(values)))
    edges = np.linspace(0, len(values), at_most // 2, dtype=int)
    kept = {0, len(values) - 1}
    for start, end in pairwise(edges):
        bucket = values[start:end]
        kept |= {int(start + bucket.argmin()), int(start + bucket.argmax())}
    return sorted(kept)


def logarithmic_means(values: FloatArray, per_decade: int = 40) -> tuple[FloatArray, FloatArray]:
    """Return (step, mean) of `values[0]` at step 1 and so on, over steps that a logarithmic axis
    can't tell apart: at most `per_decade` points each decade, whole steps where there are fewer.
    """
    steps = np.arange(1, len(values) + 1)
    bins = np.floor(np.log10(steps) * per_decade + 1e-9).astype(int)
    _, first, count = np.unique(bins, return_index=True, return_counts=True)
    means = np.add.reduceat(values, first) / count
    # The geometric middle is where the bin lies on the axis.
    return np.sqrt(steps[first] * steps[first + count - 1]), means
