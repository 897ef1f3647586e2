"""Training and free runs with all tensors on another device than the CPU, as on a GPU.

The device is a stand-in whose numbers are those of the CPU: see `tests.models.other_device`. What a
GPU adds, its own arithmetic, `benchmarks/gpu_check.py` compares on a machine that has one.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from models.candidate import Candidate, free_run, learner_of
from models.cohort import Member
from models.methods import methods
from models.network.cells.cell import Cell
from models.network.options.covariates import has_known_inputs
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from tests.models.other_device import OTHER, DeviceError, There, other_device
from tests.models.test_learners import CLOSED_FORMS
from tests.models.training.test_fused_gradient import OPTIONS

CELLS = [method.name for method in methods() if issubclass(method, Cell)]
SPAN, MEMBERS, AHEAD = 60, 3, 7


def values_of(channels: int, seed: int = 1) -> Tensor:
    return torch.randn(MEMBERS, SPAN, channels, generator=Generator().manual_seed(seed))


def trained(candidate: Candidate, device: str, channels: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, training losses and free runs after all steps of a training, on the CPU."""
    members = [Member(candidate, i, seed=i + 5) for i in range(MEMBERS)]
    values = values_of(channels)
    known = values_of(2, seed=2) if has_known_inputs(candidate) else None
    training, rows = learner_of(members, values, device, exogenous=known), [0, 1, 2]
    for step in training:
        if step == 2 and isinstance(training, Trainer):
            rest, rows = training.part([1]), [0, 2, 1]
            training.keep([0, 2])
            training.join(rest)
    end, weights = training.warm_up, training.scored_weights[: len(rows)]
    beside = None if known is None else known[rows, None, : end + AHEAD]
    contexts = values[rows, None, :end]
    run = free_run(training.forecaster, weights, contexts, AHEAD, exogenous=beside)
    return weights.cpu(), training.loss().cpu(), run.cpu()


def check_other_device(candidate: Candidate, channels: int = 1, tolerance: float = 1e-3) -> None:
    """Compare a training on the other device with one on the CPU, where kernels may train."""
    with other_device():
        there = trained(candidate, OTHER, channels)
    for own, expected in zip(there, trained(candidate, "cpu", channels), strict=True):
        assert not isinstance(own, There)
        torch.testing.assert_close(own, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_trains_on_another_device(
    make_candidate: Callable[..., TrainedNetwork], cell: str
) -> None:
    check_other_device(
        make_candidate(cell=cell, rollout_steps=5, training_steps=4, context_steps=6, layers=2),
        channels=2,
    )


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_trains_on_another_device(
    make_candidate: Callable[..., TrainedNetwork], option: str
) -> None:
    own: dict[str, Any] = {"rollout_steps": 6, "teacher_weight": 0.4, "context_steps": 6}
    check_other_device(make_candidate(cell="gru", training_steps=4, **(own | OPTIONS[option])))


@pytest.mark.parametrize("option", ["state", "instance-norm", "known"])
def test_hybrids_train_on_another_device(
    make_candidate: Callable[..., TrainedNetwork], option: str
) -> None:
    own: dict[str, Any] = {"rollout_steps": 6, "training_steps": 4, "context_steps": 6}
    own |= OPTIONS[option] | {"residual": False, "hybrid": "ar"}
    check_other_device(make_candidate(cell="lstm", **own), channels=2)


@pytest.mark.parametrize("cell", CLOSED_FORMS)
def test_what_is_fitted_stays_on_the_cpu(
    make_candidate: Callable[..., Candidate], cell: str
) -> None:
    choice = {"context": "state", "context_steps": 6} | CLOSED_FORMS[cell]
    check_other_device(make_candidate(cell=cell, **choice), channels=2, tolerance=0.0)


def test_the_stand_in_refuses_what_a_gpu_refuses() -> None:
    with other_device():
        there, here = torch.zeros(3, device=OTHER), torch.ones(3)
        made = torch.tensor([1.0, 2.0, 3.0], device=OTHER)
        with pytest.raises(DeviceError, match="aten::add got tensors of two devices"):
            there + here
        with pytest.raises(DeviceError, match="aten::index got indices"):
            here[torch.tensor([0], device=OTHER)]
        there[torch.tensor([0, 2])] += 2.0 * made[1:]
        there.copy_(there + here.to(OTHER))
    assert there.cpu().tolist() == [5.0, 1.0, 7.0]
