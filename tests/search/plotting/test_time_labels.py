"""Labels of a time axis: they do not overlap, and say no more than tells them apart."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from search.plotting.time_labels import label_times, time_labels
from search.series import Table

_STEPS = {
    "seconds": timedelta(seconds=7),
    "minutes": timedelta(minutes=10),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
}


def table(step: timedelta, rows: int, written: str, first: str = "2024-01-01 08:20:00") -> Table:
    begin = datetime.fromisoformat(first)
    times = tuple((begin + step * row).strftime(written) for row in range(rows))
    return Table("time", times, ("value",), np.zeros((rows, 1)))


@pytest.mark.parametrize("inches", [8.1, 4.05, 2.4])
@pytest.mark.parametrize("rows", [12, 144, 800])
@pytest.mark.parametrize("step", list(_STEPS))
def test_labels_do_not_overlap(step: str, rows: int, inches: float) -> None:
    made = table(_STEPS[step], rows, "%Y-%m-%d %H:%M:%S")
    picture = Figure(figsize=(inches, 2), dpi=100)
    canvas = FigureCanvasAgg(picture)
    axes = picture.add_axes((0.0, 0.3, 1.0, 0.6))
    axes.set_xlim(0, rows - 1)
    axes.tick_params(labelsize=8)
    label_times(axes, made.times, made.interval, range(rows), inches)
    canvas.draw()  # type: ignore[no-untyped-call]
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert len(boxes) >= 2
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_a_time_of_day_that_all_labels_share_is_left_out_at_midnight() -> None:
    made = table(_STEPS["hours"], 144, "%Y-%m-%d %H:%M:%S", "2024-01-22 00:00:00")
    places, labels = time_labels(made.times, made.interval, range(144), 95)
    assert labels == [f"2024-01-{day}" for day in range(22, 28)]
    assert places == list(range(0, 144, 24))


def test_seconds_of_zero_are_left_out_and_a_zone_stays() -> None:
    made = table(_STEPS["hours"], 30, "%Y-%m-%dT%H:%M:%SZ")
    _, labels = time_labels(made.times, made.interval, range(30), 60)
    assert labels[0] == "2024-01-01T08:20Z"
    seconds = table(_STEPS["seconds"], 30, "%Y-%m-%d %H:%M:%S")
    _, labels = time_labels(seconds.times, seconds.interval, range(30), 95)
    assert labels[0] == "2024-01-01 08:20:00"
