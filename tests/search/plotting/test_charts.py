"""Figures as JSON values: plotly accepts each, and colours are the page's."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from search.analysis.course import History, Points, Rate
from search.analysis.groups import Group
from search.analysis.importances import Importance
from search.plotting import study
from search.plotting.charts import add_vertical_line, chart, log_axis, on_either_page
from search.plotting.drawing import COLOURS, Axis, Drawing, Line
from search.plotting.free_runs import baseline_lines, error_drawing, error_line
from search.student.figures import (
    Interval,
    limits_chart,
    ratios_chart,
    sensitivity_chart,
    series_chart,
    spreads_chart,
    verdict_shares_chart,
)
from search.study.limit import ContextLimit, Limit


def limit(horizon_steps: int, nmse: float) -> Limit:
    context = ContextLimit(1, nmse, 0.01)
    return Limit(horizon_steps, (context,), context, None, "")


POINTS = Points([0, 3], [0.5, 0.02], [1, 4])
GROUPS = [Group(key, 3, 1, 2, 0.1 * key, 0.2 * key, (0.1, 0.3)) for key in (4, 64)]
INTERVAL = Interval("gru", 0.5, 0.4, 0.7, place=16)
ERRORS = error_drawing(
    [
        error_line("trial 3", np.array([0.0, 0.1, 0.4]), "free-run"),
        *baseline_lines([("ar", np.ones(3)), ("ssa", np.ones(3))]),
    ],
    "signal",
)
FIGURES = {
    "history": study.history_chart(History(POINTS, POINTS, POINTS), "signal"),
    "rate": study.rate_chart(Rate(2.0, [0.5, 1.5], [3.0, 0.0], [1.0, 2.0])),
    "importances": study.importances_chart([Importance("cell", 0.7, 60)]),
    "verdicts": study.verdicts_chart([("flat", 3, 2), ("tracks", 1, 0)]),
    "presets": study.presets_chart(GROUPS, "signal"),
    "limits of a study": study.limits_chart([(GROUPS[0], 0.3), (GROUPS[1], None)]),
    "reports": study.reports_chart([{1: 0.5, 2: 0.25}], "observations"),
    "errors": chart(ERRORS, height=400),
    "spreads": spreads_chart([("gru", "good", [0.1, 0.4, 2.0]), ("lstm", "bad", [0.3])]),
    "verdict shares": verdict_shares_chart([("gru", {"flat": 2, "tracks": 1})]),
    "limits": limits_chart(limit(60, 0.5), limit(40, 0.4), [(4, 0.9)], [INTERVAL]),
    "sensitivity": sensitivity_chart([("gru", [1, 2], [0.5, 0.0]), ("lstm", [1, 2], [1.0, 2.0])]),
    "ratios": ratios_chart([INTERVAL], "error without it / error with it"),
    "series": series_chart(
        [Line("observed", "observed", [0, 1], [0.1, 0.2])], 1, np.array([0.1, 0.2])
    ),
}


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_plotly_accepts_a_figure_in_any_colours(figure: dict[str, Any]) -> None:
    go.Figure(figure)
    go.Figure(on_either_page(figure, "A title"))


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_a_trace_names_its_role_and_leaves_its_colour_to_the_page(figure: dict[str, Any]) -> None:
    assert {trace["meta"] for trace in figure["data"]} <= COLOURS.keys()
    assert "color" not in str(figure["data"])
    for trace in on_either_page(figure, "A title")["data"]:
        assert trace["marker"]["color"] == COLOURS[trace["meta"]].either


@pytest.mark.parametrize("name", ["errors", "history", "rate", "limits", "sensitivity"])
def test_traces_differ_by_more_than_their_colour(name: str) -> None:
    def look(trace: Mapping[str, Any]) -> str:
        marker, line = trace.get("marker", {}), trace.get("line", {})
        pattern = marker.get("pattern", {}).get("shape")
        return str((marker.get("symbol"), pattern, line.get("dash"), line.get("width")))

    looks = [look(trace) for trace in FIGURES[name]["data"]]
    assert len(set(looks)) == len(looks)


def test_the_front_line_is_named_first_and_optional_ones_are_hidden() -> None:
    lines = [
        Line(name, "baseline-3", [0, 1], [0.0, 1.0], is_optional=name == "a") for name in "abc"
    ]
    figure = chart(Drawing(lines, Axis("x"), Axis("y", limits=(0.0, 1.0)), (1, "here")), 300)
    assert [trace["legendrank"] for trace in figure["data"]] == [3, 2, 1]
    assert [trace.get("visible") for trace in figure["data"]] == ["legendonly", None, None]
    assert figure["layout"]["yaxis"]["range"] == [0.0, 1.0]
    assert figure["layout"]["shapes"][0]["x0"] == 1
    assert figure["layout"]["annotations"][0]["text"] == "here"


@pytest.mark.parametrize(
    ("values", "step"),
    [([0.5, 2.0], "D1"), ([0.01, 1.0], "D2"), ([1e-6, 1.0], 1), ([1e-12, 1e4, 0.0, None], 2)],
)
def test_a_logarithmic_axis_is_labelled_as_densely_as_can_be_read(
    values: list[float | None], step: str | int
) -> None:
    assert log_axis("NMSE", values)["dtick"] == step


def test_a_vertical_line_is_named_where_it_stands_on_either_scale() -> None:
    for scale, at in (("log", -2), ("linear", 0.01)):
        figure: dict[str, Any] = {"layout": {"xaxis": {"type": scale}}}
        add_vertical_line(figure, 0.01, "limit")
        assert figure["layout"]["annotations"][0]["x"] == at
