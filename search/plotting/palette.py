"""The one palette: roles of lines, points and bars, their colours, and the look of baselines.

A role has a colour for a light page, for a dark page, and for pictures and pages of either kind.
Lines also differ by dash or symbol, and bars of like colours by pattern.
"""

from typing import Literal, NamedTuple, TypeAlias
from zlib import crc32

Role: TypeAlias = Literal[
    "observed",
    "truth",
    "free-run",
    "ar",
    "ridge-ar",
    "ssa",
    "persistence",
    "mean",
    "other-1",
    "other-2",
    "other-3",
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
    "ar": _BLUE,
    "ridge-ar": Colour("#a3247a", "#ff8ccb", "#d1479f"),
    "ssa": Colour("#7a5c00", "#e3c04a", "#a57f0f"),
    "persistence": _TEAL,
    "mean": _VIOLET,
    "other-1": Colour("#00708c", "#62cbe6", "#168fae"),
    "other-2": Colour("#8c3b46", "#f0a0a8", "#c15c69"),
    "other-3": Colour("#4c5b7a", "#a9b8d6", "#7183a8"),
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


_BASELINES: dict[str, Look] = {
    "ar": Look("ar", "dash", "square"),
    "ridge-ar": Look("ridge-ar", "longdash", "diamond"),
    "ssa": Look("ssa", "dashdot", "triangle-up"),
    "persistence": Look("persistence", "dot", "cross"),
    "mean": Look("mean", "longdashdot", "x"),
}
_OTHERS: tuple[Look, ...] = (
    Look("other-1", "dash", "star"),
    Look("other-2", "dot", "circle"),
    Look("other-3", "dashdot", "square"),
)


def baseline_look(name: str) -> Look:
    """Return the look of a baseline, which is the same in every figure."""
    return _BASELINES.get(name) or _OTHERS[crc32(name.encode()) % len(_OTHERS)]
