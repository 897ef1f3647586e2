"""Dropout: each member's own masks, from its own generator, at its own rate."""

import pytest
import torch
from torch import Generator

from models.training.options.noise import Dropout, MemberDraws


def generators(*seeds: int) -> list[Generator]:
    return [Generator().manual_seed(seed) for seed in seeds]


def dropout(*rates: float, branches: int = 1) -> MemberDraws:
    """Masks of 30 slots, 2 layers, 8 subsequences and 20 units."""
    drawing = [[Dropout(rate=rate)] if rate else [] for rate in rates]
    size, cpu = (30, 2, 8, 20), torch.device("cpu")
    return MemberDraws(drawing, size, 2, cpu, shared=branches, neutral=1.0)


def test_each_member_drops_at_its_own_rate_and_keeps_the_mean() -> None:
    two = dropout(0.2, 0.5)
    two.draw(generators(0, 1))
    assert two.values.shape == (30, 2, 2, 1, 8, 20)
    for member, rate in enumerate((0.2, 0.5)):
        mask = two.values[:, :, member]
        assert (mask == 0).float().mean() == pytest.approx(rate, abs=0.02)
        assert mask[mask > 0].unique().tolist() == pytest.approx([1 / (1 - rate)])


def test_a_member_without_dropout_takes_no_random_number() -> None:
    three, own = dropout(0.2, 0.0, 0.2), generators(0, 1, 2)
    three.draw(own)
    assert (three.values[:, :, 1] == 1).all()
    assert torch.equal(own[1].get_state(), Generator().manual_seed(1).get_state())
    assert not torch.equal(own[0].get_state(), Generator().manual_seed(0).get_state())


def test_without_any_dropout_there_are_no_masks() -> None:
    nobody = dropout(0.0, 0.0)
    nobody.draw(generators(0, 1))
    assert not nobody.is_used
    assert nobody.values.numel() == 0


def test_branches_share_their_masks() -> None:
    two = dropout(0.4, 0.4, branches=2)
    two.draw(generators(0, 1))
    free, teacher = two.values.unbind(3)
    assert torch.equal(free, teacher)


def test_every_draw_is_fresh() -> None:
    two, own = dropout(0.4, 0.4), generators(0, 1)
    two.draw(own)
    first = two.values.clone()
    two.draw(own)
    assert not torch.equal(two.values, first)


def test_company_changes_nothing() -> None:
    alone, among = dropout(0.3, 0.3), dropout(0.1, 0.0, 0.3)
    alone.draw(generators(7, 7))
    among.draw(generators(1, 2, 7))
    assert torch.equal(alone.values[:, :, 0], among.values[:, :, 2])
