"""Each schedule against its published formula, at its ends and in between."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.methods.registry import methods_of
from models.training.forcing.forcing import Forcing, Schedule
from models.training.trained_network import TrainedNetwork

STEPS = 200
FORCINGS = [method.name for method in methods_of("forcing")]


def schedule(make_candidate: Callable[..., TrainedNetwork], name: str, **more: Any) -> Schedule:
    chosen = {"forcing": name, "training_steps": STEPS, "rollout_steps": 10} | more
    candidate = make_candidate(**chosen)
    forcing = candidate.find(Forcing)
    assert forcing is not None
    return forcing.schedule(candidate.optimiser.training_steps, candidate.rollout_steps)


def test_none_is_the_absence_of_forcing(make_candidate: Callable[..., TrainedNetwork]) -> None:
    assert make_candidate(forcing="none").find(Forcing) is None
    assert {"scheduled-linear", "generalised", "adaptive", "sparse"} <= set(FORCINGS)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("scheduled-linear", lambda i: max(0.0, 1.0 - i / 100)),
        ("scheduled-exponential", lambda i: (2.0 ** (-1 / 50)) ** i),
        # k ln k = 50
        ("scheduled-sigmoid", lambda i: 17.47708 / (17.47708 + math.exp(i / 17.47708))),
        ("increasing", lambda i: min(1.0, i / 100)),
    ],
)
def test_drawn_schedules_follow_their_formula(
    make_candidate: Callable[..., TrainedNetwork],
    name: str,
    formula: Callable[[int], float],
) -> None:
    """At a quarter of training truth and forecast are equally likely."""
    found = schedule(make_candidate, name, forcing_midpoint=0.25)
    assert found.forcing.draws
    assert found.share(50) == pytest.approx(0.5)
    assert [found.share(i) for i in range(STEPS)] == pytest.approx(
        [formula(i) for i in range(STEPS)], abs=1e-4
    )


@given(
    name=st.sampled_from(FORCINGS),
    midpoint=st.floats(0.0, 1.0),
    steps=st.integers(1, 1_000_000),
)
def test_shares_are_shares_and_go_one_way(
    make_candidate: Callable[..., TrainedNetwork], name: str, midpoint: float, steps: int
) -> None:
    found = schedule(make_candidate, name, forcing_midpoint=midpoint, training_steps=steps)
    shares = [torch.as_tensor(found.share(i * steps // 5)) for i in range(5)]
    assert all(((share >= 0.0) & (share <= 1.0)).all() for share in shares)
    if name == "increasing":
        shares.reverse()
    assert all((one >= other).all() for one, other in pairwise(shares))


def test_scheduled_sampling_without_a_midpoint_soon_runs_freely(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    for name in ("scheduled-linear", "scheduled-exponential", "scheduled-sigmoid"):
        assert schedule(make_candidate, name, forcing_midpoint=0.0).share(20) < 1e-8


def test_sparse_forcing_reads_the_truth_every_few_steps(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """Counted from the warm-up's last value: the third value after it is the truth again."""
    found = schedule(make_candidate, "sparse", forcing_interval=3)
    assert torch.as_tensor(found.share(0)).tolist() == [0, 0, 1, 0, 0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("rollout", [2, 4, 10])
@pytest.mark.parametrize("interval", [9, 10, 11, 32])
def test_sparse_forcing_acts_with_any_interval(
    make_candidate: Callable[..., TrainedNetwork], interval: int, rollout: int
) -> None:
    """An interval that is not below the rollout reads the truth at the last step that reads."""
    found = schedule(make_candidate, "sparse", forcing_interval=interval, rollout_steps=rollout)
    shares = torch.as_tensor(found.share(0)).tolist()
    assert shares[:-1] == [0] * (rollout - 2) + [1]


def test_generalised_forcing_mixes_a_constant_share(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    found = schedule(make_candidate, "generalised", forcing_strength=0.3)
    assert (found.share(0), found.share(STEPS - 1), found.forcing.draws) == (0.3, 0.3, False)


def test_adaptive_forcing_starts_at_one_rises_at_once_and_falls_slowly(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    found = schedule(make_candidate, "adaptive")
    assert found.share(0) == 1.0
    found.observe(1.0, 5)  # needs none, and 5 of 200 steps are a part of training
    assert found.share(5) == pytest.approx(0.8)
    found.observe(2.0, 10)  # needs one half
    assert found.share(10) == pytest.approx(0.8 * 0.8 + 0.2 * 0.5)
    found.observe(math.inf, 15)
    assert found.share(15) == 1.0
    for step in range(20, 170, 5):
        found.observe(0.9, step)
    assert found.share(170) == pytest.approx(0.8**30)
    found.observe(4.0, 170)
    assert found.share(170) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("steps", "measured"), [(1, 0), (2, 1), (39, 38), (40, 39), (79, 39), (81, 39), (200, 39)]
)
def test_an_adaptive_share_falls_by_the_share_of_training(
    make_candidate: Callable[..., TrainedNetwork], steps: int, measured: int
) -> None:
    """Not by the number of measurements; and the share that it starts with is used."""
    found = schedule(make_candidate, "adaptive", training_steps=steps)
    due = [step for step in range(steps) if found.is_due(step)]
    assert len(due) == measured
    assert 0 not in due
    for step in due:
        found.observe(0.5, step)
        assert found.share(step) == pytest.approx(0.8 ** (40 * step / steps))
