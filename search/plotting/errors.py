"""Errors by horizon step, of a study's report and of one trial, and training losses by step."""

from collections.abc import Sequence

import numpy as np

from search.analysis.wording import short_baseline_name
from search.plotting.drawing import LEAST_ERROR, Axis, Drawing, Line, logarithmic_means
from search.plotting.palette import Dash, Role, Symbol, baseline_look
from search.series import FloatArray

HORIZON = "horizon (steps after the warm-up)"
# Symbols of a baseline's line. Those of several lines are staggered, so that lines that coincide
# show their symbols one after the other.
_SYMBOLS = 4
# Where a free run crosses the truth its error dips: a picture cuts off what is lower than this
# share of the largest error.
_SHOWN_RATIO = 1e-4


def error_line(
    name: str,
    errors: FloatArray,
    role: Role,
    width: float = 3.0,
    dash: Dash = "solid",
    symbol: Symbol = "circle",
    marked: Sequence[int] = (),
) -> Line:
    """Return NMSE by horizon step `[horizon]` as a line that a logarithmic axis can show."""
    steps, means = logarithmic_means(np.asarray(errors, dtype=float))
    y = [float(f"{max(error, LEAST_ERROR):.5g}") for error in means]
    return Line(name, role, np.round(steps, 2).tolist(), y, width, dash, symbol, marked)


def baseline_lines(curves: Sequence[tuple[str, FloatArray]]) -> list[Line]:
    """Return a line for each baseline (name, errors by horizon step), legible where they coincide.

    They differ by dash and by symbols, which stand at other steps in each.
    """
    lines = []
    for i, (name, errors) in enumerate(curves):
        look = baseline_look(name)
        points = len(logarithmic_means(errors)[0])
        places = np.linspace(0, points - 1, _SYMBOLS * len(curves)).round().astype(int)
        marked = sorted({int(place) for place in places[i :: len(curves)]})
        shown = short_baseline_name(name)
        lines.append(error_line(shown, errors, look.role, 1.6, look.dash, look.symbol, marked))
    return lines


def error_drawing(lines: Sequence[Line], scored_against: str) -> Drawing:
    """Draw errors by horizon step on logarithmic axes, the first line in front."""
    y = Axis(f"NMSE against the {scored_against}", is_log=True)
    return Drawing(list(reversed(lines)), Axis(HORIZON, is_log=True), y)


def replicas_drawing(
    x: FloatArray, lines: FloatArray, x_axis: Axis, y_title: str, *, has_points: bool = False
) -> Drawing:
    """Draw a thin line for each replica of `lines` `[replica, x]`, and their median.

    What is not finite is left out. has_points: whether the points of lines are marked.
    """
    shown = np.where(np.isfinite(lines), np.maximum(lines, LEAST_ERROR), np.nan)
    median = np.median(np.where(np.isnan(shown), np.inf, shown), axis=0)
    median = np.where(np.isfinite(median), median, np.nan)
    # One line with gaps, for any number of replicas.
    all_x = np.tile(np.append(x, np.nan), len(shown))
    all_y = np.hstack([shown, np.full((len(shown), 1), np.nan)]).ravel()

    def line(name: str, role: Role, x: FloatArray, y: FloatArray, width: float) -> Line:
        marked = range(len(x)) if has_points else ()
        return Line(name, role, x.tolist(), y.tolist(), width, marked=marked)

    drawn = [
        line(f"each of {len(shown)} replicas", "observed", all_x, all_y, 0.9),
        line("median over replicas", "free-run", x, median, 2.2),
    ]
    limits = _error_range(shown[np.isfinite(shown)])
    return Drawing(drawn, x_axis, Axis(y_title, is_log=True, limits=limits))


def _error_range(shown: FloatArray) -> tuple[float, float]:
    """The range of some errors: at least a decade, so that the axis has ticks."""
    high = float(shown.max(initial=LEAST_ERROR))
    low = max(float(shown.min(initial=high)), high * _SHOWN_RATIO)
    middle = float(np.sqrt(low * high))
    return min(low / 1.3, middle / 3.2), max(high * 1.3, middle * 3.2)
