"""The drawings of free runs, for the report's page and a trial's pictures: values and errors."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from search.analysis.wording import short_baseline_name
from search.plotting.drawing import (
    LEAST_ERROR,
    Axis,
    Dash,
    Drawing,
    Line,
    Position,
    Role,
    baseline_look,
    logarithmic_means,
    rounded,
    visible,
)
from search.records import Example
from search.series import FloatArray

HORIZON = "horizon (steps after the warm-up)"
# Symbols of a baseline's line. Those of several lines are staggered, so that lines that coincide
# show their symbols one after the other.
_SYMBOLS = 4
# Where a free run crosses the truth its error dips: a picture cuts off what is lower than this
# share of the largest error.
_SHOWN_RATIO = 1e-4
# How far beyond the range of the true values a free run is followed, in units of that range.
_MARGIN = 0.75
# Observed values that are shown before a free run, in horizons; at least so many steps.
_SHOWN_HORIZONS, _SHOWN_STEPS = 2, 60


def rollout_drawing(
    example: Example,
    *,
    truth_name: str,
    network_name: str,
    baselines: Iterable[tuple[str, FloatArray, bool]] = (),
    positions: Sequence[Position] | None = None,
    x_title: str = "step of the series",
    y_title: str = "value",
) -> Drawing:
    """Draw observed values, the end of the warm-up, and the free run over the truth.

    baselines: (name, forecast `[time]` from the same start, whether to show it at first).
    positions: of every row of the series on the x axis; its steps 0, 1, ... where None.
    """
    # So few of the observed values that they do not dwarf the free run.
    wanted = max(_SHOWN_HORIZONS * len(example.truth), _SHOWN_STEPS)
    first, context = example.first_step, min(len(example.observed), wanted)
    observed = example.observed[len(example.observed) - context :]

    def at(step: int) -> Position:
        return step if positions is None else positions[step]

    def points(values: FloatArray, start: int) -> tuple[list[Position], list[float | None]]:
        kept = visible(values)
        return [at(start + i) for i in kept], [rounded(v, 5) for v in values[kept]]

    lines = [Line("observed", "observed", *points(observed, first - context), width=1.0)]
    for name, forecast, is_shown in baselines:
        look, title = baseline_look(name), f"free run of {short_baseline_name(name)}"
        at_forecast = points(forecast, first)
        lines.append(Line(title, look.role, *at_forecast, 1.4, look.dash, is_optional=not is_shown))
    lines.append(Line(truth_name, "truth", *points(example.truth, first)))
    lines.append(Line(network_name, "free-run", *points(example.forecast, first), 2.2, "dash"))
    return Drawing(
        lines=lines,
        x=Axis(x_title),
        y=Axis(y_title, limits=_value_range(observed, example)),
        mark=(at(first - 1), "end of warm-up"),
    )


def error_line(
    name: str, errors: FloatArray, role: Role, width: float = 3.0, dash: Dash = "solid"
) -> Line:
    """Return NMSE by horizon step `[horizon]` as a line that a logarithmic axis can show."""
    steps, means = logarithmic_means(np.asarray(errors, dtype=float))
    y = [rounded(max(error, LEAST_ERROR), 5) for error in means]
    return Line(name, role, np.round(steps, 2).tolist(), y, width, dash)


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
        line = error_line(short_baseline_name(name), errors, look.role, 1.6, look.dash)
        lines.append(replace(line, symbol=look.symbol, marked=marked))
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


def _value_range(observed: FloatArray, example: Example) -> tuple[float, float]:
    """The range of the true values, widened by a margin where the free run leaves it."""
    true = np.concatenate([observed, example.truth])
    if np.isnan(true).all():  # all is masked
        true = example.forecast
    low, high = float(np.nanmin(true)), float(np.nanmax(true))
    span = (high - low) or 1.0
    reach = np.clip(example.forecast, low - _MARGIN * span, high + _MARGIN * span)
    low, high = min(low, float(reach.min())), max(high, float(reach.max()))
    return low - 0.05 * span, high + 0.05 * span


def _error_range(shown: FloatArray) -> tuple[float, float]:
    """The range of some errors: at least a decade, so that the axis has ticks."""
    high = float(shown.max(initial=LEAST_ERROR))
    low = max(float(shown.min(initial=high)), high * _SHOWN_RATIO)
    middle = float(np.sqrt(low * high))
    return min(low / 1.3, middle / 3.2), max(high * 1.3, middle * 3.2)
