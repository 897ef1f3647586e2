"""The layout of a member's parameters in one row."""

import pytest
import torch

from models.network.parameters import ALIGNMENT, Layout

SHAPES = {"a": (3, 5), "b": (1, 16), "c": (17,)}


def test_parameters_do_not_overlap_and_are_aligned() -> None:
    layout = Layout.of(SHAPES)
    assert all(offset % ALIGNMENT == 0 for offset in layout.offsets.values())
    assert layout.size % ALIGNMENT == 0
    flat = torch.zeros(2, layout.size)
    for view in layout.views(flat).values():
        view += 1.0
    assert flat.max() == 1.0
    assert flat.sum() == 2 * layout.count


def test_views_write_through_to_their_member() -> None:
    layout = Layout.of(SHAPES)
    flat = torch.zeros(2, layout.size)
    layout.views(flat)["b"][1] = 7.0
    assert flat[0].abs().sum() == 0.0
    assert flat[1].sum() == 7.0 * 16


def test_packing_is_the_inverse_of_viewing() -> None:
    layout = Layout.of(SHAPES)
    named = {name: torch.randn(shape) for name, shape in SHAPES.items()}
    views = layout.views(layout.pack(named).unsqueeze(0))
    assert views.keys() == named.keys()
    for name, value in named.items():
        assert torch.equal(views[name][0], value)


def test_count_leaves_the_padding_out() -> None:
    assert Layout.of(SHAPES).count == 15 + 16 + 17
    assert Layout.of(SHAPES).size == 16 + 16 + 32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_padding_is_zero(dtype: torch.dtype) -> None:
    layout = Layout.of(SHAPES)
    row = layout.pack({name: torch.ones(shape, dtype=dtype) for name, shape in SHAPES.items()})
    assert row.sum() == layout.count
