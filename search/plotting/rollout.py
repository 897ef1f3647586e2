"""A free run against the truth, the same for the report's page and a trial's picture."""

from collections.abc import Iterable, Sequence

import numpy as np

from search.analysis.wording import short_baseline_name
from search.plotting.drawing import Axis, Drawing, Line, Position, visible
from search.plotting.palette import baseline_look
from search.records import Example
from search.series import FloatArray

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
    first, context = example.first_step, _shown_context(example)
    observed = example.observed[len(example.observed) - context :]

    def at(step: int) -> Position:
        return step if positions is None else positions[step]

    def points(values: FloatArray, start: int) -> tuple[list[Position], list[float]]:
        kept = visible(values)
        return [at(start + i) for i in kept], [float(f"{v:.5g}") for v in values[kept]]

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


def _shown_context(example: Example) -> int:
    """How many of the observed values to show, so that they do not dwarf the free run."""
    wanted = max(_SHOWN_HORIZONS * len(example.truth), _SHOWN_STEPS)
    return min(len(example.observed), wanted)


def _value_range(observed: FloatArray, example: Example) -> tuple[float, float]:
    """The range of the true values, widened by a margin where the free run leaves it."""
    true = np.concatenate([observed, example.truth])
    low, high = float(true.min()), float(true.max())
    span = (high - low) or 1.0
    reach = np.clip(example.forecast, low - _MARGIN * span, high + _MARGIN * span)
    low, high = min(low, float(reach.min())), max(high, float(reach.max()))
    return low - 0.05 * span, high + 0.05 * span
