"""Forcing in a cohort: what it draws, what it lets pass, and how the adaptive share is measured."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Generator

from models.cohort import Member
from models.network.forecaster import Forecaster
from models.training.cohort_forcing import CohortForcing, growth_of_errors
from models.training.forcing.generalised import Generalised
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer

CPU = torch.device("cpu")


def test_shares_are_drawn_from_each_members_own_generator(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    names = ("none", "scheduled-exponential", "generalised", "scheduled-exponential")
    candidates = [
        make_candidate(
            forcing=name, forcing_midpoint=0.5, rollout_steps=50, batch_size=40, training_steps=10
        )
        for name in names
    ]
    forcing = CohortForcing(candidates, CPU)
    generators = [Generator().manual_seed(seed) for seed in (0, 1, 2, 1)]
    shares = forcing.draw(5, generators)
    assert shares is not None
    assert shares.shape == (50, 4, 40, 1)
    assert not shares[:, 0].any()
    assert set(shares[:, 1].unique().tolist()) == {0.0, 1.0}
    assert shares[:, 1].mean() == pytest.approx(0.5, abs=0.05)
    assert (shares[:, 2] == candidates[2][Generalised].forcing_strength).all()
    assert torch.equal(shares[:, 1], shares[:, 3])
    untouched = Generator().manual_seed(0).get_state()
    assert torch.equal(generators[0].get_state(), untouched)


def test_a_cohort_without_forcing_draws_no_shares(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    forcing = CohortForcing([make_candidate()] * 2, CPU)
    assert forcing.draw(0, [Generator(), Generator()]) is None


def test_gradients_do_not_pass_the_pushforward_nor_a_demonstrator(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidates = [
        make_candidate(rollout_steps=4, pushforward_steps=steps, data_as_demonstrator=detached)
        for steps, detached in ((0, False), (2, False), (100, False), (1, True))
    ]
    forcing = CohortForcing(candidates, CPU)
    assert forcing.passes()[:, :, 0, 0].t().tolist() == [
        [1, 1, 1, 1],
        [0, 0, 1, 1],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
    ]
    assert forcing.pushforward.tolist() == [0, 2, 3, 1]


def one_mode(candidate: TrainedNetwork, modulus: float) -> tuple[Forecaster, torch.Tensor]:
    """Two copies of a linear mode that turns by 0.3 per step and shrinks by its modulus."""
    forecaster = Forecaster(candidate.architecture)
    row = forecaster.initialise(Generator().manual_seed(0))
    named = forecaster.layout().views(row.unsqueeze(0))
    named["cell.0.nu"].fill_(math.log(-math.log(modulus)) if modulus < 1 else -40.0)
    named["cell.0.theta"].fill_(math.log(0.3))
    # Enough to be felt at the end.
    named["cell.0.input"].fill_(1.0)
    named["head.0.weight"].fill_(0.5)
    named["head.0.bias"].zero_()
    return forecaster, torch.stack([row, row])


@pytest.mark.parametrize("modulus", [1.0, 0.99, 0.95])
@pytest.mark.parametrize("instance_norm", [False, True])
def test_the_growth_of_a_linear_mode_is_its_modulus(
    make_candidate: Callable[..., TrainedNetwork], modulus: float, instance_norm: bool
) -> None:
    """Also in units of the context, which are the same for both runs."""
    candidate = make_candidate(
        cell="lru", units=1, context="state", autonomous=True, instance_norm=instance_norm
    )
    forecaster, weights = one_mode(candidate, modulus)
    context = 0.1 * torch.randn(2, 3, 8, 1, generator=Generator().manual_seed(1))
    # Whole turns in each half: the mean square of the difference is that of its envelope.
    found = growth_of_errors(forecaster, weights, context, 84)
    assert found.tolist() == pytest.approx([modulus, modulus], rel=2e-3)


def test_growth_without_a_second_step_is_one_and_beyond_the_clip_infinite(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(cell="lru", units=1, context="state", residual=True)
    forecaster, weights = one_mode(candidate, 1.0)
    context = torch.ones(2, 1, 4, 1)
    assert growth_of_errors(forecaster, weights, context, 1).tolist() == [1.0, 1.0]
    # Output plus input, fed back: it doubles.
    assert growth_of_errors(forecaster, weights, context, 50).tolist() == [math.inf, math.inf]


def test_an_adaptive_share_is_measured_and_used(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """The first optimiser step is that of a constant share of one, the second is of less."""
    choice = {"context": "state", "cell": "gru", "rollout_steps": 6, "teacher_weight": 0.0}
    adaptive = make_candidate(forcing="adaptive", **choice)
    constant = make_candidate(forcing="generalised", forcing_strength=1.0, **choice)
    values = torch.randn(1, 40, 1, generator=Generator().manual_seed(0))
    training, other = (Trainer([Member(c, 0, seed=3)], values) for c in (adaptive, constant))
    schedule = training.forcing.schedules[0]
    assert schedule is not None
    for _ in zip(training, other, strict=True):
        is_first = training.steps_done == 1
        assert (schedule.share(training.steps_done - 1) == 1.0) == is_first
        assert torch.equal(training.weights, other.weights) == is_first
    assert training.steps_done == 3
