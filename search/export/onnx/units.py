"""The units of forecasters in a graph: from values of a series to theirs, and back.

All in double precision, as `models.units`, whose formulas these are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.units import NO_POWER_STD, FloatArray, Units
from search.export.onnx.graph import DOUBLE, Graph


def read(graph: Graph, units: Units, shown: str) -> str:
    """Values `[1, time, channel]` as forecasters read them, `[member, time - lag, channel]`."""
    raised = _raised(graph, units, shown)
    changes = raised
    if units.lag:
        later = graph.cut(raised, 1, units.lag)
        ends = [-back for back in _seasons(units)]
        earlier = [graph.cut(raised, 1, units.lag + end, end) for end in ends]
        changes = graph.add("Sub", later, _mean(graph, earlier))
    shift, scale = _each(graph, units.shift), _each(graph, units.scale)
    scaled = graph.add("Div", graph.add("Sub", changes, shift), scale)
    if units.power is None:
        return scaled
    return graph.add("Where", graph.add("IsNaN", scaled), graph.constant(-NO_POWER_STD), scaled)


def written(graph: Graph, units: Units, forecast: str, shown: str, horizon: str) -> str:
    """A free run `[member, time, channel]` of so many steps in the units of the series.

    shown: the values before it, `[1, time, channel]`. horizon: an integer `[]`.
    """
    scale, shift = _each(graph, units.scale), _each(graph, units.shift)
    changes = graph.add("Add", graph.add("Mul", forecast, scale), shift)
    if not units.lag:
        return _lowered(graph, units, changes)
    members, channels = units.shift.shape
    known = graph.cut(_raised(graph, units, shown), 1, -units.lag)
    shape = graph.constant([members, units.lag, channels], np.int64)

    def body(inner: Graph, number: str, carried: list[str]) -> tuple[Sequence[str], Sequence[str]]:
        place = inner.add("Unsqueeze", number, inner.constant([0], np.int64))
        change = inner.add("Gather", changes, place, axis=1)
        ends = [units.lag - back for back in _seasons(units)]
        earlier = [inner.cut(carried[0], 1, end, end + 1) for end in ends]
        value = inner.add("Add", change, _mean(inner, earlier))
        later = inner.add("Concat", inner.cut(carried[0], 1, 1), value, axis=1)
        return [later], [inner.add("Squeeze", value, inner.constant([1], np.int64))]

    _, summed = graph.loop(horizon, [graph.add("Expand", known, shape)], body, DOUBLE)
    return _lowered(graph, units, graph.add("Transpose", summed, perm=[1, 0, 2]))


def _seasons(units: Units) -> range:
    """How many steps back the values are whose mean is the level of a change."""
    return range(units.season, units.lag + 1, units.season)


def _mean(graph: Graph, values: Sequence[str]) -> str:
    total = values[0]
    for own in values[1:]:
        total = graph.add("Add", total, own)
    if len(values) == 1:
        return total
    return graph.add("Div", total, graph.constant(float(len(values))))


def _raised(graph: Graph, units: Units, values: str) -> str:
    if units.power is None:
        return values
    power, safe = _each(graph, units.power), np.where(units.power, units.power, 1.0)
    is_positive = graph.add("Greater", values, graph.constant(0.0))
    positive = graph.add("Where", is_positive, values, graph.constant(np.nan))
    powers = graph.add("Div", graph.add("Pow", positive, power), _each(graph, safe))
    raised = _where(graph, units.power == 0, graph.add("Log", positive), powers)
    return _where(graph, units.power == 1, values, raised)


def _lowered(graph: Graph, units: Units, raised: str) -> str:
    if units.power is None:
        return raised
    power, safe = _each(graph, units.power), np.where(units.power, units.power, 1.0)
    base = graph.add("Max", graph.add("Mul", raised, power), graph.constant(0.0))
    powers = graph.add("Pow", base, _each(graph, 1.0 / safe))
    lowered = _where(graph, units.power == 0, graph.add("Exp", raised), powers)
    return _where(graph, units.power == 1, raised, lowered)


def _where(graph: Graph, condition: FloatArray, one: str, other: str) -> str:
    return graph.add("Where", _each(graph, condition), one, other)


def _each(graph: Graph, values: FloatArray) -> str:
    """A constant `[member, channel]` beside values `[member, time, channel]`."""
    return graph.constant(values[:, np.newaxis])
