"""Noise: each member's own, from its own generator, of its own size."""

from collections.abc import Sequence

import pytest
import torch
from torch import Generator, Tensor

from models.training.options.noise import InputNoise, MemberDraws

CPU = torch.device("cpu")


def generators(*seeds: int) -> list[Generator]:
    return [Generator().manual_seed(seed) for seed in seeds]


def noise(
    stds: Sequence[float], shape: tuple[int, ...] = (5, 2, 1), axis: int = 1, shared: int = 0
) -> MemberDraws:
    drawing = [[InputNoise(std=std)] if std else [] for std in stds]
    return MemberDraws(drawing, shape, axis, CPU, shared=shared)


def drawn(noise: MemberDraws, *seeds: int) -> Tensor:
    found = noise.draw(generators(*seeds))
    assert found is not None
    return found


def test_each_member_has_noise_of_its_own_size() -> None:
    found = drawn(noise([0.5, 2.0], (400, 10, 2)), 0, 1)
    assert found.shape == (400, 2, 10, 2)
    for member, std in enumerate([0.5, 2.0]):
        assert found[:, member].std() == pytest.approx(std, rel=0.03)
        assert found[:, member].mean() == pytest.approx(0.0, abs=0.04 * std)


def test_noise_follows_from_its_generator_and_its_size() -> None:
    one, double = (
        InputNoise(std=std).draw((30, 4), Generator().manual_seed(3)) for std in (0.5, 1.0)
    )
    torch.testing.assert_close(2 * one, double)
    assert not torch.equal(one, InputNoise(std=0.5).draw((30, 4), Generator().manual_seed(4)))


def test_a_member_without_noise_takes_no_random_number() -> None:
    three, own = noise([0.1, 0.0, 0.1]), generators(0, 1, 2)
    found = three.draw(own)
    assert found is not None
    assert torch.equal(found[:, 1], torch.zeros(5, 2, 1))
    assert torch.equal(own[1].get_state(), Generator().manual_seed(1).get_state())
    assert not torch.equal(own[0].get_state(), Generator().manual_seed(0).get_state())


def test_noise_that_no_member_has_is_none() -> None:
    nobody = noise([0.0, 0.0])
    assert not nobody.is_used
    assert nobody.draw(generators(0, 1)) is None


def test_every_draw_is_fresh() -> None:
    both, two = noise([1.0, 1.0]), generators(0, 1)
    first = both.draw(two)
    assert first is not None
    first = first.clone()
    second = both.draw(two)
    assert second is not None
    assert not torch.equal(first, second)


def test_company_changes_nothing() -> None:
    alone = drawn(noise([0.3, 0.3]), 7, 7)
    among = drawn(noise([0.1, 0.0, 0.3]), 1, 2, 7)
    assert torch.equal(alone[:, 0], among[:, 2])


def test_branches_share_the_noise_of_their_member() -> None:
    """As they share what it would be without branches."""
    stds, shape = (0.1, 0.2), (6, 2, 3, 4)  # slot, layer, batch, unit
    branched = drawn(noise(stds, shape, 2, shared=3), 0, 1)
    assert branched.shape == (6, 2, 2, 3, 3, 4)
    plain = drawn(noise(stds, shape, 2), 0, 1)
    assert torch.equal(branched, plain.unsqueeze(3).expand_as(branched))
