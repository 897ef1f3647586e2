"""Panels of several channels: one for each that is shown, the others named."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from search.plotting.drawing import Drawing
from search.plotting.panels import channel_drawings, left_out, panels_chart, panels_png
from search.records import ChannelRun, Example


def example(channels: int, shown: int) -> Example:
    names = tuple(f"<{number}>" for number in range(channels))
    runs = [
        ChannelRun(name, np.arange(40.0) * place, np.ones(10), np.zeros(10))
        for place, name in enumerate(names[:shown], 1)
    ]
    first = runs[0]
    return Example(0, 50, first.observed, first.truth, first.forecast, names, tuple(runs[1:]))


def drawings(of: Example) -> Sequence[tuple[str, Drawing]]:
    return channel_drawings(of, truth_name="truth", network_name="free run", x_title="step")


def test_what_has_no_panel_is_named() -> None:
    assert left_out(example(3, 3)) == ""
    assert left_out(example(8, 6)) == "Not shown: <6>, <7>."
    assert left_out(example(30, 6)).endswith("<17> and 12 more.")


@pytest.mark.parametrize("shown", range(2, 7))
def test_each_shown_channel_has_axes_and_lines_of_its_own(shown: int) -> None:
    figure = panels_chart(drawings(example(9, shown)))
    layout = figure["layout"]
    axes = ["" if number == 0 else str(number + 1) for number in range(shown)]
    assert {key for key in layout if key.startswith("xaxis")} == {f"xaxis{own}" for own in axes}
    assert {trace["yaxis"] for trace in figure["data"]} == {f"y{own}" for own in axes}
    assert len(figure["data"]) == 3 * shown
    assert sum(trace["showlegend"] for trace in figure["data"]) == 3
    assert layout["annotations"][0]["text"] == "&lt;0&gt;"
    boxes = {(*layout[f"xaxis{own}"]["domain"], *layout[f"yaxis{own}"]["domain"]) for own in axes}
    assert len(boxes) == shown
    assert all(0 <= edge <= 1.000001 for box in boxes for edge in box)


@pytest.mark.parametrize("shown", [2, 3, 4, 6])
def test_the_picture_has_the_size_of_all_others(shown: int) -> None:
    of = example(9, shown)
    png = panels_png(drawings(of), "trial 3", left_out(of))
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (900, 380)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 5
    assert png != panels_png(drawings(of), "trial 4", left_out(of))
