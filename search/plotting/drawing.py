"""A drawing of lines as data, and the one palette of all figures.

`charts` makes a figure of plotly from a drawing, `artifacts` a PNG.
A role of the palette has a colour for a light page, for a dark page, and for pictures and pages of
either kind. Lines also differ by dash or symbol, and bars of like colours by pattern.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from models.baselines.baseline import baselines
from search.series import FloatArray

Role: TypeAlias = Literal[
    "observed",
    "truth",
    "free-run",
    "baseline-1",
    "baseline-2",
    "baseline-3",
    "baseline-4",
    "baseline-5",
    "baseline-6",
    "baseline-7",
    "baseline-8",
    "complete",
    "pruned",
    "good",
    "bad",
    "warning",
    "neutral",
]
Dash: TypeAlias = Literal["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"]
Symbol: TypeAlias = Literal["circle", "square", "diamond", "triangle-up", "cross", "x", "star"]


class Colour(NamedTuple):
    """One role on a light page, on a dark page, and where the page may be either."""

    light: str
    dark: str
    either: str


_BLUE = Colour("#1668b0", "#6fb7ff", "#2f83d6")
_ORANGE = Colour("#b83a05", "#ff9a55", "#e0691f")
_TEAL = Colour("#0c7367", "#45cdb4", "#1a917f")
_VIOLET = Colour("#6a4bbd", "#b7a1ff", "#8a6ddc")
_GREY = Colour("#868c96", "#8b929c", "#80868f")

# Each has a contrast of 3 or more to its page, and of 4.5 or more where lines have to be read.
COLOURS: dict[Role, Colour] = {
    "observed": _GREY,
    "truth": Colour("#1f2328", "#e8eaed", "#80868f"),
    "free-run": _ORANGE,
    "baseline-1": _VIOLET,
    "baseline-2": _TEAL,
    "baseline-3": _BLUE,
    "baseline-4": Colour("#a3247a", "#ff8ccb", "#d1479f"),
    "baseline-5": Colour("#7a5c00", "#e3c04a", "#a57f0f"),
    "baseline-6": Colour("#8c3b46", "#f0a0a8", "#c15c69"),
    "baseline-7": Colour("#00708c", "#62cbe6", "#168fae"),
    "baseline-8": Colour("#4c5b7a", "#a9b8d6", "#7183a8"),
    "complete": _BLUE,
    "pruned": _GREY,
    "good": _TEAL,
    "bad": _ORANGE,
    "warning": _VIOLET,
    "neutral": _GREY,
}


class Look(NamedTuple):
    """How a line differs from others that coincide with it."""

    role: Role
    dash: Dash
    symbol: Symbol


# In the order of the baselines; more of them begin again.
_LOOKS: tuple[Look, ...] = (
    Look("baseline-1", "longdashdot", "x"),
    Look("baseline-2", "dot", "cross"),
    Look("baseline-3", "dash", "square"),
    Look("baseline-4", "longdash", "diamond"),
    Look("baseline-5", "dashdot", "triangle-up"),
    Look("baseline-6", "dot", "circle"),
    Look("baseline-7", "dash", "star"),
    Look("baseline-8", "dashdot", "square"),
)


def baseline_look(name: str) -> Look:
    """The look of a baseline, which is the same in every figure.

    One that is not installed here has the last look.
    """
    names = [*baselines()]
    return _LOOKS[names.index(name) % len(_LOOKS) if name in names else -1]


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
class Area:
    """What lies between two lines, in the tint of a role; opacity: from 0 to 1."""

    name: str
    role: Role
    x: Sequence[Position]
    low: Sequence[float]
    high: Sequence[float]
    opacity: float


@dataclass(frozen=True)
class Axis:
    """An axis; limits: the least and the greatest value to show, None for those of the lines."""

    title: str
    is_log: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Drawing:
    """Lines over a pair of axes, the last one in front.

    mark: a position of the x axis with its name, drawn as a vertical line. areas: behind the lines,
    the last one in front.
    """

    lines: Sequence[Line]
    x: Axis
    y: Axis
    mark: tuple[Position, str] | None = None
    areas: Sequence[Area] = ()


def visible(values: FloatArray, at_most: int = MOST_POINTS) -> list[int]:
    """Return the indices to draw of a line `[time]`: first, last, and each bucket's extremes.

    Of values that are NaN, which leave a gap in the line, each bucket keeps the first.
    """
    if len(values) <= at_most:
        return list(range(len(values)))
    edges = np.linspace(0, len(values), at_most // 2, dtype=int)
    kept = {0, len(values) - 1}
    for start, end in pairwise(edges):
        bucket = values[start:end]
        is_gap = np.isnan(bucket)
        if is_gap.any():
            kept.add(int(start + is_gap.argmax()))
        if not is_gap.all():
            kept |= {int(start + np.nanargmin(bucket)), int(start + np.nanargmax(bucket))}
    return sorted(kept)


def rounded(value: float, digits: int) -> float | None:
    """A number of a line with so many digits; None for NaN, where the line has a gap."""
    return None if np.isnan(value) else float(f"{value:.{digits}g}")


def logarithmic_means(values: FloatArray, per_decade: int = 40) -> tuple[FloatArray, FloatArray]:
    """Return (step, mean) of `values[0]` at step 1 and so on, over steps that a logarithmic axis
    can't tell apart: at most `per_decade` points each decade, whole steps where there are fewer.
    The mean of what is not NaN; NaN where nothing is.
    """
    steps = np.arange(1, len(values) + 1)
    bins = np.floor(np.log10(steps) * per_decade + 1e-9).astype(int)
    _, first, count = np.unique(bins, return_index=True, return_counts=True)
    is_known = ~np.isnan(values)
    known = np.add.reduceat(is_known.astype(int), first)
    sums = np.add.reduceat(np.where(is_known, values, 0.0), first)
    means = np.where(known > 0, sums / np.maximum(known, 1), np.nan)
    # The geometric middle is where the bin lies on the axis.
    return np.sqrt(steps[first] * steps[first + count - 1]), means
