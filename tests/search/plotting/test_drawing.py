"""Drawings as data, the same for a page and a picture."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.baselines.baseline import baselines
from search.plotting.charts import chart
from search.plotting.drawing import (
    COLOURS,
    Drawing,
    Line,
    baseline_look,
    logarithmic_means,
    visible,
)
from search.plotting.free_runs import baseline_lines, error_line, rollout_drawing
from search.records import Example


def example(horizon: int = 40, observed: int = 100, first_step: int = 100) -> Example:
    steps = np.arange(horizon, dtype=float)
    return Example(
        0, first_step, np.linspace(-1, 1, observed), np.sin(steps / 9), np.sin(steps / 8)
    )


def drawing_of(shown: Example, positions: list[float] | None = None) -> Drawing:
    baselines = [("ar", np.zeros(40), True), ("ssa", np.ones(40), False)]
    return rollout_drawing(
        shown, truth_name="truth", network_name="network", baselines=baselines, positions=positions
    )


def named(drawing: Drawing, name: str) -> Line:
    (line,) = (line for line in drawing.lines if line.name == name)
    return line


def test_a_rollout_begins_where_the_warm_up_ends() -> None:
    drawing = drawing_of(example())
    assert drawing.mark == (99, "end of warm-up")
    assert named(drawing, "observed").x[-1] == 99
    assert named(drawing, "truth").x[0] == named(drawing, "network").x[0] == 100
    baseline = named(drawing, "free run of AR")
    assert (baseline.x[0], baseline.x[-1]) == (100, 139)


def test_the_network_is_drawn_in_front_and_some_baselines_on_demand() -> None:
    drawing = drawing_of(example())
    names = [line.name for line in drawing.lines]
    assert names == ["observed", "free run of AR", "free run of SSA", "truth", "network"]
    assert [line.name for line in drawing.lines if line.is_optional] == ["free run of SSA"]
    assert len({(line.role, line.dash) for line in drawing.lines}) == 5


def test_observed_values_do_not_dwarf_a_short_free_run() -> None:
    observed = named(drawing_of(example(horizon=40, observed=100)), "observed")
    assert (observed.x[0], len(observed.x), observed.y[-1]) == (20, 80, 1)


def test_a_rollout_of_a_table_lies_at_its_times() -> None:
    drawing = drawing_of(example(), [1900.0 + year for year in range(200)])
    assert drawing.mark == (1999, "end of warm-up")
    assert (named(drawing, "network").x[0], named(drawing, "network").x[-1]) == (2000, 2039)


def test_a_diverging_run_does_not_flatten_the_truth() -> None:
    whole = example()
    diverged = Example(0, 100, whole.observed, whole.truth, np.full(40, 1e6))
    limits = drawing_of(diverged).y.limits
    assert limits is not None
    assert limits[0] < -1
    assert 1 < limits[1] < 3
    steady = drawing_of(whole).y.limits
    assert steady is not None
    assert list(steady) == pytest.approx([-1.1, 1.1], abs=0.02)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400),
    st.integers(4, 50),
)
def test_thinning_keeps_the_ends_and_the_extremes(values: list[float], at_most: int) -> None:
    line = np.array(values)
    kept = visible(line, at_most)
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert len(kept) <= max(at_most + 2, 4)
    assert line[kept].max() == max(values)
    assert line[kept].min() == min(values)


def test_errors_near_the_start_are_drawn_step_by_step_and_far_out_as_means() -> None:
    steps, means = logarithmic_means(np.arange(1, 1001, dtype=float))
    assert steps[:10].tolist() == means[:10].tolist() == list(range(1, 11))
    assert len(steps) < 110
    assert means[-1] == pytest.approx(steps[-1], rel=0.05)
    np.testing.assert_allclose(logarithmic_means(np.full(777, 0.25))[1], 0.25)


def test_an_error_of_zero_can_be_drawn_on_a_logarithmic_axis() -> None:
    line = error_line("trial 3", np.array([0.0, 0.1, 0.4]), "free-run")
    assert line.y[0] is not None
    assert line.y[0] > 0
    assert list(line.y[1:]) == [0.1, 0.4]


def test_baselines_that_coincide_can_be_told_apart() -> None:
    """By colour, and by symbols that stand at different steps; dashes may be those of others."""
    lines = baseline_lines([(name, np.linspace(0.1, 1.0, 400)) for name in baselines()])
    assert len({line.role for line in lines}) == len(baselines())
    assert len({line.symbol for line in lines}) == len(baselines())
    marked = [place for line in lines for place in line.marked]
    assert len(set(marked)) == len(marked) == 4 * len(baselines())


def test_a_baseline_has_one_look_whatever_others_there_are() -> None:
    errors = np.ones(9)
    (alone,) = baseline_lines([("ssa", errors)])
    _, beside = baseline_lines([("ar", errors), ("ssa", errors)])
    assert (alone.role, alone.dash, alone.symbol) == (beside.role, beside.dash, beside.symbol)
    assert baseline_look("of a plug-in") == baseline_look("of a plug-in")
    assert baseline_look("not installed") not in [baseline_look(name) for name in baselines()]


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("role", COLOURS)
def test_colours_stand_out_from_their_pages(role: str) -> None:
    colour = COLOURS[role]  # type: ignore[index]
    least = 3 if role in ("observed", "pruned", "neutral") else 4.5
    assert contrast(colour.light, "#ffffff") >= least
    assert contrast(colour.dark, "#16181c") >= least
    assert min(contrast(colour.either, page) for page in ("#ffffff", "#000000")) >= 3


def test_what_is_masked_is_a_gap_in_the_truth() -> None:
    whole = example()
    truth, observed = whole.truth.copy(), whole.observed.copy()
    truth[5:8], observed[40] = np.nan, np.nan
    drawing = drawing_of(Example(0, 100, observed, truth, whole.forecast))
    y = named(drawing, "truth").y
    assert [step for step, value in enumerate(y) if value is None] == [5, 6, 7]
    assert None in named(drawing, "observed").y
    assert drawing.y.limits == pytest.approx(drawing_of(whole).y.limits, rel=0.1)
    json.dumps(chart(drawing, height=300), allow_nan=False)
    nothing = Example(0, 100, np.full(20, np.nan), np.full(40, np.nan), whole.forecast)
    assert np.isfinite(drawing_of(nothing).y.limits or (np.nan,)).all()


def test_a_curve_is_drawn_where_it_is_known() -> None:
    curve = np.linspace(0.1, 1, 200)
    curve[2], curve[100:] = np.nan, np.nan
    line = error_line("network", curve, "free-run")
    assert line.y[2] is None
    assert line.y[-1] is None
    assert line.y[1] == pytest.approx(curve[1], rel=1e-4)
    kept = visible(np.where(np.arange(9000) % 100 < 10, np.nan, np.sin(np.arange(9000.0))), 100)
    assert len(kept) > 100
