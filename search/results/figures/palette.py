"""What lines and points mean, and their colours on a light and on a dark page."""

from typing import Any, Literal, TypeAlias

import plotly.graph_objects as go

Role: TypeAlias = Literal[
    "observed",
    "truth",
    "free-run",
    "ar",
    "persistence",
    "mean",
    "complete",
    "pruned",
    "good",
    "bad",
    "warning",
    "neutral",
]

# (light, dark): each pair has a contrast of 3 or more to its page, the lines to read 4.5 or more.
COLOURS: dict[Role, tuple[str, str]] = {
    "observed": ("#868c96", "#8b929c"),
    "truth": ("#1f2328", "#e8eaed"),
    "free-run": ("#b83a05", "#ff9a55"),
    "ar": ("#1668b0", "#6fb7ff"),
    "persistence": ("#0c7367", "#45cdb4"),
    "mean": ("#6a4bbd", "#b7a1ff"),
    "complete": ("#1668b0", "#6fb7ff"),
    "pruned": ("#868c96", "#8b929c"),
    "good": ("#0c7367", "#45cdb4"),
    "bad": ("#b83a05", "#ff9a55"),
    "warning": ("#6a4bbd", "#b7a1ff"),
    "neutral": ("#868c96", "#8b929c"),
}


def line(role: Role, width: float, dash: str = "solid") -> dict[str, Any]:
    """A line's look."""
    return {"color": COLOURS[role][0], "width": width, "dash": dash}


def marker(role: Role, symbol: str, size: float) -> dict[str, Any]:
    """A point's look."""
    return {
        "color": COLOURS[role][0],
        "symbol": symbol,
        "size": size,
        "line": {"color": COLOURS[role][0]},
    }


def figure(height: int) -> go.Figure:
    """An empty figure, transparent, whose colours of text and grid are left to the page."""
    layout = {
        "template": go.layout.Template(),
        "height": height,
        "margin": {"l": 70, "r": 20, "t": 40, "b": 55},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
    }
    return go.Figure(layout=layout)


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title and a frame."""
    return {"title": {"text": title}, "showline": True, "ticks": "outside", **more}


def logarithmic_axis(title: str, **more: Any) -> dict[str, Any]:
    """A logarithmic axis whose labels are whole numbers or fractions, such as 0.02."""
    return axis(title, type="log", tickformat="~g", **more)
