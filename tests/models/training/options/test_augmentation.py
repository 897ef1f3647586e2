"""Subsequences as multiples of the series: which are turned over, which are scaled, by what."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from models.cohort import Member
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer

STEPS, BATCH = 40, 8


def training(candidates: list[TrainedNetwork]) -> Trainer:
    values = torch.randn(1, 60, 1, generator=Generator().manual_seed(0))
    return Trainer([Member(c, 0, seed=7) for c in candidates], values)


def factors(found: Trainer) -> Tensor:
    """`[member, step, batch]`."""
    by_step = [found.factors.of_step(step) for step in range(STEPS)]
    return torch.stack([f[..., 0] for f in by_step if f is not None], dim=1)


def make(make_candidate: Callable[..., TrainedNetwork], **chosen: object) -> TrainedNetwork:
    shared = {"context": "state", "rollout_steps": 5, "training_steps": STEPS, "batch_size": BATCH}
    return make_candidate(**(shared | chosen))


@pytest.mark.parametrize("stateful", [False, True])
def test_half_of_the_subsequences_of_either_direction_are_turned_over(
    make_candidate: Callable[..., TrainedNetwork], stateful: bool
) -> None:
    chosen = {"sign_augmentation": True, "time_reversal": True, "stateful": stateful}
    found = training([make(make_candidate, **chosen)])
    signs = factors(found)[0]
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    for direction in (False, True):
        there = signs[found.subsequences.backwards[0] == direction]
        assert there.mean().abs() < 0.15
        assert len(there) == pytest.approx(STEPS * BATCH / 2, rel=0.05)


def test_scales_spread_around_one_on_a_logarithmic_scale(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    found = training(
        [make(make_candidate, scale_augmentation_std=std) for std in (0.0, 0.3)]
        + [make(make_candidate, scale_augmentation_std=0.3, sign_augmentation=True)]
    )
    plain, scaled, turned = factors(found)
    assert (plain == 1.0).all()
    assert scaled.log().std() == pytest.approx(0.3, rel=0.15)
    assert scaled.log().mean().abs() < 0.06
    assert torch.equal(turned.abs(), scaled)


@pytest.mark.parametrize("context", ["state", "window"])
@pytest.mark.parametrize(
    ("change", "acts"),
    [({}, False), ({"offset": True}, True), ({"head_layers": 1}, True), ({"cell": "rnn"}, True)],
    ids=str,
)
def test_a_sign_changes_nothing_for_a_linear_forecaster_without_an_offset(
    make_candidate: Callable[..., TrainedNetwork],
    context: str,
    change: dict[str, object],
    acts: bool,
) -> None:
    """Which is why a study does not sample it there."""
    chosen = {"cell": "lru", "offset": False, "context": context, "training_steps": 3} | change
    found = training(
        [make(make_candidate, sign_augmentation=flip, **chosen) for flip in (False, True)]
    )
    *_, done = found
    assert done == 3
    plain, turned = found.weights
    assert torch.allclose(plain, turned, atol=1e-6) == (not acts)


def test_a_stream_keeps_its_factor_until_it_sets_out_anew(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    chosen = {"scale_augmentation_std": 0.3, "sign_augmentation": True, "stateful": True}
    found = training([make(make_candidate, **chosen)])
    multiples, fresh = factors(found)[0], found.subsequences.fresh[0]
    same = multiples[1:] == multiples[:-1]
    assert torch.equal(same, ~fresh[1:])
    assert fresh[1:].any()


def test_inputs_and_targets_are_multiplied_before_any_noise(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    chosen = {"scale_augmentation_std": 0.5, "sign_augmentation": True}
    found = training([make(make_candidate, **chosen), make(make_candidate, label_noise_std=0.1)])
    batch = found.batches.draw(3, found.generators)
    positions = found.subsequences.positions(3)
    series = found.values[0, :, 0][positions]  # [member, batch, time]
    expected = series * factors(found)[:, 3].unsqueeze(2)
    assert torch.equal(batch.reads[..., 0].permute(1, 2, 0), expected)
    assert torch.equal(batch.targets[:, 0], batch.reads[:, 0])
    apart = (batch.targets[:, 1] - batch.reads[:, 1]).std()
    assert apart == pytest.approx(0.1, rel=0.3)


def test_without_augmentation_nothing_is_multiplied(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    assert training([make(make_candidate)]).factors.of_step(0) is None
