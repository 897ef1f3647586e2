"""Noise: each member's own, from its own generator, of its own size."""

import pytest
import torch
from torch import Generator

from models.noise import Noise

CPU = torch.device("cpu")


def generators(*seeds: int) -> list[Generator]:
    return [Generator().manual_seed(seed) for seed in seeds]


def test_each_member_has_noise_of_its_own_size() -> None:
    drawn = Noise([0.5, 2.0], (400, 10, 2), CPU).draw(generators(0, 1))
    assert drawn is not None
    assert drawn.shape == (400, 2, 10, 2)
    for member, std in enumerate([0.5, 2.0]):
        assert drawn[:, member].std() == pytest.approx(std, rel=0.03)
        assert drawn[:, member].mean() == pytest.approx(0.0, abs=0.04 * std)


def test_a_member_without_noise_takes_no_random_number() -> None:
    noise, three = Noise([0.1, 0.0, 0.1], (5, 2, 1), CPU), generators(0, 1, 2)
    drawn = noise.draw(three)
    assert drawn is not None
    assert torch.equal(drawn[:, 1], torch.zeros(5, 2, 1))
    assert torch.equal(three[1].get_state(), Generator().manual_seed(1).get_state())
    assert not torch.equal(three[0].get_state(), Generator().manual_seed(0).get_state())


def test_a_kind_that_nobody_uses_is_none() -> None:
    assert Noise([0.0, 0.0], (5, 2, 1), CPU).draw(generators(0, 1)) is None


def test_every_draw_is_fresh() -> None:
    noise, two = Noise([1.0, 1.0], (5, 2, 1), CPU), generators(0, 1)
    first, second = noise.draw(two), None
    assert first is not None
    first = first.clone()
    second = noise.draw(two)
    assert second is not None
    assert not torch.equal(first, second)


def test_company_changes_nothing() -> None:
    alone = Noise([0.3, 0.3], (5, 2, 1), CPU).draw(generators(7, 7))
    among = Noise([0.1, 0.0, 0.3], (5, 2, 1), CPU).draw(generators(1, 2, 7))
    assert alone is not None
    assert among is not None
    assert torch.equal(alone[:, 0], among[:, 2])
